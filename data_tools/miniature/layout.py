"""Which pictures the miniature has, and one picture's files in the layouts of VOC and ExDark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from duskbench.data_tools.bbgt import BbgtObject, format_bbgt
from duskbench.data_tools.classes import EXDARK_CLASSES, EXDARK_TO_VOC, LIGHTING_TYPES, SHARED_CLASSES, SPLITS
from duskbench.data_tools.darken import darken
from duskbench.data_tools.exdark import ListedImage
from duskbench.data_tools.miniature.lighting import (
    INDOOR_ONLY,
    OUTDOOR_ONLY,
    TWIN_CAMERA,
    day_camera,
    needs_of,
    night_of,
)
from duskbench.data_tools.miniature.scene import Scene, compose
from duskbench.data_tools.voc_xml import VOCAnnotation, format_annotation

VOC = Path("VOCdevkit/VOC2007")
_SOURCE = (("database", "duskbench miniature"), ("annotation", "rendered"), ("image", "rendered"))
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

    @property
    def files(self) -> tuple[str, ...]:
        """Paths below the root: the picture, its annotation, and a night picture's lit twin."""
        if self.lighting is None:
            return str(VOC / "JPEGImages" / f"{self.stem}.jpg"), str(VOC / "Annotations" / f"{self.stem}.xml")
        name = f"{_TO_EXDARK[self.anchor]}/{self.stem}{self.suffix}"
        return f"ExDark/{name}", f"ExDark_Annno/{name}.txt", f"lit/{self.stem}.png"

    @property
    def listed(self) -> ListedImage:
        """The night picture's row of imageclasslist.txt."""
        name, folder = self.stem + self.suffix, _TO_EXDARK[self.anchor]
        return ListedImage(name, folder, str(self.lighting), self.indoor, self.split, line=self.index + 2)


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


def render(job: Job, seed: int, size: tuple[int, int]) -> dict[str, bytes]:
    """Render one picture and everything that belongs to it; same job, seed and size: same bytes.

    Returns:
        The bytes of each of `job.files`.
    """
    rng = np.random.default_rng([seed, ("voc", "night").index(job.part), job.index])
    if job.lighting is None:
        scene = compose(job.anchor, rng, size, indoor=job.indoor)
        photo = _encode(darken(scene.rgb, day_camera(rng), rng), ".jpg", 92)
        return dict(zip(job.files, (photo, _voc_annotation(job, size, scene).encode()), strict=True))
    needs = needs_of(job.lighting)
    scene = compose(
        job.anchor, rng, size, indoor=job.indoor,
        lamps=needs.lamps, windows=needs.windows, screens=needs.screens, cups=True,
    )  # fmt: skip
    camera, light = night_of(scene, job.lighting, rng)
    photo = _encode(darken(scene.rgb, camera, rng, light), job.suffix.lower(), 95)
    twin = _encode(darken(scene.rgb, TWIN_CAMERA, rng), ".png", 0)
    return dict(zip(job.files, (photo, _exdark_annotation(scene).encode(), twin), strict=True))


def _voc_annotation(job: Job, size: tuple[int, int], scene: Scene) -> str:
    return format_annotation(
        VOCAnnotation(f"{job.stem}.jpg", size, scene.objects, depth=3, folder=VOC.name, source=_SOURCE, segmented=False)
    )


def _exdark_annotation(scene: Scene) -> str:
    return format_bbgt(
        BbgtObject.from_box(_TO_EXDARK[found.name], found.box_xyxy, line)
        for line, found in enumerate(scene.objects, start=2)
    )


def _encode(image_rgb: np.ndarray, suffix: str, quality: int) -> bytes:
    flags = [] if suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, quality]
    return bytes(cv2.imencode(suffix, np.ascontiguousarray(image_rgb[:, :, ::-1]), flags)[1].tobytes())
