"""Which published files of a data set an archive is or holds, and what of it goes where."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from duskbench.data_tools.archives import paths_in
from duskbench.data_tools.data_source import DataSource, Placement, SourceFile
from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.file_kinds import kind_of_file
from duskbench.data_tools.ids import shown


@dataclass(frozen=True)
class Given:
    """A file of the user's: under the name or with the hash of the published one, or known by what it holds."""

    path: Path
    as_published: bool


def assign(archives: Sequence[str | Path], sources: Sequence[DataSource]) -> dict[SourceFile, Given]:
    """Tell which files of the catalogue each archive is or holds."""
    files = [file for source in sources for file in source.files]
    given: dict[SourceFile, Given] = {}
    unknown = []
    for path in map(Path, archives):
        if not path.is_file():
            raise ConfigError("The archive is not there.", where=path, expected="a file")
        published = [file for file in files if file not in given and is_published(file, path)]
        given |= {file: Given(path, as_published=True) for file in published}
        if not published:
            unknown.append(path)
    # A mirror's archive has any name, and may hold what was published as several. What has a hash is what it is.
    unsure = [one.path for file, one in given.items() if not file.checksum.has_hash and _is_archive(one.path)]
    for path in dict.fromkeys([*unknown, *unsure]):
        paths = set().union(*paths_in(path)) if path in unknown or len(given) < len(files) else set()
        held = [
            file for source in sources for file in source.files if file not in given and _holds(source, file, paths)
        ]
        given |= {file: Given(path, as_published=False) for file in held}
        if path in unknown and not held:
            raise _belongs_to_nothing(path, files, paths)
    return given


def _is_archive(path: Path) -> bool:
    return kind_of_file(path) in ("a zip archive", "a tar archive", "a gzip file")


def _holds(source: DataSource, file: SourceFile, paths: Collection[PurePosixPath]) -> bool:
    """Whether an archive holds what a file brings, with all that the source expects in the same place."""
    return picks(file, paths, source.expects) is not None


def is_published(file: SourceFile, path: Path) -> bool:
    """Whether a file has the published one's name or hash."""
    check = file.checksum
    return file.filename.lower() == path.name.lower() or (check.has_hash and check.mismatch(path) is None)


def _belongs_to_nothing(path: Path, files: Sequence[SourceFile], paths: Collection[PurePosixPath]) -> ConfigError:
    wanted = [f"{file.filename} or an archive with {described(file)}" for file in dict.fromkeys(files)]
    return ConfigError(
        "Cannot tell what of the data set the archive holds.",
        where=path,
        expected="; ".join(wanted),
        got=top_level(paths),
        todo="unpack it, bring its folders into the data set's layout, and run `duskbench data verify`",
    )


def described(file: SourceFile) -> str:
    """What an archive must have inside to hold a published file."""
    if file.to is not None:
        return f"a file {PurePosixPath(file.to).name}"
    inside = (f"{' or '.join(one.picks)}{f' with {one.holds}' if one.holds else ''}" for one in file.placements)
    return f"a folder {', '.join(inside)}"


def top_level(paths: Collection[PurePosixPath]) -> str:
    """The first names at the top of an archive, to be shown."""
    names = sorted({path.parts[0] for path in paths if path.parts})
    return shown(names, 10) or "nothing"


def picks(
    file: SourceFile, paths: Collection[PurePosixPath], expects: Sequence[str] = ()
) -> list[tuple[PurePosixPath, str]] | None:
    """Which of an archive's paths go where below the root, the outermost of several; None if one is absent.

    Args:
        file: What is wanted.
        paths: All of the archive.
        expects: Paths below the root that must come with it: a mirror has two folders VOC2007, of training and test.
    """
    outermost = sorted(paths, key=lambda path: (len(path.parts), path.parts))
    found: list[tuple[PurePosixPath, str]] = []
    for placement in file.placements or (Placement((PurePosixPath(file.to or "").name,), file.to or ""),):
        wanted = [PurePosixPath(pick).parts for pick in placement.picks]
        expected = [each for each in map(PurePosixPath, expects) if each.is_relative_to(placement.to)]
        inside = [PurePosixPath(placement.holds or ""), *(each.relative_to(placement.to) for each in expected)]
        for path in outermost:
            named = any(path.parts[-len(parts) :] == parts for parts in wanted)
            if named and all(path / each in paths for each in inside):
                found.append((path, placement.to))
                break
        else:
            return None
    return found
