"""One file from one of several mirrors: resumed where it was interrupted, and checked before it appears under its name.

Not by pooch: `pooch.retrieve` takes one address and starts from the first byte again whenever a connection is
interrupted, which two gigabytes over a slow line do not survive.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from duskbench.data_tools.drive import DriveError, download_from_drive
from duskbench.data_tools.errors import DataError, DuskbenchError
from duskbench.data_tools.http_transfer import Limits, MirrorError, transfer
from duskbench.data_tools.hub import is_hub_address, locate
from duskbench.data_tools.partial import Checksum, PartialFile
from duskbench.data_tools.progress import SILENT, Progress

# Set to anything but nothing, it keeps every download from being made.
OFFLINE_VARIABLE = "DUSKBENCH_OFFLINE"
logger = logging.getLogger(__name__)

# Most bytes of a file whose size is not known before.
MAX_BYTES = 16 << 30
# Slower than this a gigabyte takes three days.
LEAST_RATE = 4096
_DRIVE_ADDRESS = re.compile(r"https?://(?:drive|docs)\.google\.com/.*?(?:[?&]id=|/d/)([\w-]{10,})")


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
    a range request that is tied to the first answer's ETag or date; without either and without a hash it starts over.
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
        timeout: Seconds without an answer or without data before a connection counts as interrupted.
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
    check_allowed(dest, urls)
    dest.parent.mkdir(parents=True, exist_ok=True)
    limits = Limits(timeout, attempts, backoff, max_bytes if size is None else size, least_rate)
    failures: list[tuple[str, str]] = []
    wrong: tuple[str, str, str] | None = None
    with PartialFile.locked(dest) as part:
        if _is_there(dest, check):  # another process had the lock and has fetched it
            return dest
        for url in urls:
            try:
                mismatch = _from_mirror(url, part, check, progress, limits)
            except MirrorError as error:
                failures.append((url, str(error)))
            else:
                if mismatch is None:
                    part.publish(dest)
                    return dest
                wrong = (*mismatch, url)
                failures.append((url, "another file"))
            logger.warning("%s: %s", *failures[-1])
    raise _no_mirror(dest, failures, wrong)


def check_allowed(dest: Path, urls: Sequence[str]) -> None:
    """Refuse a download where $DUSKBENCH_OFFLINE switches them off.

    Raises:
        DataError: It does.
    """
    if os.environ.get(OFFLINE_VARIABLE):
        raise DataError(
            "Downloads are switched off.",
            where=dest,
            got=f"${OFFLINE_VARIABLE} is set",
            todo=f"unset it, or get the file elsewhere: {', '.join(urls)}",
        )


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
    url: str, part: PartialFile, check: Checksum, progress: Progress, limits: Limits
) -> tuple[str, str] | None:
    """Fetch into `part`; None if the content is right, else expected and got, with `part` emptied."""
    mismatch, headers = None, dict[str, str]()
    if is_hub_address(url):
        try:
            found = locate(url)
        except DuskbenchError as error:
            raise MirrorError(error.one_line) from error
        url, headers = found.url, dict(found.headers)
    for _ in range(2):
        resumed = part.size > 0
        if drive := _DRIVE_ADDRESS.match(url):
            _from_drive(drive[1], part, progress, limits)
        else:
            transfer(url, headers, part, check, progress, limits)
        mismatch = check.mismatch(part.flushed())
        if mismatch is None:
            return None
        part.clear()
        if not resumed:
            break
        # The halves may be of different files, so this mirror gets one chance on its own.
        logger.warning("%s: the resumed file is wrong (%s), starting over", url, mismatch[1])
    return mismatch


def _from_drive(file_id: str, part: PartialFile, progress: Progress, limits: Limits) -> None:
    # gdown resumes from whatever begins with the name it is given, so it gets a folder of its own.
    folder = part.path.with_name(f"{part.path.name}.drive")
    try:
        got = download_from_drive(
            file_id,
            folder,
            seconds=limits.timeout,
            least_rate=limits.least_rate,
            max_bytes=limits.max_bytes,
            progress=lambda size: progress.update(f"{part.name}, kB", size // 1024, None),
        )
    except DriveError as error:
        raise MirrorError(f"Google Drive: {error}") from error
    part.take(got)
    shutil.rmtree(folder, ignore_errors=True)
