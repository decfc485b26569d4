"""`download` against a local HTTP server that cuts, stalls, lies and refuses."""

from __future__ import annotations

import gzip
import hashlib
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from duskbench.data_tools.download import download
from duskbench.data_tools.drive import ADDRESS
from duskbench.data_tools.errors import DataError
from tests.progress import Seen

BODY = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(BODY).hexdigest()
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()


@dataclass
class Resource:
    body: bytes = BODY
    statuses: list[int] = field(default_factory=list)  # answered first, one a request
    cut_at: list[int] = field(default_factory=list)  # bytes of the body after which a request is cut, one a request
    ranges: bool = True
    etag: str | None = '"v1"'
    date: str | None = None  # Last-Modified, of a whole answer alone
    ties: bool = True  # If-Range is heeded
    encoding: str | None = None
    stall: bool = False
    drip: str = ""  # "head" or "body": a byte at a time, for ever
    endless: bool = False
    length: bool = True
    content_type: str = "application/octet-stream"
    headers: dict[str, str] = field(default_factory=dict)


class Server:
    def __init__(self) -> None:
        self.resources: dict[str, Resource] = {}
        self.requests: list[tuple[str, str | None, str | None]] = []  # path, Range, If-Range
        self.released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                pass  # a client that hangs up is part of these tests

        self._http = Quiet(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}{path}"

    def add(self, path: str, **settings: object) -> str:
        self.resources[path] = Resource(**settings)  # type: ignore[arg-type]
        return self.url(path)

    def close(self) -> None:
        self.released.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked, tie = handler.headers.get("Range"), handler.headers.get("If-Range")
        self.requests.append((handler.path, asked, tie))
        resource = self.resources.get(handler.path)
        if resource is None:
            handler.send_error(404)
            return
        if resource.statuses:
            handler.send_response(resource.statuses.pop(0))
            for name, value in resource.headers.items():
                handler.send_header(name, value)
            handler.end_headers()
            return
        if resource.stall or resource.drip == "head":
            self.released.wait(20) if resource.stall else self._drip(handler, b"HTTP/1.0 200 OK\r\nX-Long: ")
            return
        start = 0
        if asked and resource.ranges and (tie in (None, resource.etag, resource.date) or not resource.ties):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(resource.body):
                handler.send_response(416)
                handler.send_header("Content-Range", f"bytes */{len(resource.body)}")
                handler.end_headers()
                return
            handler.send_response(206)
            end = len(resource.body) - 1
            handler.send_header("Content-Range", f"bytes {start}-{end}/{len(resource.body)}")
        else:
            handler.send_response(200)
        self._send_head(handler, resource, start)
        if resource.drip == "body":
            self._drip(handler, b"")
        if resource.endless:
            self._drip(handler, b"", piece=bytes(1 << 16), pause=0)
        body = resource.body[start:]
        if resource.cut_at:
            body = body[: resource.cut_at.pop(0)]
        handler.wfile.write(body)

    def _send_head(self, handler: BaseHTTPRequestHandler, resource: Resource, start: int) -> None:
        if resource.length:
            handler.send_header("Content-Length", str(len(resource.body) - start))
        date = resource.date if start == 0 else None
        for name, value in (("ETag", resource.etag), ("Last-Modified", date), ("Content-Encoding", resource.encoding)):
            if value:
                handler.send_header(name, value)
        handler.send_header("Content-Type", resource.content_type)
        handler.send_header("Content-Disposition", 'attachment; filename="../../evil"')
        handler.end_headers()

    def _drip(
        self, handler: BaseHTTPRequestHandler, beginning: bytes, *, piece: bytes = b"x", pause: float = 0.02
    ) -> None:
        handler.wfile.write(beginning)
        while not self.released.wait(pause):
            handler.wfile.write(piece)
            handler.wfile.flush()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def fetch(urls: list[str], dest: Path, **settings: object) -> Path:
    return download(urls, dest, **{"timeout": 5.0, "backoff": 0.01, **settings})  # type: ignore[arg-type]


def left(folder: Path) -> list[str]:
    # Locks stay behind: removing one that another process waits for would let two in.
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_plain(server: Server, tmp_path: Path) -> None:
    seen = Seen()
    dest = tmp_path / "new" / "file.bin"
    result = fetch([server.add("/a")], dest, sha256=SHA256.upper(), progress=seen)
    assert result == dest
    assert dest.read_bytes() == BODY
    assert left(tmp_path) == ["file.bin"]  # no partial file, and no name from the server
    kilobytes = len(BODY) // 1024
    assert seen.updates[0] == ("file.bin, kB", 0, kilobytes)
    assert seen.updates[-1] == ("file.bin, kB", kilobytes, kilobytes)
    assert seen.updates == sorted(seen.updates)


def test_a_file_that_is_there_is_not_asked_for(server: Server, tmp_path: Path) -> None:
    url = server.add("/a")
    for _ in range(2):
        fetch([url], tmp_path / "f", sha256=SHA256)
    assert len(server.requests) == 1


def test_a_damaged_file_that_is_there_is_replaced(server: Server, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"damaged")
    assert fetch([server.add("/a")], tmp_path / "f", sha256=SHA256).read_bytes() == BODY


@pytest.mark.parametrize("known", [{"sha256": SHA256}, {"md5": MD5}, {}, {"sha256": SHA256[:8]}])
def test_cut_connections_are_resumed(server: Server, tmp_path: Path, known: dict[str, str]) -> None:
    url = server.add("/a", cut_at=[100_000, 200_000, 0])
    assert fetch([url], tmp_path / "f", **known).read_bytes() == BODY
    ranges = [asked for _, asked, _ in server.requests]
    assert ranges == [None, "bytes=100000-", "bytes=300000-", "bytes=300000-"]
    assert {tie for _, _, tie in server.requests[1:]} == {'"v1"'}


def test_a_server_without_ranges_is_read_from_the_start(server: Server, tmp_path: Path) -> None:
    url = server.add("/a", ranges=False, cut_at=[400_000])
    assert fetch([url], tmp_path / "f", sha256=SHA256).read_bytes() == BODY


def test_a_server_without_ranges_that_always_cuts_is_given_up(server: Server, tmp_path: Path) -> None:
    url = server.add("/a", ranges=False, cut_at=[1000] * 50)
    with pytest.raises(DataError, match="3 tries"):
        fetch([url], tmp_path / "f", sha256=SHA256, attempts=3)
    assert len(server.requests) == 3


def test_progress_forgives_earlier_cuts(server: Server, tmp_path: Path) -> None:
    url = server.add("/a", cut_at=[50_000] * 12)
    assert fetch([url], tmp_path / "f", sha256=SHA256, attempts=2).read_bytes() == BODY


def test_a_file_that_changes_between_the_halves_is_read_anew(server: Server, tmp_path: Path) -> None:
    url = server.add("/a", cut_at=[1000] * 3, statuses=[])
    with pytest.raises(DataError):
        # no hash: the ETag alone has to tell
        server.resources["/a"].ranges = False
        fetch([url], tmp_path / "f", attempts=1)
    assert left(tmp_path) == ["f.part", "f.part.json"]
    server.add("/a", body=BODY[::-1], etag='"v2"')
    assert fetch([url], tmp_path / "f").read_bytes() == BODY[::-1]
    assert server.requests[-1] == ("/a", "bytes=1000-", '"v1"')


def test_a_file_that_changes_where_the_server_passes_over_if_range(server: Server, tmp_path: Path) -> None:
    url = server.add("/a", cut_at=[1000])
    with pytest.raises(DataError, match=r"\(1 tries\)"):
        fetch([url], tmp_path / "f", attempts=1)
    server.add("/a", body=BODY[::-1], etag='"v2"', ties=False)
    assert fetch([url], tmp_path / "f").read_bytes() == BODY[::-1]
    assert [asked for _, asked, _ in server.requests] == [None, "bytes=1000-", None]


def test_what_a_date_alone_ties_is_resumed_more_than_once(server: Server, tmp_path: Path) -> None:
    # The rest of a file is sent without its date.
    url = server.add("/a", etag=None, date="Thu, 01 Oct 2026 00:00:00 GMT", cut_at=[100_000, 200_000])
    assert fetch([url], tmp_path / "f").read_bytes() == BODY
    assert [asked for _, asked, _ in server.requests] == [None, "bytes=100000-", "bytes=300000-"]


def test_without_etag_and_hash_nothing_is_resumed(server: Server, tmp_path: Path) -> None:
    url = server.add("/a", etag=None, cut_at=[1000])
    assert fetch([url], tmp_path / "f").read_bytes() == BODY
    assert [asked for _, asked, _ in server.requests] == [None, None]


def test_a_weak_etag_is_no_ground_to_resume(server: Server, tmp_path: Path) -> None:
    url = server.add("/a", etag='W/"v1"', cut_at=[1000])
    assert fetch([url], tmp_path / "f").read_bytes() == BODY
    assert [asked for _, asked, _ in server.requests] == [None, None]


def test_second_mirror_takes_over_where_the_first_was_cut(server: Server, tmp_path: Path) -> None:
    first = server.add("/a", ranges=False, cut_at=[600_000] * 5)
    second = server.add("/b")
    fetch([first, second], tmp_path / "f", sha256=SHA256, attempts=1)
    assert server.requests[-1] == ("/b", "bytes=600000-", None)
    assert (tmp_path / "f").read_bytes() == BODY


def test_halves_of_different_files_are_noticed(server: Server, tmp_path: Path) -> None:
    first = server.add("/a", body=BODY[::-1], cut_at=[600_000] * 5)
    second = server.add("/b")
    fetch([first, second], tmp_path / "f", sha256=SHA256, attempts=1, timeout=2)
    assert (tmp_path / "f").read_bytes() == BODY
    assert [asked for path, asked, _ in server.requests if path == "/b"] == ["bytes=600000-", None]


@pytest.mark.parametrize("status", [404, 403, 410])
def test_second_mirror_after_a_refusal(server: Server, tmp_path: Path, status: int) -> None:
    first = server.add("/a", statuses=[status])
    assert fetch([first, server.add("/b")], tmp_path / "f", sha256=SHA256).read_bytes() == BODY
    assert [path for path, _, _ in server.requests] == ["/a", "/b"]  # a refusal is not asked again


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_passing_failure_is_tried_again(server: Server, tmp_path: Path, status: int) -> None:
    url = server.add("/a", statuses=[status, status], headers={"Retry-After": "0"})
    assert fetch([url], tmp_path / "f", sha256=SHA256).read_bytes() == BODY


def test_every_mirror_is_named_when_all_fail(server: Server, tmp_path: Path) -> None:
    urls = [server.url("/none"), "http://127.0.0.1:9/closed", "gopher://nowhere/f"]
    with pytest.raises(DataError) as raised:
        fetch(urls, tmp_path / "f", sha256=SHA256, attempts=2)
    message = str(raised.value)
    assert all(url in message for url in urls)
    assert "HTTP 404" in message
    assert "InvalidSchema" in message
    assert "Connection refused" in message
    assert left(tmp_path) == []


def test_no_mirror_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no address is known"):
        download([], tmp_path / "f")


def test_wrong_hash(server: Server, tmp_path: Path) -> None:
    url = server.add("/a", body=b"<!DOCTYPE html><title>Sign in</title>")
    with pytest.raises(DataError) as raised:
        fetch([url], tmp_path / "f", sha256=SHA256)
    assert raised.value.expected == f"sha256 {SHA256}"
    assert hashlib.sha256(server.resources["/a"].body).hexdigest() in str(raised.value.got)
    assert "a web page" in str(raised.value.got)
    assert left(tmp_path) == []


def test_wrong_md5_although_the_size_is_right(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"md5 0{32}"):
        fetch([server.add("/a")], tmp_path / "f", md5="0" * 32, size=len(BODY))


def test_wrong_hash_on_the_first_mirror_only(server: Server, tmp_path: Path) -> None:
    urls = [server.add("/a", body=b"other"), server.add("/b")]
    assert fetch(urls, tmp_path / "f", sha256=SHA256).read_bytes() == BODY


def test_announced_size_stops_before_the_body(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"has a file of {len(BODY)} bytes, expected 7"):
        fetch([server.add("/a")], tmp_path / "f", size=7)


def test_an_endless_body_is_stopped(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="more than the 1000 bytes"):
        fetch([server.add("/a", length=False)], tmp_path / "f", size=1000)


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_dripping_server_is_given_up(server: Server, tmp_path: Path, part: str) -> None:
    start = time.monotonic()
    url = server.add("/a", drip=part, length=False)
    with pytest.raises(DataError, match=r"\(2 tries\)"):
        fetch([url], tmp_path / "f", sha256=SHA256, timeout=0.4, attempts=2)
    assert time.monotonic() - start < 10
    assert not (tmp_path / "f").exists()


def test_a_server_that_sends_a_byte_a_connection_is_given_up(server: Server, tmp_path: Path) -> None:
    url = server.add("/a", cut_at=[1] * 100)
    with pytest.raises(DataError, match="3 tries"):
        fetch([url], tmp_path / "f", sha256=SHA256, attempts=3)
    assert len(server.requests) == 3


def test_an_endless_file_of_unknown_size_is_stopped_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    endless, good = server.add("/endless", endless=True, length=False), server.add("/b")
    with pytest.raises(DataError, match="more than the 3000000 bytes"):
        fetch([endless], tmp_path / "f", max_bytes=3_000_000)
    assert left(tmp_path) == []
    assert fetch([endless, good], tmp_path / "f", sha256=SHA256, max_bytes=3_000_000).read_bytes() == BODY


def test_a_file_that_is_announced_as_too_large_is_not_taken(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="more than the 1000000 that are taken"):
        fetch([server.add("/a")], tmp_path / "f", max_bytes=1_000_000)


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "Text/HTML", "application/xhtml+xml"])
def test_a_web_page_is_no_file(server: Server, tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match="web page"):
        fetch([server.add("/a", content_type=kind)], tmp_path / "f")
    assert left(tmp_path) == []


def test_a_body_that_the_server_compressed_is_not_the_file(server: Server, tmp_path: Path) -> None:
    packed = gzip.compress(BODY)
    urls = [server.add("/a", body=packed, encoding="gzip"), server.add("/b")]
    with pytest.raises(DataError, match=r"sends the file compressed \(gzip\)"):
        fetch(urls[:1], tmp_path / "f")
    assert fetch(urls, tmp_path / "f").read_bytes() == BODY
    # Servers that tell the encoding by the name say the same of an archive as it is.
    assert fetch(urls[:1], tmp_path / "f.tar.gz").read_bytes() == packed
    known = hashlib.sha256(packed).hexdigest()
    assert fetch(urls[:1], tmp_path / "g", sha256=known).read_bytes() == packed


def test_a_stalled_server_times_out(server: Server, tmp_path: Path) -> None:
    urls = [server.add("/a", stall=True), server.add("/b")]
    assert fetch(urls, tmp_path / "f", sha256=SHA256, timeout=0.2, attempts=1).read_bytes() == BODY


def test_ctrl_c_keeps_what_has_arrived(server: Server, tmp_path: Path) -> None:
    url = server.add("/a")

    with pytest.raises(KeyboardInterrupt):
        fetch([url], tmp_path / "f", sha256=SHA256, progress=Seen(lambda kilobytes: kilobytes > 300))
    arrived = (tmp_path / "f.part").stat().st_size
    assert arrived > 300_000
    assert not (tmp_path / "f").exists()
    assert fetch([url], tmp_path / "f", sha256=SHA256).read_bytes() == BODY
    assert server.requests[-1][1] == f"bytes={arrived}-"
    assert left(tmp_path) == ["f"]


def test_a_complete_partial_file_is_recognised(server: Server, tmp_path: Path) -> None:
    (tmp_path / "f.part").write_bytes(BODY)
    assert fetch([server.add("/a")], tmp_path / "f", sha256=SHA256).read_bytes() == BODY


@pytest.mark.parametrize("junk", [BODY + b"more", BODY[:1000][::-1], b"not json"])
def test_a_foreign_partial_file_does_no_harm(server: Server, tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "f.part").write_bytes(junk)
    (tmp_path / "f.part.json").write_bytes(junk)
    assert fetch([server.add("/a")], tmp_path / "f", sha256=SHA256).read_bytes() == BODY


def test_processes_that_want_the_same_file_wait_for_each_other(server: Server, tmp_path: Path) -> None:
    url = server.add("/a")
    threads = [
        threading.Thread(target=fetch, args=([url], tmp_path / "f"), kwargs={"sha256": SHA256}) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "f").read_bytes() == BODY
    assert len(server.requests) == 1
    assert left(tmp_path) == ["f"]


@pytest.mark.parametrize("digits", ["xyz", "0" * 7, "0" * 65])
def test_a_hash_that_is_none(tmp_path: Path, digits: str) -> None:
    with pytest.raises(DataError, match="no sha256"):
        download(["http://127.0.0.1:9/"], tmp_path / "f", sha256=digits)


DRIVE = "https://drive.google.com/file/d/1BHmPgu8EsHoFDDkMGLVoXIlCth2dW6Yx/view?usp=sharing"


def on_drive(server: Server, monkeypatch: pytest.MonkeyPatch, **settings: object) -> None:
    """Google Drive is the local server, which gdown asks as it would ask any other."""
    monkeypatch.setattr("duskbench.data_tools.drive.ADDRESS", server.add("/drive", **settings) + "#{}")


def test_drive_goes_through_gdown(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    on_drive(server, monkeypatch)
    assert fetch([DRIVE], tmp_path / "f", sha256=SHA256).read_bytes() == BODY
    assert left(tmp_path) == ["f"] and len(server.requests) == 1
    assert re.fullmatch(r"https://drive\.google\.com/uc\?id=\w+", ADDRESS.format("1BHmPgu8EsHoFDDkMGLVoXIlCth2dW6Yx"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "limits", "says"),
    [
        ({"drip": "head"}, {}, r"Google Drive: only 0 bytes in \d+ s"),
        ({"drip": "body", "length": False}, {}, r"Google Drive: only 0 bytes in \d+ s"),
        ({"stall": True}, {}, "Google Drive: only 0 bytes"),
        ({"endless": True, "length": False}, {"max_bytes": 3_000_000}, "sends more than the 3000000 bytes"),
        ({"endless": True, "length": False}, {"size": 2_000_000}, "sends more than the 2000000 bytes"),
    ],
)
def test_drive_has_the_limits_of_other_downloads(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    settings: dict[str, object],
    limits: dict[str, object],
    says: str,
) -> None:
    on_drive(server, monkeypatch, **settings)
    limits = limits or {"timeout": 1.0, "least_rate": 1_000_000}
    with pytest.raises(DataError, match=says):
        fetch([DRIVE], tmp_path / "f", **limits)
    assert "f" not in left(tmp_path)
    if "max_bytes" in limits:
        assert left(tmp_path) == []
    good = server.add("/b")
    limits["size"] = len(BODY)
    assert fetch([DRIVE, good], tmp_path / "f", sha256=SHA256, **limits).read_bytes() == BODY


def test_drive_without_gdown_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("duskbench.data_tools.drive.importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"duskbench\[drive\]"):
        download([DRIVE], tmp_path / "f")


def test_drive_refusals_are_reported(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    on_drive(server, monkeypatch, statuses=[403])
    with pytest.raises(DataError, match=r"Google Drive: \w+: .*403"):
        fetch([DRIVE], tmp_path / "f")
