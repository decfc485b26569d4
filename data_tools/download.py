"""One file from one of several mirrors: resumed where it was interrupted, and checked before it appears under its name.

The design names pooch for this. `pooch.retrieve` takes one address and starts from the first byte again whenever a
connection is interrupted, which two gigabytes over a slow line do not survive, so this talks to `requests` (what pooch
itself uses) directly.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from duskbench.data_tools.drive import DriveError, download_from_drive
from duskbench.data_tools.errors import DataError, DuskbenchError
from duskbench.data_tools.hub import is_hub_address, locate
from duskbench.data_tools.partial import Checksum, PartialFile
from duskbench.data_tools.progress import SILENT, Progress

if TYPE_CHECKING:
    import requests

# Set to anything but nothing, it keeps every download from being made.
OFFLINE_VARIABLE = "DUSKBENCH_OFFLINE"
logger = logging.getLogger(__name__)


_CHUNK = 1 << 18
_LONGEST_WAIT = 60.0
# Most bytes of a file whose size is not known before.
MAX_BYTES = 16 << 30
# Slower than this a gigabyte takes three days.
LEAST_RATE = 4096
_RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_DRIVE_ADDRESS = re.compile(r"https?://(?:drive|docs)\.google\.com/.*?(?:[?&]id=|/d/)([\w-]{10,})")


class _MirrorError(Exception):
    """This mirror will not do; the next may."""


class _InterruptedError(Exception):
    """The transfer stopped for a reason that may pass."""

    retry_after: float | None = None


@dataclass(frozen=True)
class _Limits:
    timeout: float
    attempts: int
    backoff: float
    max_bytes: int
    least_rate: float


def download(
    urls: Sequence[str],
    dest: str | Path,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    size: int | None = None,
    progress: Progress = SILENT,
    timeout: float = 30.0,
    attempts: int = 4,
    backoff: float = 1.0,
    max_bytes: int = MAX_BYTES,
    least_rate: float = LEAST_RATE,
) -> Path:
    """Download a file from the first mirror that has it, or do nothing if it is there already.

    A transfer goes to `<dest>.part` and is resumed there, also by a later call (after Ctrl-C or a crash), with
    a range request that is tied to the first answer's ETag or date; without either and without a hash it starts anew.
    A file of the wrong content is removed, not kept: at two gigabytes a kept one fills the disk, and it is of no use.
    Processes that want the same file wait for each other.

    Args:
        urls: Addresses of the same file, best first: http, https, a Google Drive file (needs the extra `drive`), or
            `hf://owner/repository/file` (needs the extra `hub`).
        dest: Where the file goes; its name never comes from the server. Folders are made.
        sha256: The hash, or its first 8 or more digits.
        md5: The md5, where that is the published one.
        size: In bytes; a server that announces another size is not asked for the body.
        progress: Where kilobytes that have arrived are reported.
        timeout: Seconds without an answer or without data before a connection counts as cut.
        attempts: Tries in a row that bring next to nothing before a mirror is given up.
        backoff: Seconds before the second try; doubles with each further one.
        max_bytes: Most bytes that are taken from a server where `size` is not given.
        least_rate: Bytes a second; a connection that is slower over `timeout` seconds counts as interrupted.

    Returns:
        `dest`.

    Raises:
        DataError: No mirror has the file, with the reason for each; or what they have is another file.
    """
    dest, check = Path(dest), Checksum(sha256.lower() if sha256 else None, md5.lower() if md5 else None, size)
    if _is_there(dest, check):
        return dest
    if os.environ.get(OFFLINE_VARIABLE):
        raise DataError(
            "Downloads are switched off.",
            where=dest,
            got=f"${OFFLINE_VARIABLE} is set",
            todo=f"unset it, or get the file elsewhere: {', '.join(urls)}",
        )
    dest.parent.mkdir(parents=True, exist_ok=True)
    limits = _Limits(timeout, attempts, backoff, max_bytes if size is None else size, least_rate)
    failures: list[tuple[str, str]] = []
    wrong: tuple[str, str, str] | None = None
    with PartialFile.locked(dest) as part:
        if _is_there(dest, check):  # another process had the lock and has fetched it
            return dest
        for url in urls:
            try:
                mismatch = _from_mirror(url, part, check, progress, limits)
            except _MirrorError as error:
                failures.append((url, str(error)))
            else:
                if mismatch is None:
                    part.publish(dest)
                    return dest
                wrong = (*mismatch, url)
                failures.append((url, "another file"))
            logger.warning("%s: %s", *failures[-1])
    raise _no_mirror(dest, failures, wrong)


def _is_there(dest: Path, check: Checksum) -> bool:
    if not dest.is_file():
        return False
    mismatch = check.mismatch(dest)
    if mismatch is not None:
        logger.warning("%s is not the file it should be (expected %s, got %s); fetching it again", dest, *mismatch)
    return mismatch is None


def _no_mirror(dest: Path, failures: list[tuple[str, str]], wrong: tuple[str, str, str] | None) -> DataError:
    listed = "".join(f"\n    {url}: {why}" for url, why in failures) or "no address is known"
    if wrong is not None:
        expected, got, url = wrong
        others = f"; all addresses:{listed}" if len(failures) > 1 else ""
        return DataError(
            "The download is not the file it should be, and was removed.",
            where=dest,
            expected=expected,
            got=f"{got} from {url}{others}",
            todo="try again later or get the file elsewhere; if it was replaced on purpose, its new hash is needed",
        )
    return DataError(
        "Cannot download the file.",
        where=dest,
        expected="one address that has it",
        got=listed,
        todo="try again (the download resumes), or get the file elsewhere and pass its path",
    )


def _from_mirror(
    url: str, part: PartialFile, check: Checksum, progress: Progress, limits: _Limits
) -> tuple[str, str] | None:
    """Fetch into `part`; None if the content is right, else expected and got, with `part` emptied."""
    mismatch, headers = None, dict[str, str]()
    if is_hub_address(url):
        try:
            found = locate(url)
        except DuskbenchError as error:
            raise _MirrorError(error.one_line) from error
        url, headers = found.url, dict(found.headers)
    for _ in range(2):
        resumed = part.size > 0
        if drive := _DRIVE_ADDRESS.match(url):
            _from_drive(drive[1], part, progress, limits)
        else:
            _retried(url, headers, part, check, progress, limits)
        mismatch = check.mismatch(part.flushed())
        if mismatch is None:
            return None
        part.clear()
        if not resumed:
            break
        # The halves may be of different files, so this mirror gets one chance on its own.
        logger.warning("%s: the resumed file is wrong (%s), starting anew", url, mismatch[1])
    return mismatch


def _retried(
    url: str, headers: Mapping[str, str], part: PartialFile, check: Checksum, progress: Progress, limits: _Limits
) -> None:
    furthest, failed = part.size, 0
    while True:
        try:
            return _request(url, headers, part, check, progress, limits)
        except _InterruptedError as error:
            # A mirror that ignores ranges and always breaks off at the same byte, or sends a byte a time, must not be
            # asked for ever.
            if part.size >= furthest + limits.least_rate * limits.timeout:
                furthest, failed = part.size, 0
            failed += 1
            if failed >= limits.attempts:
                raise _MirrorError(f"{error} ({limits.attempts} tries)") from error
            wait = min(error.retry_after or limits.backoff * 2 ** (failed - 1), _LONGEST_WAIT)
            logger.info("%s: %s at %d bytes; again in %.1f s", url, error, part.size, wait)
            time.sleep(wait)


def _request(
    url: str, headers: Mapping[str, str], part: PartialFile, check: Checksum, progress: Progress, limits: _Limits
) -> None:
    """One request for what is missing; returns when all of it has arrived."""
    import requests
    import urllib3

    # Identity: the hash is that of the file, and a range of a compressed body is of no use.
    headers = {**headers, "Accept-Encoding": "identity", **part.range_headers(url, check)}
    try:
        with _get(url, headers, limits.timeout) as response:
            total = _accept(response, part, url, check)
            most = limits.max_bytes if total is None else min(total, limits.max_bytes)
            if total is not None and total > most:
                raise _MirrorError(f"has a file of {total} bytes, more than the {most} that are taken")
            _report(progress, part, total)
            if response.status_code != 416:
                for chunk in _chunks(response, limits):
                    part.write(chunk)
                    if part.size > most:
                        part.clear()
                        raise _MirrorError(f"sends more than the {most} bytes it may")
                    _report(progress, part, total)
    except (ValueError, requests.exceptions.SSLError, requests.exceptions.TooManyRedirects) as error:
        raise _MirrorError(f"{type(error).__name__}: {error}") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        reason = getattr(error.args[0] if error.args else None, "reason", None) or error
        # Offline, or a dead host: waiting helps only a transfer that has worked before.
        if part.size == 0 and isinstance(reason, urllib3.exceptions.NewConnectionError):
            raise _MirrorError(_shortly(reason)) from error
        raise _InterruptedError(_shortly(reason)) from error
    if total is not None and part.size < total:
        raise _InterruptedError(f"connection closed after {part.size} of {total} bytes")


def _get(url: str, headers: dict[str, str], timeout: float) -> requests.Response:
    """Ask for a file; the head of the answer has to be there within twice the timeout, however slowly it drips."""
    import requests

    answers: queue.Queue[requests.Response | Exception] = queue.Queue()

    def ask() -> None:
        try:
            answers.put(requests.get(url, headers=headers, stream=True, timeout=(min(timeout, 10.0), timeout)))
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits
            answers.put(error)

    # The timeout of `requests` begins anew with each byte. A thread that is given up ends with its connection.
    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=2 * timeout)
    except queue.Empty:
        raise _InterruptedError(f"no complete answer after {2 * timeout:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _chunks(response: requests.Response, limits: _Limits) -> Iterator[bytes]:
    """What arrives, as it arrives; a connection that is too slow is given up."""
    start, arrived = time.monotonic(), 0
    while chunk := response.raw.read1(_CHUNK, decode_content=False):
        yield chunk
        arrived += len(chunk)
        seconds = time.monotonic() - start
        if seconds >= limits.timeout:
            if arrived < limits.least_rate * seconds:
                raise _InterruptedError(f"only {arrived} bytes in {seconds:.0f} s")
            start, arrived = time.monotonic(), 0


def _report(progress: Progress, part: PartialFile, total: int | None) -> None:
    name = part.path.name.removesuffix(".part")
    progress.update(f"{name}, kB", part.size // 1024, None if total is None else total // 1024)


def _accept(response: requests.Response, part: PartialFile, url: str, check: Checksum) -> int | None:
    """Judge the head of an answer, bring `part` to the byte the body starts at, and return the size of the file."""
    status = response.status_code
    if status in _RETRIED_STATUS:
        error = _InterruptedError(f"HTTP {status}")
        after = response.headers.get("Retry-After", "")
        error.retry_after = float(after) if after.isdecimal() else None
        raise error
    if status == 416:
        at_end = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
        if at_end is not None and int(at_end[1]) == part.size:
            return part.size
        part.clear()
        raise _InterruptedError("the server has another file than the one begun")
    if status not in (200, 206):
        raise _MirrorError(f"HTTP {status}")
    if not check.has_hash and response.headers.get("Content-Type", "").startswith("text/html"):
        raise _MirrorError("answers with a web page, not with a file")
    length = response.headers.get("Content-Length", "")
    total = int(length) if length.isdecimal() else None
    if status == 206:
        sent = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if sent is None or int(sent[1]) != part.size:
            part.clear()
            raise _InterruptedError("the server sent another range than the one asked for")
        total = int(sent[2]) if sent[2] != "*" else None
    else:
        part.clear()
    if check.size is not None and total is not None and total != check.size:
        raise _MirrorError(f"has a file of {total} bytes, expected {check.size}")
    part.remember(url, response.headers)
    return total if total is not None else check.size


def _from_drive(file_id: str, part: PartialFile, progress: Progress, limits: _Limits) -> None:
    # gdown resumes from whatever begins with the name it is given, so it gets a folder of its own.
    folder = part.path.with_name(f"{part.path.name}.drive")
    name = part.path.name.removesuffix(".part")
    try:
        got = download_from_drive(
            file_id,
            folder,
            seconds=limits.timeout,
            least_rate=limits.least_rate,
            max_bytes=limits.max_bytes,
            progress=lambda size: progress.update(f"{name}, kB", size // 1024, None),
        )
    except DriveError as error:
        raise _MirrorError(f"Google Drive: {error}") from error
    part.take(got)
    shutil.rmtree(folder, ignore_errors=True)


def _shortly(error: Exception) -> str:
    """An error's name and text, without the connection objects that urllib3 prints before it."""
    text = re.sub(r"^.*Connection(?:Pool)?\(.*?\): ", "", str(error.args[0] if error.args else error))
    return f"{type(error).__name__}: {text}"[:200]
