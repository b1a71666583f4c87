"""A server on this machine that speaks the part of the hub's protocol that `huggingface_hub` uses."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = 100_000
"""Files from this size on are stored apart, as on the hub: their address redirects to another host."""


@dataclass
class Hub:
    """Repositories by their address (`owner/name`, `spaces/owner/name`), and everything that was asked.

    A repository `owner/name@tag` is what `owner/name` was at that tag. Those in `gated` are read by nobody: without a
    token the answer is 401, with one 403. Those in `private` are hidden. Only half of a file in `short` is sent, as
    if that were all.
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    token: str | None = None
    stored: dict[str, bytes] = field(default_factory=dict)
    cut_once: set[str] = field(default_factory=set)
    gated: set[str] = field(default_factory=set)
    private: set[str] = field(default_factory=set)
    short: set[str] = field(default_factory=set)
    address: str = ""
    storage: str = ""

    def at(self, repository: str, revision: str) -> str:
        """The name under which a revision (a branch, a tag or a commit) of a repository is stored."""
        versions = [name for name in self.repositories if name.partition("@")[0] == repository]
        return next((name for name in versions if revision in (name.partition("@")[2], self.commit(name))), repository)

    def commit(self, repository: str) -> str:
        """The name of the present content."""
        files = self.repositories[repository]
        text = "".join(f"{path}{hashlib.sha1(files[path]).hexdigest()}" for path in sorted(files))
        return hashlib.sha1(text.encode()).hexdigest()


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    hub.storage = f"http://localhost:{server.server_port}/storage"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self._read()

    def do_GET(self) -> None:
        self._read()

    def do_PUT(self) -> None:
        content = self._body()
        oid = self.path.rpartition("/")[2]
        self.hub.requests.append(f"PUT {self.path}")
        assert hashlib.sha256(content).hexdigest() == oid
        self.hub.stored[oid] = content
        self._send(200)

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self._body()
        self.hub.requests.append(f"POST {path}")
        if self.hub.token and self.headers.get("authorization") != f"Bearer {self.hub.token}":
            self._json({"error": "Invalid user token."}, 401)
        elif path == "/api/repos/create":
            values = json.loads(body)
            name = f"{values['organization']}/{values['name']}"
            there = name in self.hub.repositories
            self.hub.repositories.setdefault(name, {})
            self._json({"url": f"{self.hub.address}/{name}"}, 409 if there else 200)
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif path.endswith("/info/lfs/objects/batch"):
            self._json({"objects": [self._upload(item) for item in json.loads(body)["objects"]]})
        else:
            repository, action, _ = path.removeprefix("/api/models/").rsplit("/", 2)
            self._json(self._preupload(body) if action == "preupload" else self._commit(repository, body))

    def _upload(self, item: dict) -> dict:
        return {**item, "actions": {"upload": {"href": f"{self.hub.storage}/{item['oid']}"}}}

    def _preupload(self, body: bytes) -> dict:
        files = json.loads(body)["files"]
        return {
            "files": [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["size"] >= LARGE else "regular",
                    "shouldIgnore": False,
                }
                for file in files
            ]
        }

    def _commit(self, repository: str, body: bytes) -> dict:
        files = self.hub.repositories[repository]
        for line in body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.hub.stored[value["oid"]]
        oid = self.hub.commit(repository)
        return {"success": True, "commitOid": oid, "commitUrl": f"{self.hub.address}/{repository}/commit/{oid}"}

    def _read(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        if path.startswith("/storage/"):
            self._content(self.hub.stored[path.rpartition("/")[2]], path)
        elif path.startswith("/api/models/"):
            self._describe(path.removeprefix("/api/models/"))
        elif path.startswith("/api/datasets/"):
            self._describe(path.removeprefix("/api/datasets/"), kind="datasets/")
        else:
            repository, _, rest = path[1:].partition("/resolve/")
            revision, _, name = rest.partition("/")
            self._resolve(self.hub.at(repository, revision), name)

    def _refused(self, repository: str) -> bool:
        if repository in self.hub.gated:
            status = 403 if self.headers.get("authorization") else 401
            self._send(status, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."})
        elif repository in self.hub.private:
            self._send(401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        return repository in self.hub.gated | self.hub.private

    def _describe(self, path: str, kind: str = "") -> None:
        owner, name, action, revision = [*path.split("/"), "", ""][:4]
        repository = self.hub.at(f"{kind}{owner}/{name}", revision)
        if self._refused(repository):
            return
        if repository not in self.hub.repositories:
            self._missing("RepoNotFound")
            return
        files = self.hub.repositories[repository]
        if action == "tree":
            below = "".join(f"{part}/" for part in path.split("/")[4:])
            found = {name: content for name, content in files.items() if name.startswith(below)}
            entries = [self._entry(name, content) for name, content in found.items()]
            if parse_qs(urlsplit(self.path).query).get("recursive") != ["true"]:
                entries = [one for one in entries if "/" not in one["path"].removeprefix(below)]
                inner = {name.removeprefix(below).partition("/") for name in found}
                folders = sorted(f"{below}{first}" for first, slash, _ in inner if slash)
                entries += [{"type": "directory", "path": name, "size": 0, "oid": ""} for name in folders]
            self._json(entries)
        else:
            siblings = [{"rfilename": path} for path in files]
            self._json({"id": repository, "sha": self.hub.commit(repository), "siblings": siblings, "private": False})

    def _entry(self, path: str, content: bytes) -> dict:
        entry = {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
        if len(content) < LARGE:
            return entry
        oid = hashlib.sha256(content).hexdigest()
        return {**entry, "lfs": {"oid": oid, "size": len(content), "pointerSize": 134}}

    def _resolve(self, repository: str, path: str) -> None:
        if self._refused(repository):
            return
        if repository not in self.hub.repositories:
            self._missing("RepoNotFound")
            return
        commit = {"X-Repo-Commit": self.hub.commit(repository)}
        content = self.hub.repositories[repository].get(path)
        if content is None:
            self._missing("EntryNotFound", commit)
        elif len(content) < LARGE:
            self._content(content, path, {**commit, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'})
        else:
            oid = hashlib.sha256(content).hexdigest()
            self.hub.stored[oid] = content
            linked = {"X-Linked-Size": str(len(content)), "X-Linked-Etag": f'"{oid}"'}
            self._send(302, {**commit, **linked, "Location": f"{self.hub.storage}/{oid}"})

    def _content(self, content: bytes, path: str, headers: dict[str, str] | None = None) -> None:
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        part = content[start : len(content) // 2 if self.command == "GET" and path in self.hub.short else None]
        status = 206 if start else 200
        ranged = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        if self.command == "GET" and path in self.hub.cut_once:
            self.hub.cut_once.discard(path)
            self._send(status, {**(headers or {}), **ranged}, part, cut=len(part) // 2)
            self.close_connection = True
        else:
            self._send(status, {**(headers or {}), **ranged}, part)

    def _missing(self, code: str, headers: dict[str, str] | None = None) -> None:
        self._send(404, {"X-Error-Code": code, "X-Error-Message": "not there", **(headers or {})})

    def _json(self, value: object, status: int = 200) -> None:
        self._send(status, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _send(
        self, status: int, headers: dict[str, str] | None = None, content: bytes = b"", *, cut: int | None = None
    ) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:cut])

    def log_message(self, *_: object) -> None:
        """Nothing: pytest shows what the tests show."""
