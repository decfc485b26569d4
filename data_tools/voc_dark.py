"""VOC-dark: real VOC photographs at night, with their exact boxes and, in `lit`, the originals as references."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from duskbench.data_tools.datasets import missing, open_dataset
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.files import file_sha256, place_file, write_bytes, write_text
from duskbench.data_tools.ids import shown
from duskbench.data_tools.image_sets import IMAGE_SETS
from duskbench.data_tools.images import read_image, write_image
from duskbench.data_tools.leftovers import remove_leftovers
from duskbench.data_tools.night import Exposure, Night, image_seed
from duskbench.data_tools.ordered_map import ordered_map
from duskbench.data_tools.progress import SILENT, Progress
from duskbench.data_tools.settings import check_setting, is_whole
from duskbench.data_tools.voc import VOC

MANIFEST = "manifest.jsonl"
LIT = "lit"
# Raised whenever the same seed would give other pictures.
VERSION = 1
_FILENAME = re.compile(rb"<filename>[^<]*</filename>")


@dataclass(frozen=True)
class VocDark:
    """What `make_voc_dark` did: the tree, the images of the split it wrote, and how many of them it darkened now."""

    out: Path
    split: str
    images: int
    darkened: int

    def __str__(self) -> str:
        return f"{self.out}, split {self.split}: {self.images} images, {self.darkened} darkened now; originals in {LIT}"


class _Picture(NamedTuple):
    """A photo in one night: its id in the lit tree, the seed of the night, what the id in the dark tree has besides."""

    photo: str
    seed: int
    suffix: str

    @property
    def id(self) -> str:
        """In the dark tree."""
        return f"{self.photo}{self.suffix}"


@dataclass(frozen=True)
class _Maker:
    """Makes one image's files; safe to call from several threads."""

    source: VOC
    out: Path
    night: Night | Exposure
    earlier: dict[str, dict[str, Any]] = field(default_factory=dict)

    def make(self, picture: _Picture) -> tuple[dict[str, Any], bool]:
        """Write the files that are not there or no longer right; the image's row, and whether it was darkened."""
        lit = self.source.image_path(picture.photo)
        dark = self.out / "JPEGImages" / f"{picture.id}.png"
        place = lit.relative_to(self.source.root / "JPEGImages")
        name = place.with_name(f"{place.stem}{picture.suffix}{place.suffix}").as_posix()
        self._copy_annotation(picture, dark.name)
        fresh = place_file(lit, self.out / LIT / name, "hardlink")
        row = self.earlier.get(picture.id)
        if row is not None and not fresh and _is_intact(dark, row, lit):
            return row, False
        image_rgb = read_image(lit)
        seed = image_seed(picture.seed, picture.photo)
        rng = np.random.default_rng(seed)
        photo = self.night.draw(image_rgb.shape[:2], rng)
        write_image(dark, photo.take(image_rgb, rng))
        row = {
            "id": picture.id,
            "file": f"{picture.id}.png",
            "bytes": dark.stat().st_size,
            "sha256": file_sha256(dark),
            "lit": name,
            "lit_sha256": file_sha256(lit),
            "seed": seed,
            **photo.to_dict(),
        }
        return row, True

    def _copy_annotation(self, picture: _Picture, file: str) -> None:
        """Byte for byte, but for the name of the image file."""
        path = self.source.annotation_path(picture.photo)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DataError("Cannot read the annotation.", where=path, got=str(error)) from error
        # In ASCII the name is right in any encoding that the file declares.
        name = escape(file).encode("ascii", "xmlcharrefreplace")
        data = _FILENAME.sub(lambda _: b"<filename>%s</filename>" % name, data, count=1)
        target = self.out / "Annotations" / f"{picture.id}.xml"
        if not target.is_file() or target.read_bytes() != data:
            write_bytes(target, data)


def _is_intact(dark: Path, row: dict[str, Any], lit: Path) -> bool:
    """A picture of the recorded size that is not older than what it was made from."""
    try:
        state = dark.stat()
    except OSError:
        return False
    return state.st_size == row["bytes"] and state.st_mtime_ns >= lit.stat().st_mtime_ns


def make_voc_dark(
    voc: str | Path,
    out: str | Path,
    *,
    split: str | Path | Sequence[str] = "test",
    year: int | str | None = None,
    limit: int | None = None,
    seed: int = 0,
    nights: int = 1,
    night: Night | Exposure | None = None,
    workers: int | None = None,
    progress: Progress = SILENT,
) -> VocDark:
    """Darken the photographs of a VOC tree and write them as a VOC tree of their own.

    Writes `JPEGImages/<id>.png` (lossless, or the codec would smooth the noise), `Annotations/<id>.xml` (the
    original's bytes but for the file name), `lit/<original file>` (hard-linked where the file system allows it),
    `manifest.jsonl` (settings, then for each image its camera, lamps, seed and hashes) and last
    `ImageSets/Main/<split>.txt`. Every file appears whole or not at all. Run again, it leaves what is right and makes
    the rest; another split, a larger limit or more nights are added. Same arguments, same bytes, whatever the number
    of workers and of images. Time grows linearly with the images; of each, memory holds its row of the manifest.

    Args:
        voc: VOC tree of lit photographs; see `voc.VOC`.
        out: Folder of the dark tree.
        split: Which images; see `datasets.open_dataset`. Ids or a file of them are written as split `test`, `all` as
            the image sets that the lit tree has.
        year: Which VOC year, where `voc` holds several.
        limit: Only so many of the images that are there, evenly spread.
        seed: Non-negative; each image's own seed comes from it and the image id.
        nights: Of each photo. Where it is more than one the ids are `<id>_night0`, `<id>_night1` and so on; night k is
            that of the seed `seed + k` alone.
        night: Ranges that cameras and lamps are drawn from, or one exposure for all.
        workers: Threads; as many as there are cores by default.
        progress: Where images done are reported.

    Raises:
        ConfigError: An argument is out of range, or `out` is the lit tree.
        DataError: The lit tree is broken or lacks images, or `out` holds another data set.
    """
    night, out = night or Night(), Path(out)
    check_setting("VOC-dark", "seed", seed, is_whole(seed, 0), "a whole number of at least 0")
    check_setting("VOC-dark", "limit", limit, limit is None or is_whole(limit, 1), "a whole number of at least 1")
    check_setting("VOC-dark", "nights", nights, is_whole(nights, 1), "a whole number of at least 1")
    source = open_dataset(voc, layout="voc", split=split, year=year)
    assert isinstance(source, VOC)  # noqa: S101 - what layout="voc" opens
    if source.root.resolve() == out.resolve():
        raise ConfigError("The dark tree would overwrite the lit one.", where=out, todo="choose another folder")
    name = split if isinstance(split, str) and source.split == split else "test"
    suffixes = [f"_night{number}" for number in range(nights)] if nights > 1 else [""]
    photos = _select(source, limit)
    pictures = [_Picture(photo, seed + number, suffix) for photo in photos for number, suffix in enumerate(suffixes)]
    settings = {"version": VERSION, "seed": seed, "night": asdict(night)}
    remove_leftovers(out)
    earlier = _open_manifest(out, settings)
    maker = _Maker(source, out, night, earlier)
    rows, darkened = dict(earlier), 0
    with (out / MANIFEST).open("a", encoding="utf-8") as journal:
        for done, (row, is_new) in enumerate(ordered_map(maker.make, pictures, workers), start=1):
            if is_new:
                rows[row["id"]] = row
                darkened += 1
                journal.write(_line(row))
                journal.flush()
            progress.update("Darkening", done, len(pictures))
    write_text(out / MANIFEST, _line(_header(settings)) + "".join(_line(rows[image_id]) for image_id in sorted(rows)))
    for each, listed in _image_sets(source, name, photos).items():
        lines = (f"{photo}{suffix}\n" for photo in listed for suffix in suffixes)
        write_text(out / IMAGE_SETS / f"{each}.txt", "".join(lines))
    return VocDark(out, name, len(pictures), darkened)


def _select(source: VOC, limit: int | None) -> list[str]:
    absent = missing(source)
    if limit is None and absent:
        raise DataError(
            "Image files are absent.",
            where=source.root / "JPEGImages",
            expected=f"{len(source.ids)} images",
            got=f"{len(absent)} absent: {shown(absent)}",
            todo="complete the images, give the ids there are as split, or a limit, which takes images that are there",
        )
    gone = set(absent)
    present = [image_id for image_id in source.ids if image_id not in gone]
    if not present:
        raise DataError("The split has no image that is there.", where=source.root, got=f"{len(source.ids)} ids")
    count = min(limit or len(present), len(present))
    return [present[i * len(present) // count] for i in range(count)]


def _image_sets(source: VOC, split: str, ids: list[str]) -> dict[str, list[str]]:
    """The image sets to write: of `all` what the images are in, or `test` where the lit tree has no image sets."""
    if split != "all":
        return {split: ids}
    taken = set(ids)
    sets = {name: [one for one in listed if one in taken] for name, listed in source.image_sets.items()}
    return {name: listed for name, listed in sets.items() if listed} or {"test": ids}


def _header(settings: dict[str, Any]) -> dict[str, Any]:
    # numpy promises the same stream for the same seed only within a version; these are for the record.
    return {"voc_dark": settings, "versions": {"numpy": np.__version__, "opencv": cv2.__version__}}


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, allow_nan=False) + "\n"


def _open_manifest(out: Path, settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Rows of what was made before, or a new manifest; the file doubles as the record of a run that is interrupted."""
    path = out / MANIFEST
    if not path.is_file():
        foreign = [name for name in ("JPEGImages", "Annotations", "ImageSets", LIT) if (out / name).exists()]
        if foreign:
            raise DataError(
                "The folder holds something that is not VOC-dark; it would be mixed up or overwritten.",
                where=out,
                expected="an empty folder",
                got=", ".join(foreign),
                todo="choose another folder",
            )
        write_text(path, _line(_header(settings)))
        return {}
    header, rows = read_manifest(path)
    wanted = json.loads(_line(settings))
    if header["voc_dark"] != wanted:
        raise DataError(
            "The folder holds a VOC-dark made from other settings.",
            where=path,
            expected=json.dumps(wanted, sort_keys=True),
            got=json.dumps(header["voc_dark"], sort_keys=True),
            todo="remove the folder, or choose another one",
        )
    return rows


def read_manifest(path: str | Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Read a manifest: its header, and image id -> row.

    A line that was cut off when a run was killed is passed over; of two rows of an image the later one counts.

    Raises:
        DataError: The file is missing or no such manifest.
    """
    rows: dict[str, dict[str, Any]] = {}
    try:
        with Path(path).open(encoding="utf-8") as file:
            header = json.loads(file.readline())
            header["voc_dark"]["seed"]
            for line in file:
                try:
                    row = json.loads(line)
                except ValueError:
                    continue
                rows[row["id"]] = row
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            "Not the manifest of a VOC-dark.", where=path, got=repr(error), todo="remove the folder and make it again"
        ) from error
    return header, rows
