"""Data sets from the catalogue, downloaded or from archives that a user has, laid out as the readers expect them."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from duskbench.data_tools.archives import extract, paths_in
from duskbench.data_tools.data_source import DataSource, Placement, SourceFile
from duskbench.data_tools.download import download
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.file_kinds import kind_of_file
from duskbench.data_tools.leftovers import remove_leftovers
from duskbench.data_tools.partial import Checksum
from duskbench.data_tools.progress import SILENT, Progress
from duskbench.data_tools.sources import find_sources

__all__ = ["AcceptTerms", "download", "fetch", "is_complete", "tree_sha256"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Given:
    """A file of the user's: under the name or with the hash of the published one, or known by what it holds."""

    path: Path
    as_published: bool


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
    given = _assign(from_archives or (), sources)
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
        shutil.rmtree(root / ".downloads", ignore_errors=True)
    return root


def is_complete(source: DataSource, root: Path) -> bool:
    """Whether everything the source expects is there and no call was interrupted while laying it out."""
    return not _marker(source, root).exists() and all((root / path).exists() for path in source.expects)


def tree_sha256(folder: Path) -> str:
    """Hash of a folder's content: names and bytes of all files below it.

    Returns:
        Sha256 of the listing: a line `<sha256>  <path relative to the folder>` for each file, sorted by path, each
        line ended by a line feed.
    """
    listing = hashlib.sha256()
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    for name in files:
        with (folder / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        listing.update(f"{digest}  {name}\n".encode())
    return listing.hexdigest()


def _marker(source: DataSource, root: Path) -> Path:
    return root / f".incomplete-{source.name}"


def _assign(archives: Sequence[str | Path], sources: Sequence[DataSource]) -> dict[SourceFile, _Given]:
    """Tell which files of the catalogue each archive is or holds."""
    files = [file for source in sources for file in source.files]
    given: dict[SourceFile, _Given] = {}
    unknown = []
    for path in map(Path, archives):
        if not path.is_file():
            raise ConfigError("The archive is not there.", where=path, expected="a file")
        published = [file for file in files if file not in given and _is_published(file, path)]
        given |= {file: _Given(path, as_published=True) for file in published}
        if not published:
            unknown.append(path)
    # A mirror's archive has any name, and may hold what was published as several. What has a hash is what it is.
    unsure = [one.path for file, one in given.items() if not _checksum(file).has_hash and _is_archive(one.path)]
    for path in dict.fromkeys([*unknown, *unsure]):
        paths = set().union(*paths_in(path)) if path in unknown or len(given) < len(files) else set()
        held = [
            file for source in sources for file in source.files if file not in given and _holds(source, file, paths)
        ]
        given |= {file: _Given(path, as_published=False) for file in held}
        if path in unknown and not held:
            raise _belongs_to_nothing(path, files, paths)
    return given


def _is_archive(path: Path) -> bool:
    return kind_of_file(path) in ("a zip archive", "a tar archive", "a gzip file")


def _holds(source: DataSource, file: SourceFile, paths: Collection[PurePosixPath]) -> bool:
    """Whether an archive holds what a file brings, with all that the source expects in the same place."""
    picks = _picks(file, paths)
    return picks is not None and all(
        pick / PurePosixPath(expected).relative_to(to) in paths
        for pick, to in picks
        for expected in source.expects
        if PurePosixPath(expected).is_relative_to(to)
    )


def _is_published(file: SourceFile, path: Path) -> bool:
    check = _checksum(file)
    return file.filename.lower() == path.name.lower() or (check.has_hash and check.mismatch(path) is None)


def _belongs_to_nothing(path: Path, files: Sequence[SourceFile], paths: Collection[PurePosixPath]) -> ConfigError:
    wanted = [f"{file.filename} or {_described(file)}" for file in dict.fromkeys(files)]
    return ConfigError(
        "Cannot tell what of the data set the archive holds.",
        where=path,
        expected="; ".join(wanted),
        got=_top_level(paths),
        todo="unpack it, bring its folders into the data set's layout, and run `duskbench data verify`",
    )


def _described(file: SourceFile) -> str:
    if file.to is not None:
        return f"an archive with a file {PurePosixPath(file.to).name}"
    inside = (f"{' or '.join(one.picks)}{f' with {one.holds}' if one.holds else ''}" for one in file.placements)
    return f"an archive with a folder {', '.join(inside)}"


def _top_level(paths: Collection[PurePosixPath]) -> str:
    names = sorted({path.parts[0] for path in paths if path.parts})
    return f"{', '.join(names[:10])}{', ...' if len(names) > 10 else ''}" or "nothing"


def _picks(file: SourceFile, paths: Collection[PurePosixPath]) -> list[tuple[PurePosixPath, str]] | None:
    """Which of an archive's paths go where below the root, the outermost of several; None if one is absent."""
    outermost = sorted(paths, key=lambda path: (len(path.parts), path.parts))
    picks: list[tuple[PurePosixPath, str]] = []
    for placement in file.placements or (Placement((PurePosixPath(file.to or "").name,), file.to or ""),):
        wanted = [PurePosixPath(pick).parts for pick in placement.picks]
        for path in outermost:
            named = any(path.parts[-len(parts) :] == parts for parts in wanted)
            if named and (placement.holds is None or path / placement.holds in paths):
                picks.append((path, placement.to))
                break
        else:
            return None
    return picks


def _checksum(file: SourceFile) -> Checksum:
    return Checksum(file.sha256, file.md5, file.size)


def _fetch_source(
    source: DataSource, root: Path, given: dict[SourceFile, _Given], progress: Progress, timeout: float
) -> None:
    archives: dict[Path, list[SourceFile]] = {}
    for file in source.files:
        path = _obtain(source, file, root, given.get(file), progress, timeout)
        archives.setdefault(path, []).append(file)
    root.mkdir(parents=True, exist_ok=True)
    remove_leftovers(root, deep=False)
    with tempfile.TemporaryDirectory(dir=root, prefix=f".extract-{os.getpid()}-") as temporary:
        moves = [
            move
            for number, (path, files) in enumerate(archives.items())
            for move in _unpacked(path, files, Path(temporary, str(number)))
        ]
        # From here to the last move a stop would leave a tree that looks whole.
        _marker(source, root).touch()
        for unpacked, to in moves:
            _move(unpacked, root / to)
    _verify(source, root)
    _marker(source, root).unlink()
    logger.info("%s is complete in %s", source.name, root)


def _obtain(
    source: DataSource,
    file: SourceFile,
    root: Path,
    given: _Given | None,
    progress: Progress,
    timeout: float,
) -> Path:
    """The file on disk, verified: the user's own, or downloaded."""
    if given is not None:
        mismatch = _checksum(file).mismatch(given.path)
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


def _unpacked(path: Path, files: Sequence[SourceFile], folder: Path) -> list[tuple[Path, str]]:
    """What of an archive, or a file that is none, goes where below the root; extracted beside the tree."""
    if all(file.to is not None and _is_published(file, path) for file in files):
        folder.mkdir()
        return [(Path(shutil.copyfile(path, folder / str(number))), str(file.to)) for number, file in enumerate(files)]
    extract(path, folder, max_bytes=sum(file.max_bytes for file in files))
    paths = {PurePosixPath(found.relative_to(folder)) for found in folder.rglob("*")}
    moves = []
    for file in files:
        picks = _picks(file, paths)
        if picks is None:
            raise DataError(
                "The archive does not hold the data set.",
                where=path,
                expected=_described(file).removeprefix("an archive with "),
                got=_top_level(paths),
                todo="check that this is the archive of this data set",
            )
        moves += [(folder / pick, to) for pick, to in picks]
    return moves


def _move(unpacked: Path, target: Path) -> None:
    """Move a file, or a folder file by file, over what an earlier call left."""
    files = [unpacked] if unpacked.is_file() else sorted(path for path in unpacked.rglob("*") if path.is_file())
    for path in files:
        place = target / path.relative_to(unpacked)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)


def _verify(source: DataSource, root: Path) -> None:
    missing = [path for path in source.expects if not (root / path).exists()]
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
