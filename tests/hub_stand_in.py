"""A Hugging Face Hub on this machine: the requests that huggingface_hub makes to read and to commit files."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.needs import need_module

TOKEN = "hf_of_a_test"  # noqa: S105 - of nobody
LARGE = (".safetensors", ".pth", ".onnx", ".zip")


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass
class Repository:
    gated: bool = False
    private: bool = False
    commits: list[dict[str, bytes]] = field(default_factory=lambda: [{}])
    messages: list[str] = field(default_factory=list)

    def commit(self, files: dict[str, bytes], message: str = "") -> str:
        self.commits.append({**self.commits[-1], **files})
        self.messages.append(message)
        return self.name(len(self.commits) - 1)

    def name(self, number: int) -> str:
        return f"{number:040x}"

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        last = len(self.commits) - 1
        numbers = {"main": last, **{self.name(number): number for number in range(last + 1)}}
        return (self.name(numbers[revision]), self.commits[numbers[revision]]) if revision in numbers else None


class StandIn:
    """Repositories by `owner/name` (data sets by `datasets/owner/name`), and what was asked of them."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.storage: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.ranges: list[str | None] = []
        self.break_after: int | None = None
        self.status: int | None = None

    @contextmanager
    def served(self, patch: pytest.MonkeyPatch) -> Iterator[str]:
        """Answer, and make this what $HF_ENDPOINT names, without anybody's token."""
        constants = need_module("huggingface_hub.constants")
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"hub": self}))
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        # The variables are read when huggingface_hub is imported.
        patch.setattr(constants, "ENDPOINT", endpoint)
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        patch.setattr(constants, "HF_TOKEN_PATH", "/nowhere")
        patch.delenv("HF_TOKEN", raising=False)
        try:
            yield endpoint
        finally:
            server.shutdown()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: StandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._dispatch("HEAD")

    def do_GET(self) -> None:
        self._dispatch("GET")

    def do_POST(self) -> None:
        self._dispatch("POST")

    def do_PUT(self) -> None:
        self._dispatch("PUT")

    def _dispatch(self, method: str) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{method} {path}")
        if self.hub.status is not None:
            return self._json({}, self.hub.status)
        for methods, pattern, answer in (
            ("HEAD GET", r"/(?P<repo>.+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)", self._resolve),
            ("HEAD GET", r"/storage/(?P<sha256>\w+)", self._stored),
            ("PUT", r"/storage/(?P<sha256>\w+)", self._store),
            ("POST", r"/verify", lambda: self._json({})),
            ("GET", r"/api/(?:models/)?(?P<repo>.+)/tree/(?P<revision>[^/]+)", self._tree),
            ("POST", r"/api/repos/create", self._create),
            ("POST", r"/api/validate-yaml", self._validate),
            ("POST", r"/api/models/(?P<repo>.+)/preupload/main", self._preupload),
            ("POST", r"/(?P<repo>.+)\.git/info/lfs/objects/batch", self._batch),
            ("POST", r"/api/models/(?P<repo>.+)/commit/main", self._commit),
        ):
            match = re.fullmatch(pattern, path)
            if match and method in methods:
                return answer(**match.groupdict())
        self._json({"error": "no such endpoint"}, 404)

    def _send(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _json(self, content: Any, status: int = 200, **headers: str) -> None:
        self._send(status, {"Content-Type": "application/json", **headers}, json.dumps(content).encode())

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, {"X-Error-Code": code, "X-Error-Message": code})

    def _may(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _files(self, repo: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        found = self.hub.repositories.get(repo)
        if found is None or (found.private and not self._may()):
            # As the Hub does, which does not say which of the two it is.
            self._refuse(401, "RepoNotFound")
        elif found.gated and not self._may():
            self._refuse(403, "GatedRepo")
        elif (at := found.at(revision)) is None:
            self._refuse(404, "RevisionNotFound")
        else:
            return at
        return None

    def _resolve(self, repo: str, revision: str, file: str) -> None:
        found = self._files(repo, revision)
        if found is None:
            return
        commit, files = found
        if file not in files:
            return self._refuse(404, "EntryNotFound")
        content, headers = files[file], {"X-Repo-Commit": commit}
        if not file.endswith(LARGE):
            return self._send(200, {**headers, "ETag": f'"{git_hash(content)}"', "Content-Type": "text/plain"}, content)
        sha256 = hashlib.sha256(content).hexdigest()
        self.hub.storage[sha256] = content
        linked = {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(content))}
        self._send(302, {**headers, **linked, "Location": f"http://{self.headers['Host']}/storage/{sha256}"})

    def _stored(self, sha256: str) -> None:
        content, wanted = self.hub.storage[sha256], self.headers.get("Range")
        if self.command == "HEAD":
            return self._send(200, {"ETag": f'"{sha256}"', "Content-Length": str(len(content))})
        self.hub.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        headers = {"ETag": f'"{sha256}"', "Content-Length": str(len(content) - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        end, self.hub.break_after = self.hub.break_after, None
        self._send(206 if start else 200, headers, content[start:end])
        self.close_connection = end is not None

    def _store(self, sha256: str) -> None:
        assert hashlib.sha256(self.body).hexdigest() == sha256
        self.hub.storage[sha256] = self.body
        self._send(200, {})

    def _tree(self, repo: str, revision: str) -> None:
        found = self._files(repo, revision)
        if found is not None:
            listing = [(path, content) for path, content in found[1].items()]
            self._json([{"type": "file", "path": p, "size": len(c), "oid": git_hash(c)} for p, c in listing])

    def _create(self) -> None:
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        address = f"http://{self.headers['Host']}/{name}"
        if not self._may():
            return self._refuse(401, "Unauthorized")
        if name in self.hub.repositories:
            return self._json({"error": "You already created this model repo", "url": address}, 409)
        self.hub.repositories[name] = Repository(private=asked.get("visibility") == "private")
        self._json({"url": address})

    def _validate(self) -> None:
        content = json.loads(self.body)["content"]
        self._json({} if content.startswith("---\n") else {"errors": [{"message": "no metadata"}]})

    def _preupload(self, repo: str) -> None:
        files = json.loads(self.body)["files"]
        modes = {file["path"]: "lfs" if file["path"].endswith(LARGE) else "regular" for file in files}
        self._json({"files": [{"path": p, "uploadMode": mode, "shouldIgnore": False} for p, mode in modes.items()]})

    def _batch(self, repo: str) -> None:
        host = f"http://{self.headers['Host']}"
        self._json(
            {
                "transfer": "basic",
                "objects": [
                    {
                        **each,
                        "actions": {
                            "upload": {"href": f"{host}/storage/{each['oid']}"},
                            "verify": {"href": f"{host}/verify"},
                        },
                    }
                    for each in json.loads(self.body)["objects"]
                ],
            },
            **{"Content-Type": "application/vnd.git-lfs+json"},
        )

    def _commit(self, repo: str) -> None:
        lines = [json.loads(line) for line in self.body.splitlines()]
        values = [(line["key"], line["value"]) for line in lines]
        files = {v["path"]: base64.b64decode(v["content"]) for key, v in values if key == "file"}
        files |= {v["path"]: self.hub.storage[v["oid"]] for key, v in values if key == "lfsFile"}
        commit = self.hub.repositories[repo].commit(files, values[0][1]["summary"])
        address = f"http://{self.headers['Host']}/{repo}/commit/{commit}"
        self._json({"commitUrl": address, "commitOid": commit, "success": True})
