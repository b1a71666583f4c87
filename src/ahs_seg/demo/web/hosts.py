"""Names under which a page is served, compared with the Host and Origin of every request.

A browser lets any website send requests to a page on this machine, and a website can make its own name point to this
machine (DNS rebinding). Host says which name was opened, Origin which website asks.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from ahs_seg.demo.web.limits import RefusedError, ServeError

LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "::1")
EVERY_ADDRESS: Final = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not bound
_PLACE: Final = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[^\s:/?#@\[\]\\]{1,255}))(?::(?P<port>\d{1,5}))?"
)
_NAVIGATION: Final = ("GET", "HEAD")


class Hosts:
    """The names served: those of this machine, the bound address, and the `allowed` ones.

    A page bound to every address is also served under any numeric address: no website can take over a number.
    """

    def __init__(self, bound: str, allowed: Sequence[str] = ()) -> None:
        """Raise `ServeError` if an allowed name is none that an address could have."""
        for name in allowed:
            if (place := _parse(name)) is None or place[1] is not None or not name.isprintable():
                raise ServeError(
                    f"--allowed-host {name!r} is not the name of a host; give the name alone, such as "
                    "images.example.org, without https:// and without a port."
                )
        self.allowed = {_plain(name) for name in allowed}
        self.every_address = bound.strip("[]") in EVERY_ADDRESS
        self.names = {_plain(name) for name in (*LOCAL_NAMES, bound) if name not in EVERY_ADDRESS} | self.allowed

    def check(self, method: str, headers: Headers) -> None:
        """Raise `RefusedError` for a request under another name, or one that another website sends.

        Raises:
            RefusedError: 400 without exactly one Host, 421 for a name that is not served, 403 for another website.
        """
        hosts = headers.getlist("host")
        if len(hosts) != 1:
            raise RefusedError(400, f"The request has {len(hosts)} Host headers; send exactly one.")
        for host in (*hosts, *headers.getlist("x-forwarded-host")):
            self._check_host(host)
        origins = headers.getlist("origin")
        for origin in origins:
            self._check_origin(origin, hosts[0])
        if not origins:
            _check_site(method, headers)

    def _check_host(self, host: str) -> None:
        place = _parse(host)
        if place is None or not self._serves(place[0]):
            name = place[0] if place else host
            raise RefusedError(
                421,
                f"This page is served as {', '.join(sorted(self.names))}, not as {_shown(name)}. Open it under one of "
                "these names, or start it with --allowed-host and the name to add.",
            )

    def _check_origin(self, origin: str, host: str) -> None:
        try:
            parts = urlsplit(origin)
        except ValueError:
            parts = urlsplit("")
        place = _parse(parts.netloc) if parts.scheme in ("http", "https") else None
        if place is None or (place != _parse(host) and place[0] not in self.allowed):
            raise RefusedError(
                403,
                f"The website {_shown(origin)} may not use this page; only the page itself may. If it stands behind "
                "a proxy with this name, start it with --allowed-host and the name.",
            )

    def _serves(self, name: str) -> bool:
        return name in self.names or (self.every_address and _is_number(name))


def _check_site(method: str, headers: Headers) -> None:
    """Refuse what another website embeds or fetches without an Origin; following a link to the page is allowed."""
    site = headers.get("sec-fetch-site", "none")
    link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    if site not in ("none", "same-origin") and not (link and method in _NAVIGATION):
        raise RefusedError(403, "Another website may not use or embed this page; open it in a tab of its own.")


def _parse(place: str) -> tuple[str, str | None] | None:
    """Name and port of `name:port`, or None; the port is None where the default of the scheme is left out."""
    found = _PLACE.fullmatch(place)
    return None if found is None else (_plain(found["six"] or found["name"]), found["port"])


def _plain(name: str) -> str:
    """Lower-case name without brackets and final dot; numeric addresses in their shortest form."""
    name = name.strip().strip("[]").removesuffix(".").lower()
    return str(ipaddress.ip_address(name)) if _is_number(name) else name


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _shown(text: str) -> str:
    return ascii(text[:80])
