"""Only the page itself may use the page: other names are not served, and other websites are refused."""

import pytest
from starlette.datastructures import Headers

from ahs_seg.demo.web.hosts import Hosts
from ahs_seg.demo.web.limits import RefusedError, ServeError

LOCAL = Hosts("127.0.0.1")
PROXIED = Hosts("127.0.0.1", ["Segment.Example.org"])
OPEN = Hosts("0.0.0.0")


def status(hosts: Hosts, *pairs: tuple[str, str], method: str = "POST") -> int:
    try:
        hosts.check(method, Headers(raw=[(name.encode(), value.encode()) for name, value in pairs]))
    except RefusedError as error:
        return error.status
    return 200


@pytest.mark.parametrize(
    ("hosts", "name", "expected"),
    [
        (LOCAL, "localhost:7860", 200),
        (LOCAL, "127.0.0.1:7860", 200),
        (LOCAL, "[::1]:7860", 200),
        (LOCAL, "LOCALHOST.:7860", 200),
        (LOCAL, "evil", 421),
        (LOCAL, "evil:7860", 421),
        (LOCAL, "localhost.evil.com", 421),
        (LOCAL, "127.0.0.1.evil.com", 421),
        (LOCAL, "192.168.1.5:7860", 421),
        (LOCAL, "user@localhost", 421),
        (LOCAL, "localhost:7860/x", 421),
        (LOCAL, "", 421),
        (LOCAL, "[::1", 421),
        (PROXIED, "segment.example.org", 200),
        (OPEN, "192.168.1.5:7860", 200),  # no website can take over a number
        (OPEN, "[fe80::1]:7860", 200),
        (OPEN, "evil", 421),
    ],
)
def test_the_names_that_are_served(hosts: Hosts, name: str, expected: int) -> None:
    assert status(hosts, ("host", name)) == expected


@pytest.mark.parametrize(
    ("hosts", "host", "origin", "expected"),
    [
        (LOCAL, "localhost:7860", "http://localhost:7860", 200),
        (LOCAL, "localhost:7860", "http://evil", 403),
        (LOCAL, "localhost:7860", "http://localhost:3000", 403),  # another page on this machine
        (LOCAL, "localhost:7860", "http://localhost", 403),
        (LOCAL, "localhost:7860", "null", 403),
        (LOCAL, "localhost:7860", "file://localhost:7860", 403),
        (LOCAL, "localhost:7860", "http://[", 403),
        (LOCAL, "localhost:7860", "http://localhost:7860.evil.com", 403),
        (LOCAL, "evil:7860", "http://evil:7860", 421),  # DNS rebinding: both agree
        (PROXIED, "segment.example.org", "https://segment.example.org", 200),
        (PROXIED, "127.0.0.1:7860", "https://segment.example.org", 200),  # the proxy names the inner address
        (PROXIED, "127.0.0.1:7860", "https://evil", 403),
    ],
)
def test_the_websites_that_may_ask(hosts: Hosts, host: str, origin: str, expected: int) -> None:
    assert status(hosts, ("host", host), ("origin", origin)) == expected


def test_one_host_and_what_a_proxy_forwards() -> None:
    assert status(LOCAL) == 400
    assert status(LOCAL, ("host", "localhost"), ("host", "evil")) == 400
    assert status(LOCAL, ("host", "localhost"), ("x-forwarded-host", "evil")) == 421
    assert status(PROXIED, ("host", "localhost"), ("x-forwarded-host", "segment.example.org")) == 200


@pytest.mark.parametrize(
    ("site", "mode", "dest", "expected"),
    [
        ("same-origin", "cors", "empty", 200),
        ("none", "navigate", "document", 200),
        ("cross-site", "navigate", "document", 200),  # a link to the page
        ("cross-site", "navigate", "iframe", 403),
        ("cross-site", "no-cors", "image", 403),
        ("same-site", "no-cors", "script", 403),  # another port of this machine
    ],
)
def test_other_websites_may_link_to_the_page_but_not_embed_it(site: str, mode: str, dest: str, expected: int) -> None:
    given = (("host", "localhost"), ("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest))
    assert status(LOCAL, *given, method="GET") == expected
    assert status(LOCAL, *given, method="POST") == (200 if site in ("none", "same-origin") else 403)


def test_refusals_say_what_to_do() -> None:
    with pytest.raises(RefusedError, match=r"served as 127\.0\.0\.1, ::1, localhost, not as 'evil'.*--allowed-host"):
        LOCAL.check("GET", Headers({"host": "evil"}))
    with pytest.raises(RefusedError, match=r"website 'http://evil' may not use this page.*--allowed-host"):
        LOCAL.check("GET", Headers({"host": "localhost", "origin": "http://evil"}))


@pytest.mark.parametrize("name", ["", "https://a.org", "a.org:80", "a b", "[red]", "a.org/page"])
def test_what_is_no_name_of_a_host_is_refused(name: str) -> None:
    with pytest.raises(ServeError, match=r"--allowed-host .* is not the name of a host"):
        Hosts("127.0.0.1", [name])
