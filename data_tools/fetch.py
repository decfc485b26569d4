"""Data sets from the catalogue, downloaded or from archives that a user has, laid out as the readers expect them."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath

from duskbench.data_tools.archives import extract
from duskbench.data_tools.data_source import DataSource, SourceFile
from duskbench.data_tools.download import download
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.leftovers import remove_leftovers
from duskbench.data_tools.progress import SILENT, Progress
from duskbench.data_tools.source_archives import Given, assign, described, is_published, picks, top_level
from duskbench.data_tools.sources import find_sources

logger = logging.getLogger(__name__)


# Shown a source with its terms; the user's answer.
AcceptTerms = Callable[[DataSource], bool]


def fetch(
    name: str,
    root: str | Path,
    *,
    accept_terms: AcceptTerms,
    from_archives: Sequence[str | Path] | None = None,
    progress: Progress = SILENT,
    keep_archives: bool = False,
    timeout: float = 30.0,
) -> Path:
    """Fetch a data set: show its terms, download or take a user's archives, verify, extract, lay out.

    What is complete already is left alone, and its terms are not shown again. An interrupted call is continued by
    the next: downloads where they stopped, extraction from its start.

    Args:
        name: A name of `sources.SOURCES` or `sources.GROUPS`.
        root: Folder that holds the data sets; made if missing. VOC goes to `VOCdevkit/VOC2007`, ExDark to `ExDark`,
            `ExDark_Annno` and `imageclasslist.txt`.
        accept_terms: Called with each source whose terms are new; False stops.
        from_archives: Archives that the user has, used instead of downloads: recognised by the published name or hash,
            else by the folders they hold, so that a mirror's archive may have any name and hold everything. They are
            not removed. What is in none of them is downloaded.
        progress: Where downloads are reported.
        keep_archives: Keep what was downloaded, under `.downloads`.
        timeout: Seconds without data before a connection counts as interrupted.

    Returns:
        `root`.

    Raises:
        UnknownNameError: There is no such data set.
        ConfigError: The terms were not accepted, or an archive given belongs to none of the files wanted.
        DataError: A file cannot be had, is not the one it should be, or does not hold the data set.
    """
    root, sources = Path(root), find_sources(name)
    wanted = [source for source in sources if not is_complete(source, root)]
    given = assign(from_archives or (), sources)
    used = {given[file].path for source in wanted for file in source.files if file in given}
    for path in dict.fromkeys(one.path for one in given.values() if one.path not in used):
        logger.warning("nothing was taken from %s: what it holds of %s is in %s already", path, name, root)
    agreed: set[str] = set()
    for source in wanted:
        if source.terms not in agreed and not accept_terms(source):
            raise ConfigError(
                f"The terms of {source.name} were not accepted; nothing of it was fetched.",
                where=source.terms_url,
                todo="accept them, or use a copy of the data set that you are allowed to use",
            )
        agreed.add(source.terms)
        _fetch_source(source, root, given, progress, timeout)
    if wanted and not keep_archives:
        _remove_downloads(wanted, root / ".downloads")
    return root


def is_complete(source: DataSource, root: Path) -> bool:
    """Whether everything the source expects is there and no call was interrupted while laying it out."""
    return not _marker(source, root).exists() and not _missing(source, root)


def _missing(source: DataSource, root: Path) -> list[str]:
    """What the source expects and is not there; a folder without anything in it is not."""
    return [path for path in source.expects if not _holds_something(root / path)]


def _holds_something(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and any(path.iterdir()))


def tree_sha256(folder: Path) -> str:
    """Hash of a folder's content: names and bytes of all files below it.

    Returns:
        Sha256 of the listing: a line `<sha256>  <path relative to the folder>` for each file, sorted by path, each
        line ended by a line feed.
    """
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    listing = "".join(f"{file_sha256(folder / name)}  {name}\n" for name in files)
    return hashlib.sha256(listing.encode()).hexdigest()


def _marker(source: DataSource, root: Path) -> Path:
    return root / f".incomplete-{source.name}"


def _fetch_source(
    source: DataSource, root: Path, given: dict[SourceFile, Given], progress: Progress, timeout: float
) -> None:
    archives: dict[Path, list[SourceFile]] = {}
    for file in source.files:
        path = _obtain(source, file, root, given.get(file), progress, timeout)
        archives.setdefault(path, []).append(file)
    # Nothing but what they hold tells whether these are the files.
    unsure = {path for path, files in archives.items() if not any(f in given or f.checksum.has_hash for f in files)}
    root.mkdir(parents=True, exist_ok=True)
    remove_leftovers(root, deep=False)
    with tempfile.TemporaryDirectory(dir=root, prefix=f".extract-{os.getpid()}-") as temporary:
        moves = []
        for number, (path, files) in enumerate(archives.items()):
            with _removed_if_refused(unsure & {path}):
                moves += _unpacked(path, files, source.expects, Path(temporary, str(number)))
        # From here to the last move a stop would leave a tree that looks whole.
        _marker(source, root).touch()
        for unpacked, to in moves:
            _move(unpacked, root / to)
    with _removed_if_refused(unsure):
        _verify(source, root)
    # Gone where another call has laid out the same at the same time.
    _marker(source, root).unlink(missing_ok=True)
    logger.info("%s is complete in %s", source.name, root)


@contextlib.contextmanager
def _removed_if_refused(downloads: Collection[Path]) -> Iterator[None]:
    """Remove downloads that turn out to be something else; the next call would take them for what it wants again."""
    try:
        yield
    except DataError:
        for path in downloads:
            path.unlink(missing_ok=True)
        raise


def _remove_downloads(sources: Sequence[DataSource], folder: Path) -> None:
    """Remove what was downloaded of these sources; what is there of others, finished or not, stays."""
    names = {file.filename for source in sources for file in source.files}
    # Where all archives were the user's there is no folder, and another call may be the one that removes it.
    with contextlib.suppress(FileNotFoundError):
        for path in folder.iterdir():
            if path.name.partition(".part")[0] in names:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        # A lock protects nothing once the file is gone that it is for.
        if all(path.suffix == ".lock" for path in folder.iterdir()):
            shutil.rmtree(folder)


def _obtain(
    source: DataSource,
    file: SourceFile,
    root: Path,
    given: Given | None,
    progress: Progress,
    timeout: float,
) -> Path:
    """The file on disk, verified: the user's own, or downloaded."""
    if given is not None:
        mismatch = file.checksum.mismatch(given.path)
        if mismatch is not None and given.as_published:
            expected, got = mismatch
            raise DataError(
                f"The archive is not the published {file.filename}.",
                where=given.path,
                expected=expected,
                got=got,
                todo="leave it out to download the published one, or extract it yourself and run "
                "`duskbench data verify`",
            )
        if mismatch is not None:
            logger.warning(
                "%s is taken for %s by what it holds; run `duskbench data verify` on it", given.path, file.filename
            )
        return given.path
    if not file.urls:
        raise DataError(
            f"There is no address from which {file.filename} can be downloaded.",
            where=source.name,
            todo=source.note or "get the file elsewhere and pass it with --from-archive",
        )
    dest = root / ".downloads" / file.filename
    return download(
        file.urls,
        dest,
        sha256=file.sha256,
        md5=file.md5,
        size=file.size,
        progress=progress,
        timeout=timeout,
        max_bytes=file.max_bytes,
    )


def _unpacked(path: Path, files: Sequence[SourceFile], expects: Sequence[str], folder: Path) -> list[tuple[Path, str]]:
    """What of an archive, or a file that is none, goes where below the root; extracted beside the tree."""
    if all(file.to is not None and is_published(file, path) for file in files):
        folder.mkdir()
        return [(Path(shutil.copyfile(path, folder / str(number))), str(file.to)) for number, file in enumerate(files)]
    extract(path, folder, max_bytes=sum(file.max_bytes for file in files))
    paths = {PurePosixPath(found.relative_to(folder)) for found in folder.rglob("*")}
    moves = []
    for file in files:
        found = picks(file, paths, expects) or picks(file, paths)
        if found is None:
            raise DataError(
                "The archive does not hold the data set.",
                where=path,
                expected=described(file),
                got=top_level(paths),
                todo="check that this is the archive of this data set",
            )
        moves += [(folder / pick, to) for pick, to in found]
    return moves


def _move(unpacked: Path, target: Path) -> None:
    """Move a file, or a folder file by file, over what an earlier call left."""
    files = [unpacked] if unpacked.is_file() else sorted(path for path in unpacked.rglob("*") if path.is_file())
    for path in files:
        place = target / path.relative_to(unpacked)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)


def _verify(source: DataSource, root: Path) -> None:
    missing = _missing(source, root)
    if missing:
        raise DataError(
            f"The archives of {source.name} do not hold all of it.",
            where=root,
            expected=source.layout,
            got=f"without {', '.join(missing)}",
        )
    for folder, expected in source.tree_sha256:
        got = tree_sha256(root / folder)
        if got != expected:
            raise DataError(
                f"The files of {source.name} are not the published ones.",
                where=root / folder,
                expected=f"{expected} (sha256 of the listing)",
                got=got,
                todo="remove files of other sets from this folder, or fetch into another root",
            )
