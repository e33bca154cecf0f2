"""A Hub on this machine: the few requests of the protocol by which models are pushed and pulled."""

from __future__ import annotations

import json
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

MAIN = "main"
Files = dict[str, bytes]


class Hub:
    """Repositories in memory.

    Attributes:
        url: of the server.
        repositories: ``owner/name`` -> path -> content, of the newest commit.
        private: ``owner/name`` -> whether it is.
        token: that requests must have; empty: none.
        requests: method and path of each.
    """

    def __init__(self) -> None:
        self.url, self.token = "", ""
        self.repositories: dict[str, Files] = {}
        self.private: dict[str, bool] = {}
        self.objects: Files = {}
        self.requests: list[str] = []

    def sha(self, repo: str) -> str:
        """Return the name of the newest commit."""
        content = sorted((path, sha1(c).hexdigest()) for path, c in self.repositories[repo].items())
        return sha1(repr(content).encode()).hexdigest()


@contextmanager
def local_hub() -> Iterator[Hub]:
    """Serve a hub on the loopback interface."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: ClassVar[Hub]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self._body()
        self.hub.requests.append(f"{self.command} {path}")
        known = path.startswith("/objects/") or not self.hub.token  # the Hub signs these addresses
        if not known and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            return self._send({"error": "Invalid credentials"}, 401)
        match path.strip("/").split("/"):
            case ["api", "repos", "create"]:
                return self._create(json.loads(body))
            case ["api", "validate-yaml"]:
                return self._validate(json.loads(body)["content"])
            case ["objects", oid]:
                assert sha256(body).hexdigest() == oid
                self.hub.objects[oid] = body
                return self._send({})
            case ["api", "models", owner, name, *what]:
                return self._of_repository(f"{owner}/{name}", what, body)
            case [owner, name, "info", "lfs", "objects", "batch"]:
                return self._batch(json.loads(body))
            case [owner, name, "resolve", _, *parts]:
                return self._file(f"{owner}/{name}", "/".join(parts))
        return self._send({"error": "Not found"}, 404)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _create(self, asked: dict[str, Any]) -> None:
        repo = f"{asked['organization']}/{asked['name']}"
        if repo in self.hub.repositories:
            error = "You already created this model repo"
            return self._send({"error": error, "url": f"{self.hub.url}/{repo}"}, 409)
        self.hub.repositories[repo] = {".gitattributes": b"*.safetensors filter=lfs\n"}
        self.hub.private[repo] = asked.get("visibility") == "private" or asked.get("private", False)
        return self._send({"url": f"{self.hub.url}/{repo}"})

    def _validate(self, content: str) -> None:
        from huggingface_hub import ModelCard

        data = ModelCard(content).data  # parses scores into results of evaluations
        assert data.library_name == "jlrun"
        assert "model-index" not in data.to_dict() or data.eval_results
        self._send({"errors": [], "warnings": []})

    def _of_repository(self, repo: str, what: list[str], body: bytes) -> None:
        files = self.hub.repositories.get(repo)
        if files is None:
            return self._send({"error": "Not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        revision = what[1] if len(what) > 1 else MAIN
        if revision not in (MAIN, self.hub.sha(repo)):
            return self._send({"error": "No such"}, 404, {"X-Error-Code": "RevisionNotFound"})
        match what:
            case [] | ["revision", _]:
                entries = [{"rfilename": path} for path in files]
                about = {"id": repo, "sha": self.hub.sha(repo), "private": self.hub.private[repo]}
                return self._send({**about, "siblings": entries})
            case ["tree", *_]:
                return self._send([self._entry(path, content) for path, content in files.items()])
            case ["preupload", _]:
                asked = json.loads(body)["files"]
                return self._send({"files": [_mode(file["path"]) for file in asked]})
            case ["commit", _]:
                return self._commit(repo, [json.loads(line) for line in body.splitlines()])
        raise AssertionError(what)

    def _entry(self, path: str, content: bytes) -> dict[str, Any]:
        oid = sha1(content).hexdigest()
        return {"type": "file", "path": path, "size": len(content), "oid": oid}

    def _batch(self, asked: dict[str, Any]) -> None:
        url = f"{self.hub.url}/objects/"
        objects = [{**o, "actions": {"upload": {"href": url + o["oid"]}}} for o in asked["objects"]]
        self._send({"transfer": "basic", "objects": objects})

    def _commit(self, repo: str, lines: list[dict[str, Any]]) -> None:
        files = self.hub.repositories[repo]
        for line in lines:
            match line["key"], line["value"]:
                case "file", value:
                    files[value["path"]] = b64decode(value["content"])
                case "lfsFile", value:
                    files[value["path"]] = self.hub.objects[value["oid"]]
                case "deletedFile", value:
                    del files[value["path"]]
        sha = self.hub.sha(repo)
        url = f"{self.hub.url}/{repo}/commit/{sha}"
        self._send({"success": True, "commitOid": sha, "commitUrl": url, "pullRequestUrl": None})

    def _file(self, repo: str, path: str) -> None:
        content = self.hub.repositories[repo][path]
        headers = {"ETag": f'"{sha1(content).hexdigest()}"', "X-Repo-Commit": self.hub.sha(repo)}
        self._send(content, 200, headers)

    def _send(self, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        kind = "application/octet-stream" if isinstance(content, bytes) else "application/json"
        found = {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}
        for name, value in found.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _mode(path: str) -> dict[str, Any]:
    large = path.endswith((".safetensors", ".pt"))
    return {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
