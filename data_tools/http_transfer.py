"""A file from one address over HTTP: resumed where it was interrupted, and given up where it is too slow."""

from __future__ import annotations

import logging
import queue
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duskbench.data_tools.partial import Checksum, PartialFile
from duskbench.data_tools.progress import Progress

if TYPE_CHECKING:
    import requests

logger = logging.getLogger(__name__)

_CHUNK = 1 << 18
_LONGEST_WAIT = 60.0
_RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class MirrorError(Exception):
    """This address will not do; the next may."""


class _InterruptedError(Exception):
    """The transfer stopped for a reason that may pass."""

    retry_after: float | None = None


@dataclass(frozen=True)
class Limits:
    """See `download.download` for what they mean."""

    timeout: float
    attempts: int
    backoff: float
    max_bytes: int
    least_rate: float


def transfer(
    url: str, headers: Mapping[str, str], part: PartialFile, check: Checksum, progress: Progress, limits: Limits
) -> None:
    """Fetch what `part` lacks of a file.

    Args:
        url: Its address.
        headers: Sent with each request.
        part: Where it goes.
        check: What is known of the file.
        progress: Where kilobytes that have arrived are reported.
        limits: When to give up.

    Raises:
        MirrorError: The address does not have it, or transfers fail too often.
    """
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
                raise MirrorError(f"{error} ({limits.attempts} tries)") from error
            wait = min(error.retry_after or limits.backoff * 2 ** (failed - 1), _LONGEST_WAIT)
            logger.info("%s: %s at %d bytes; again in %.1f s", url, error, part.size, wait)
            time.sleep(wait)


def _request(
    url: str, headers: Mapping[str, str], part: PartialFile, check: Checksum, progress: Progress, limits: Limits
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
                raise MirrorError(f"has a file of {total} bytes, more than the {most} that are taken")
            _report(progress, part, total)
            if response.status_code != 416:
                for chunk in _chunks(response, limits):
                    part.write(chunk)
                    if part.size > most:
                        part.clear()
                        raise MirrorError(f"sends more than the {most} bytes it may")
                    _report(progress, part, total)
    except (ValueError, requests.exceptions.SSLError, requests.exceptions.TooManyRedirects) as error:
        raise MirrorError(f"{type(error).__name__}: {error}") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        reason = getattr(error.args[0] if error.args else None, "reason", None) or error
        # Offline, or a dead host: waiting helps only a transfer that has worked before.
        if part.size == 0 and isinstance(reason, urllib3.exceptions.NewConnectionError):
            raise MirrorError(_shortly(reason)) from error
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

    # The timeout of `requests` starts over with each byte. A thread that is given up ends with its connection.
    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=2 * timeout)
    except queue.Empty:
        raise _InterruptedError(f"no complete answer after {2 * timeout:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _chunks(response: requests.Response, limits: Limits) -> Iterator[bytes]:
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
    progress.update(f"{part.name}, kB", part.size // 1024, None if total is None else total // 1024)


def _accept(response: requests.Response, part: PartialFile, url: str, check: Checksum) -> int | None:
    """Check the head of an answer, bring `part` to the byte the body starts at, and return the size of the file."""
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
        raise MirrorError(f"HTTP {status}")
    if not check.has_hash:
        _check_kind(response.headers, part.name)
    length = response.headers.get("Content-Length", "")
    total = int(length) if length.isdecimal() else None
    if status == 206:
        sent = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if sent is None or int(sent[1]) != part.size:
            part.clear()
            raise _InterruptedError("the server sent another range than the one asked for")
        if part.is_of_another_version(url, response.headers):
            part.clear()
            raise _InterruptedError("the server has another file than the one begun")
        total = int(sent[2]) if sent[2] != "*" else None
    else:
        part.clear()
        part.remember(url, response.headers)
    if check.size is not None and total is not None and total != check.size:
        raise MirrorError(f"has a file of {total} bytes, expected {check.size}")
    return total if total is not None else check.size


def _check_kind(headers: Mapping[str, str], name: str) -> None:
    """Refuse an answer whose head says that its body is not the file, where no hash would show it."""
    if headers.get("Content-Type", "").lower().startswith(("text/html", "application/xhtml")):
        raise MirrorError("answers with a web page, not with a file")
    encoding = headers.get("Content-Encoding", "").lower()
    # Of a file that is compressed itself, servers say the same of the file as it is.
    if encoding not in ("", "identity") and not name.endswith((".gz", ".tgz")):
        raise MirrorError(f"sends the file compressed ({encoding}), which was not asked for")


def _shortly(error: Exception) -> str:
    """An error's name and text, without the connection objects that urllib3 prints before it."""
    text = re.sub(r"^.*Connection(?:Pool)?\(.*?\): ", "", str(error.args[0] if error.args else error))
    return f"{type(error).__name__}: {text}"[:200]
