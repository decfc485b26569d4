"""Which pictures the miniature has, and one picture's files in the layouts of VOC and ExDark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import cv2
import numpy as np

from duskbench.data_tools.classes import (  # fmt: skip
    EXDARK_CLASSES,
    EXDARK_TO_VOC,
    INDOOR_OUTDOOR,
    LIGHTING_TYPES,
    SHARED_CLASSES,
    SPLITS,
    VOC_CLASSES,
)
from duskbench.data_tools.darken import darken
from duskbench.data_tools.files import write_bytes, write_text
from duskbench.data_tools.miniature.lighting import (
    INDOOR_ONLY,
    OUTDOOR_ONLY,
    TWIN_CAMERA,
    day_camera,
    needs_of,
    night_of,
)
from duskbench.data_tools.miniature.scene import compose
from duskbench.data_tools.records import ObjectAnnotation

VOC = Path("VOCdevkit/VOC2007")
VOC_SPLITS = ("train", "val", "test")
_TO_EXDARK = {voc: exdark for exdark, voc in EXDARK_TO_VOC.items()}
_OUTDOOR_CLASSES = ("boat", "bus", "car")
# The real release's endings: mostly .jpg, some .png, and capitals here and there.
_SUFFIXES = (".jpg", ".jpg", ".png", ".jpg", ".JPG", ".jpg", ".jpeg", ".jpg", ".JPEG", ".jpg", ".png", ".jpg")


@dataclass(frozen=True)
class Job:
    """One picture to render.

    Attributes:
        part: `voc` or `night`.
        split: `train`, `val` or `test`.
        index: Running number in its part; with part and seed it fixes every pixel.
        stem: File name without ending.
        suffix: Ending with its dot.
        anchor: VOC name of the object that is always there.
        lighting: One of `classes.LIGHTING_TYPES`, or None in the lit part.
        indoor: A room.
    """

    part: str
    split: str
    index: int
    stem: str
    suffix: str
    anchor: str
    lighting: str | None
    indoor: bool


@dataclass(frozen=True)
class Rendered:
    """What a job wrote: its files' bytes by path below the root, and its objects' classes."""

    job: Job
    files: dict[str, bytes]
    names: tuple[str, ...]
    counted: tuple[bool, ...]


def voc_jobs(count: int) -> list[Job]:
    """Plan the lit part: a sixth of each class is for testing, the rest goes 3 : 2 to train and val."""
    jobs = []
    for index in range(count):
        anchor = SHARED_CLASSES[index % len(SHARED_CLASSES)]
        turn = index // len(SHARED_CLASSES)
        split = "test" if turn % 6 == 5 else SPLITS[turn % 2]
        indoor = anchor not in _OUTDOOR_CLASSES and (index * 7 + turn) % 5 < 3
        jobs.append(Job("voc", split, index, f"{index + 1:06d}", ".jpg", anchor, None, indoor))
    return jobs


def night_jobs(counts: tuple[int, int, int]) -> list[Job]:
    """Plan the night part, class after class as in the real list, lighting types in turn."""
    plan = []
    for split, count in zip(SPLITS, counts, strict=True):
        for number in range(count):
            anchor = EXDARK_TO_VOC[EXDARK_CLASSES[number % len(EXDARK_CLASSES)]]
            plan.append((EXDARK_CLASSES.index(_TO_EXDARK[anchor]), SPLITS.index(split), number // len(EXDARK_CLASSES)))
    jobs = []
    for index, (class_number, split_number, turn) in enumerate(sorted(plan)):
        anchor = EXDARK_TO_VOC[EXDARK_CLASSES[class_number]]
        start = turn + 3 * class_number + 5 * split_number
        allowed = [t for t in LIGHTING_TYPES if anchor not in _OUTDOOR_CLASSES or t not in INDOOR_ONLY]
        lighting = allowed[start % len(allowed)]
        indoor = anchor not in _OUTDOOR_CLASSES and (start * 3 + class_number) % 5 < 3
        indoor = (indoor or lighting in INDOOR_ONLY) and lighting not in OUTDOOR_ONLY
        stem, suffix = f"2015_{index + 1:05d}", _SUFFIXES[(index * 5 + turn) % len(_SUFFIXES)]
        jobs.append(Job("night", SPLITS[split_number], index, stem, suffix, anchor, lighting, indoor))
    return jobs


def render(job: Job, seed: int, size: tuple[int, int]) -> Rendered:
    """Render one picture and everything that belongs to it; same job, seed and size: same bytes."""
    rng = np.random.default_rng([seed, ("voc", "night").index(job.part), job.index])
    if job.lighting is None:
        scene = compose(job.anchor, rng, size, indoor=job.indoor)
        photo = _encode(darken(scene.rgb, day_camera(rng), rng), ".jpg", 92)
        files = {
            str(VOC / "JPEGImages" / f"{job.stem}.jpg"): photo,
            str(VOC / "Annotations" / f"{job.stem}.xml"): voc_xml(job.stem, size, scene.objects).encode(),
        }
    else:
        needs = needs_of(job.lighting)
        scene = compose(
            job.anchor, rng, size, indoor=job.indoor,
            lamps=needs.lamps, windows=needs.windows, screens=needs.screens, cups=True,
        )  # fmt: skip
        camera, light = night_of(scene, job.lighting, rng)
        folder, name = _TO_EXDARK[job.anchor], job.stem + job.suffix
        files = {
            f"ExDark/{folder}/{name}": _encode(darken(scene.rgb, camera, rng, light), job.suffix.lower(), 95),
            f"ExDark_Annno/{folder}/{name}.txt": bbgt(scene.objects).encode(),
            f"lit/{job.stem}.png": _encode(darken(scene.rgb, TWIN_CAMERA, rng), ".png", 0),
        }
    names = tuple(item.name for item in scene.objects)
    return Rendered(job, files, names, tuple(not item.difficult for item in scene.objects))


def _encode(image_rgb: np.ndarray, suffix: str, quality: int) -> bytes:
    flags = [] if suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, quality]
    return bytes(cv2.imencode(suffix, np.ascontiguousarray(image_rgb[:, :, ::-1]), flags)[1].tobytes())


def voc_xml(stem: str, size: tuple[int, int], objects: tuple[ObjectAnnotation, ...]) -> str:
    """Write a VOC annotation: 1-based inclusive integer boxes, in the devkit's order of elements."""
    lines = [
        "<annotation>", "\t<folder>VOC2007</folder>", f"\t<filename>{escape(stem)}.jpg</filename>",
        "\t<source>", "\t\t<database>duskbench miniature</database>", "\t\t<annotation>rendered</annotation>",
        "\t\t<image>rendered</image>", "\t</source>",
        "\t<size>", f"\t\t<width>{size[0]}</width>", f"\t\t<height>{size[1]}</height>", "\t\t<depth>3</depth>",
        "\t</size>",
        "\t<segmented>0</segmented>",
    ]  # fmt: skip
    for item in objects:
        x1, y1, x2, y2 = (round(value) for value in item.box_xyxy)
        lines += [
            "\t<object>", f"\t\t<name>{item.name}</name>", f"\t\t<pose>{item.pose}</pose>",
            f"\t\t<truncated>{int(bool(item.truncated))}</truncated>",
            f"\t\t<difficult>{int(item.difficult)}</difficult>",
            "\t\t<bndbox>", f"\t\t\t<xmin>{x1 + 1}</xmin>", f"\t\t\t<ymin>{y1 + 1}</ymin>",
            f"\t\t\t<xmax>{x2}</xmax>", f"\t\t\t<ymax>{y2}</ymax>", "\t\t</bndbox>", "\t</object>",
        ]  # fmt: skip
    return "\n".join([*lines, "</annotation>", ""])


def bbgt(objects: tuple[ObjectAnnotation, ...]) -> str:
    """Write an ExDark annotation: bbGt version 3, left and top from 1, width, height, seven zeros."""
    lines = ["% bbGt version=3"]
    for item in objects:
        x1, y1, x2, y2 = (round(value) for value in item.box_xyxy)
        lines.append(f"{_TO_EXDARK[item.name]} {x1 + 1} {y1 + 1} {x2 - x1} {y2 - y1} 0 0 0 0 0 0 0")
    return "\n".join([*lines, ""])


def class_list(jobs: list[Job]) -> str:
    """Write imageclasslist.txt with the official header and line ends."""
    rows = ["Name | Class | Light | In/Out | Train/Val/Test"]
    for job in jobs:
        numbers = (
            EXDARK_CLASSES.index(_TO_EXDARK[job.anchor]) + 1,
            LIGHTING_TYPES.index(str(job.lighting)) + 1,
            INDOOR_OUTDOOR.index("Indoor" if job.indoor else "Outdoor") + 1,
            SPLITS.index(job.split) + 1,
        )
        rows.append(f"{job.stem}{job.suffix} {' '.join(map(str, numbers))}")
    return "".join(row + "\r\n" for row in rows)


def image_sets(rendered: list[tuple[Job, tuple[str, ...], tuple[bool, ...]]]) -> dict[str, str]:
    """Write ImageSets/Main: the splits, and for each class 1 (there), 0 (only difficult ones) or -1 a picture."""
    files = {}
    for split in (*VOC_SPLITS, "trainval"):
        rows = [row for row in rendered if row[0].split == split or (split == "trainval" and row[0].split != "test")]
        files[str(VOC / "ImageSets" / "Main" / f"{split}.txt")] = "".join(f"{job.stem}\n" for job, _, _ in rows)
        for name in VOC_CLASSES:
            flags = []
            for job, names, counted in rows:
                here = [counts for found, counts in zip(names, counted, strict=True) if found == name]
                flags.append(f"{job.stem} {-1 if not here else int(any(here)):2d}\n")
            files[str(VOC / "ImageSets" / "Main" / f"{name}_{split}.txt")] = "".join(flags)
    return files


def store(root: Path, files: dict[str, bytes]) -> None:
    """Write files below a root, each atomically."""
    for name, data in files.items():
        write_bytes(root / name, data)


def store_lists(root: Path, files: dict[str, str]) -> None:
    """Write text files below a root, each atomically."""
    for name, text in files.items():
        write_text(root / name, text)
