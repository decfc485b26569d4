"""Data sets from the catalogue, downloaded or from archives that a user has, laid out as the readers expect them."""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from duskbench.data_tools.archives import extract
from duskbench.data_tools.download import download
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.files import write_bytes
from duskbench.data_tools.partial import Checksum
from duskbench.data_tools.progress import SILENT, Progress
from duskbench.data_tools.sources import DataSource, Placement, SourceFile, find_sources

__all__ = ["AcceptTerms", "download", "fetch", "is_complete", "tree_sha256"]

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

    What is complete already is left alone, and its terms are not shown again. An interrupted call is taken up by the
    next: downloads where they stopped, extraction from its start.

    Args:
        name: A name of `sources.SOURCES` or `sources.GROUPS`.
        root: Folder that holds the data sets; made if missing. VOC goes to `VOCdevkit/VOC2007`, ExDark to `ExDark`,
            `ExDark_Annno` and `imageclasslist.txt`.
        accept_terms: Called with each source whose terms are new; False stops.
        from_archives: Archives that the user has, used instead of downloads and recognised by name, else by hash.
            They are not removed. Those that are not given are downloaded.
        progress: Where downloads are reported.
        keep_archives: Keep what was downloaded, under `.downloads`.
        timeout: Seconds without data before a connection counts as cut.

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


def _assign(archives: Sequence[str | Path], sources: Sequence[DataSource]) -> dict[SourceFile, Path]:
    """Tell which file of the catalogue each archive is."""
    files = [file for source in sources for file in source.files]
    given: dict[SourceFile, Path] = {}
    for path in map(Path, archives):
        if not path.is_file():
            raise ConfigError("The archive is not there.", where=path, expected="a file")
        open_files = [file for file in files if file not in given]
        named = [file for file in open_files if file.filename.lower() == path.name.lower()]
        hashed = [file for file in open_files if _checksum(file).has_hash and not _checksum(file).mismatch(path)]
        match = (named or hashed or (open_files if len(open_files) == 1 else []))[:1]
        if not match:
            raise ConfigError(
                "Cannot tell which file of the data set the archive is.",
                where=path,
                expected=" or ".join(file.filename for file in files),
                got=path.name,
                todo="give the archive the name it was published under",
            )
        given[match[0]] = path
    return given


def _checksum(file: SourceFile) -> Checksum:
    return Checksum(file.sha256, file.md5, file.size)


def _fetch_source(
    source: DataSource, root: Path, given: dict[SourceFile, Path], progress: Progress, timeout: float
) -> None:
    local = {file: _obtain(source, file, root, given.get(file), progress, timeout) for file in source.files}
    # From here to the last move a stop would leave a tree that looks whole.
    root.mkdir(parents=True, exist_ok=True)
    _marker(source, root).touch()
    for file, path in local.items():
        if file.to is not None:
            write_bytes(root / file.to, path.read_bytes())
        else:
            _lay_out(file, path, root)
    _verify(source, root)
    _marker(source, root).unlink()
    logger.info("%s is complete in %s", source.name, root)


def _obtain(
    source: DataSource,
    file: SourceFile,
    root: Path,
    given: Path | None,
    progress: Progress,
    timeout: float,
) -> Path:
    """The file on disk, verified: the user's own, or downloaded."""
    if given is not None:
        mismatch = _checksum(file).mismatch(given)
        if mismatch is not None:
            expected, got = mismatch
            raise DataError(
                f"The archive is not the published {file.filename}.",
                where=given,
                expected=expected,
                got=got,
                todo="leave it out to download the published one, or extract it yourself and run "
                "`duskbench data verify`",
            )
        return given
    if not file.urls:
        raise DataError(
            f"There is no address from which {file.filename} can be downloaded.",
            where=source.name,
            todo=source.note or "get the file elsewhere and pass it with --from-archive",
        )
    dest = root / ".downloads" / file.filename
    return download(
        file.urls, dest, sha256=file.sha256, md5=file.md5, size=file.size, progress=progress, timeout=timeout
    )


def _lay_out(file: SourceFile, archive: Path, root: Path) -> None:
    """Extract beside the tree, then move what is wanted into it, file by file, over what an earlier call left."""
    with tempfile.TemporaryDirectory(dir=root, prefix=".extract-") as temporary:
        extracted = extract(archive, Path(temporary) / "archive", max_bytes=file.max_bytes)
        found = [(_find(placement, extracted, archive), root / placement.to) for placement in file.placements]
        for folder, target in found:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    place = target / path.relative_to(folder)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    path.replace(place)


def _find(placement: Placement, extracted: Path, archive: Path) -> Path:
    """The folder that a placement means, the outermost where there are several."""
    folders = sorted(
        (path.relative_to(extracted) for path in extracted.rglob("*") if path.is_dir()),
        key=lambda path: (len(path.parts), path.parts),
    )
    picks = [PurePosixPath(pick).parts for pick in placement.picks]
    for folder in folders:
        named = any(folder.parts[-len(pick) :] == pick for pick in picks)
        if named and (placement.holds is None or (extracted / folder / placement.holds).exists()):
            return extracted / folder
    children = sorted(path.name for path in extracted.iterdir())
    raise DataError(
        "The archive does not hold the data set.",
        where=archive,
        expected=f"a folder {' or '.join(placement.picks)}" + (f" with {placement.holds}" if placement.holds else ""),
        got=f"{', '.join(children[:10])}{', ...' if len(children) > 10 else ''}",
        todo="check that this is the archive of this data set",
    )


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
