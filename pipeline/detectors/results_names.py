"""Which image of a data set each name in a results file means."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from duskbench.data_tools.coco_files import spellings
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.ids import bare_id, forms

_NO_NUMBER = -1


class ResultsNames:
    """The images that a results file names.

    Args:
        path: The file, for messages.
        first_entry: Position of the first entry of each `image_id`.
        file_names: File name of each number, as COCO's `images` has it; may be empty.
    """

    def __init__(self, path: Path, first_entry: Mapping[Any, int], file_names: Mapping[Any, str]) -> None:
        self._path, self._first_entry, self._file_names = path, first_entry, file_names

    def settle(self, image_ids: Iterable[str]) -> tuple[dict[str, list[Any]], dict[Any, int]]:
        """Say which names mean which image.

        A name means the image of that id, else of the id that is left when folders are taken away, else the only one
        of its number (`12`, 000012).

        Args:
            image_ids: All of the data set.

        Returns:
            The names of each id, one each in several spellings; and the names of none, each with the number of ids
            that it could be the number of.

        Raises:
            DataError: A name means two images, or two names mean one.
        """
        known = set(image_ids)
        numbered: dict[int, list[str]] = {}
        for image_id in known:
            numbered.setdefault(_number(image_id), []).append(image_id)
        of_image: dict[str, list[Any]] = {}
        unknown = {}
        for image in self._first_entry:
            names, listed = self.of(image), self._listed(image)
            self._check_one_meaning(image, names[-1], known)
            # With its extension first: that tells 1.jpg and 1.png apart.
            found = [form for name in (listed, *names) for form in forms(name) if form in known][:1] or _of_number(
                names[-1], numbered
            )
            if len(found) == 1:
                of_image.setdefault(found[0], []).append(image)
            else:
                unknown[image] = len(found)
        for image_id, images in of_image.items():
            self._check_one_name(image_id, images)
        return of_image, unknown

    def of(self, image: Any) -> list[str]:
        """The ids that an image may have in a data set: without extension, with ever fewer folders, of Windows too."""
        parts = PurePosixPath(bare_id(self._listed(image))).parts
        return ["/".join(parts[first:]) for first in range(len(parts))] or [""]

    def _listed(self, image: Any) -> str:
        """The file name of a number, or what else an entry names its image by."""
        return str(next((self._file_names[each] for each in spellings(image) if each in self._file_names), image))

    def where(self, image: Any) -> str:
        """The file and the first entry that names an image, for messages."""
        return f"{self._path}, entry {self._first_entry[image]}"

    def _check_one_meaning(self, image: Any, name: str, known: Container[str]) -> None:
        # Where the file's ids are numbers, "1" may be image number 1 or the file 1.jpg.
        is_literal = image in (name, self._listed(image)) or image in self._file_names
        if isinstance(image, str) and not is_literal and image in known:
            raise DataError(
                "An image_id is the number of one image and the name of another.",
                where=self.where(image),
                expected=f"{image} without quotes for {name}, or the file's name with its extension for {image}",
                got=repr(image),
            )

    def _check_one_name(self, image_id: str, images: Sequence[Any]) -> None:
        # They may be two images, as day/1.jpg and night/1.jpg where the data set has one image 1.
        names: dict[str, Any] = {}
        for image in images:
            names.setdefault(self.of(image)[0], image)
        if len(names) > 1:
            first, second = list(names)[:2]
            raise DataError(
                "Two names of the results file mean one image.",
                where=self.where(names[second]),
                expected=f"one name for {image_id}",
                got=f"{first!r} and {second!r}",
                todo="name each image as the data set does, in all entries",
            )


def _of_number(name: str, numbered: Mapping[int, Sequence[str]]) -> list[str]:
    """The ids that are written as the same number; `1_11` and `11_1` are two names."""
    number = _number(name)
    if number == _NO_NUMBER:
        return []
    return [image_id for image_id in numbered.get(number, ()) if name.isdecimal() or image_id.isdecimal()]


def _number(name: str) -> int:
    """`000012` loses its zeros where an id is stored as a number, `2008_000012` its underscore too."""
    digits = name.replace("_", "")
    # Longer ones are no number that a program counts by, and Python refuses to read them.
    return int(digits) if digits.isdecimal() and len(digits) < 100 else _NO_NUMBER
