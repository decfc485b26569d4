"""What is an image of a folder: one rule for data sets, training folders, references and enhanced images."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.file_kinds import kind_of_file
from duskbench.data_tools.file_states import other_than_file
from duskbench.data_tools.ids import forms, printable, shown, stem
from duskbench.data_tools.images import is_image_file

_NAMED = 3
# Folders that systems keep for themselves: thumbnails of a Synology, what was thrown away, what only root may list.
_OF_SYSTEMS = frozenset({"@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found", "__MACOSX"})
_HEIF = "HEIF, which needs the package pillow-heif: convert them to PNG or JPEG"
_DEVELOP = "raw photos: develop them to TIFF or JPEG first"
_CONVERT = "no format that is read: convert them to PNG"
UNNAMED = "images without an extension: name them .jpg, .png, ..."
_EXTENSION = re.compile(r"\.\w+")
# Extensions of pictures that are not read; anything else that is no image is not of interest.
_PICTURES: dict[str, str] = {
    **dict.fromkeys((".heic", ".heif", ".hif"), _HEIF),
    **dict.fromkeys(
        (".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mrw", ".nef", ".nrw",
         ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
        _DEVELOP,
    ),
    **dict.fromkeys(
        (".dds", ".exr", ".gif", ".hdr", ".ico", ".j2c", ".j2k", ".jp2", ".jpf", ".jpx", ".jxl", ".mpo", ".pam", ".pcx",
         ".pfm", ".psd", ".svg", ".tga", ".xcf"),
        _CONVERT,
    ),
}  # fmt: skip


@dataclass
class ImageFiles:
    """The image files in a folder and below it.

    Attributes:
        root: The folder.
        files: Paths relative to it, with `/`, sorted.
        others: The other files, likewise; hidden ones are in neither.
        left_out: Reason -> what was left out for it: pictures of a format that is not read, pictures without an
            extension, hidden pictures, pipes, links that lead nowhere or to a folder that was read already.
    """

    root: Path
    files: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, one sentence a reason with the number and the first names."""
        return tuple(_note(reason, names) for reason, names in self.left_out.items())

    @property
    def notes_by_id(self) -> tuple[str, ...]:
        """`notes`, and of the files that share an id those that `by_id` does not put first."""
        others = [file for files in self.by_id().values() for file in files[1:]]
        return (*self.notes, *([_note("beside a file of the same name that is read", others)] if others else []))

    def by_id(self) -> dict[str, list[str]]:
        """Relative path without extension -> the files; where there are several, the one to read comes first."""
        return _group(self.files, stem)

    def others_by_id(self, suffix: str) -> dict[str, str]:
        """Relative path without extension -> the other file of an extension, in any case; lower case goes first."""
        files = [file for file in self.others if file.lower().endswith(suffix)]
        return {file[: -len(suffix)]: file for file in sorted(files, key=lambda file: (file.endswith(suffix), file))}

    @cached_property
    def by_name(self) -> dict[str, list[str]]:
        """File name without extension -> the files of that name, in whatever folder."""
        return _group(self.files, lambda file: stem(PurePosixPath(file).name))

    def matching(self, image_id: str) -> list[Path]:
        """The files that belong to an image of a data set, as its enhanced or lit versions do.

        Of an id with folders those of the same path, if there are any; else those of its file name, unless their
        folders are others than the id's: `1.png` and `deep/x/1.png` can be of `x/1`, and `y/1.png` cannot. Of an id
        without folders those of its name in whatever folder. Extensions do not matter, unless the id has one. More than
        one is for the caller to settle.
        """
        return next(filter(None, map(self._matching, forms(image_id))), [])

    def _matching(self, image_id: str) -> list[Path]:
        folder, _, name = image_id.rpartition("/")
        named = sorted(self.by_name.get(name, []))
        same = [file for file in named if stem(file) == image_id] if folder else []
        found = [file for file in same or named if _is_below(stem(file), image_id)]
        # An id has its extension where two formats share a name.
        found = found or [file for file in self.by_name.get(stem(name), []) if _is_below(file, image_id)]
        return [self.root / file for file in found]

    def matching_each(self, image_ids: Iterable[str]) -> dict[str, list[Path]]:
        """The files that belong to each of a data set's images, see `matching`; no file to two of them.

        What could be of two is that image's whose path is the same, else nobody's.
        """
        found = {image_id: self.matching(image_id) for image_id in image_ids}
        takers = Counter(file for files in found.values() for file in files)
        return {
            image_id: [file for file in files if takers[file] == 1 or self._id_of(file) == image_id]
            for image_id, files in found.items()
        }

    def one_each(self, image_ids: Iterable[str], problem: str, todo: str) -> dict[str, Path]:
        """The one file that belongs to each of a data set's images, see `matching_each`.

        Raises:
            DataError: An image has none, or several: `problem`, with `todo` as what helps.
        """
        found = self.matching_each(image_ids)
        wrong = [
            f"{image_id}: {', '.join(file.name for file in files) or 'none'}"
            for image_id, files in found.items()
            if len(files) != 1
        ]
        if wrong:
            raise DataError(
                problem,
                where=self.root,
                expected="one file of the image's path or name for each image, and none for two",
                got=f"{len(wrong)} of {len(found)} without: {shown(wrong)}",
                todo=todo,
            )
        return {image_id: files[0] for image_id, files in found.items()}

    def _id_of(self, file: Path) -> str:
        return stem(file.relative_to(self.root).as_posix())


def _note(reason: str, names: list[str]) -> str:
    more = ", ..." if len(names) > _NAMED else ""
    return f"{len(names)} left out, {reason}: {', '.join(map(printable, names[:_NAMED]))}{more}"


def find_images(folder: str | Path) -> ImageFiles:
    """Find the image files in a folder and below it.

    An image is a file whose extension, in any case, is one that `read_image` reads, and whose name does not begin with
    a dot (`._a.jpg` is what macOS leaves behind). Hidden folders and those of systems (`@eaDir`, `lost+found`) are
    passed over. Links to files and folders are followed; a folder that was read already, which includes any loop of
    links, is not read again.

    Raises:
        DataError: A folder cannot be listed.
    """
    root = Path(folder)
    found = ImageFiles(root)
    left_out: defaultdict[str, list[str]] = defaultdict(list)
    seen: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(root, onerror=_unlisted, followlinks=True):
        inside = Path(place).relative_to(root)
        if _seen_before(place, seen):
            folders.clear()
            left_out["folders that were read already under another name"].append(inside.as_posix())
            continue
        # Folders before links to folders: of two names of a folder its own is the one that counts.
        folders[:] = sorted(
            (name for name in folders if not name.startswith(".") and name not in _OF_SYSTEMS),
            key=lambda name: (Path(place, name).is_symlink(), name),
        )
        for name in names:
            path = (inside / name).as_posix()
            kind, reason = _sort_out(Path(place, name))
            if kind is not None:
                getattr(found, kind).append(path)
            elif reason:
                left_out[reason].append(path)
    found.files.sort()
    found.others.sort()
    found.left_out = {reason: sorted(left_out[reason]) for reason in sorted(left_out)}
    return found


def _sort_out(file: Path) -> tuple[str | None, str]:
    """The list of `ImageFiles` that a file belongs to; or None, and why it is left out if that is of interest."""
    is_picture = is_image_file(file) or file.suffix.lower() in _PICTURES
    if file.name.startswith("."):
        return None, "hidden files" if is_picture else ""
    if not is_picture:
        # As downloads have them: `photo`, `photo.jpg?raw=1`.
        is_unnamed = not _EXTENSION.fullmatch(file.suffix) and (kind_of_file(file) or "").endswith(" image")
        return (None, UNNAMED) if is_unnamed else ("others", "")
    other = other_than_file(file)
    if other is not None:
        return None, f"{other} in place of a file" if file.exists() else "links that lead nowhere"
    return ("files", "") if is_image_file(file) else (None, _PICTURES[file.suffix.lower()])


def _seen_before(place: str, seen: set[tuple[int, int]]) -> bool:
    state = os.stat(place)  # noqa: PTH116
    known = (state.st_dev, state.st_ino)
    if known in seen:
        return True
    seen.add(known)
    return False


def _unlisted(error: OSError) -> None:
    raise DataError(
        "Cannot list a folder of images.", where=printable(str(error.filename)), got=str(error.strerror)
    ) from error


def _is_below(one: str, other: str) -> bool:
    """Whether one of two paths is the other, or its end behind further folders."""
    return f"/{one}".endswith(f"/{other}") or f"/{other}".endswith(f"/{one}")


def _group(files: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    """Group relative paths by id. Where an id has several files, `.jpg` comes first, the others by name."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for file in sorted(files, key=lambda file: (not file.endswith(".jpg"), file)):
        groups[key(file)].append(file)
    return {image_id: groups[image_id] for image_id in sorted(groups)}
