"""The pictures of a report: made again for the few images it shows, reduced, and stored inside the page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from duskbench.benchmarks.kept_pictures import image_path, is_of
from duskbench.benchmarks.record import RunRecord
from duskbench.benchmarks.report.gallery import Shown
from duskbench.benchmarks.rows import Key
from duskbench.data_tools.errors import DataError, DuskbenchError
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.images import read_image
from duskbench.data_tools.progress import SILENT, Progress
from duskbench.pipeline.enhancers.base import Enhancer
from duskbench.pipeline.registry import load_enhancer

# Bytes of all pictures as they stand in the file. With everything else it stays below 15 MB.
PICTURE_BUDGET = 9_000_000

# (longer side in pixels, WebP quality), from the best; all pictures of an image share one, so that they compare.
_LADDER = ((720, 82), (640, 80), (640, 72), (560, 70), (480, 68), (400, 62), (320, 55), (240, 45))


@dataclass(frozen=True)
class PictureSet:
    """The pictures of one image.

    Attributes:
        size: Width and height of the image itself, in pixels; None where it cannot be read.
        pictures: Label -> data URI.
        reasons: Label -> why there is no picture.
    """

    size: tuple[int, int] | None = None
    pictures: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


class PictureMaker:
    """Makes enhanced pictures again, or reads those that `--save-images` kept.

    Args:
        record: The run's record.
        saved: Folder `images` of the run, whether it exists or not.
        device: Torch device.
    """

    def __init__(self, record: RunRecord, saved: Path, device: str = "cpu") -> None:
        self.saved, self.device = saved, device
        self._planned = {entry.label: entry for entry in record.enhancers if entry.error is None}
        self._built: dict[str, Enhancer | str] = {}
        self.remade: set[str] = set()
        """Labels whose enhancer is not the one that was measured: its code, arguments or weights have changed."""

    def make(self, shown: Shown) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """Pictures of one image by label, (H, W, 3) uint8 RGB at full size, and the reasons for those that fail."""
        try:
            source = _unchanged_image(shown)
        except DuskbenchError as error:
            return {}, dict.fromkeys(self._planned, str(error))
        pictures, reasons = {}, {}
        for label, view in shown.views.items():
            if view.reason is not None:
                reasons[label] = view.reason
                continue
            try:
                pictures[label] = self._picture(label, shown, source)
            except Exception as error:  # noqa: BLE001 - a plug-in may raise anything; the report says what
                reasons[label] = str(error) if isinstance(error, DuskbenchError) else f"{type(error).__name__}: {error}"
        return pictures, reasons

    def _picture(self, label: str, shown: Shown, source: np.ndarray) -> np.ndarray:
        image_id = shown.record.id
        saved = image_path(self.saved, label, image_id)
        if shown.content and is_of(saved, Key(image_id, shown.content, self._planned[label].fingerprint)):
            return read_image(saved)
        return self._enhancer(label)(source, image_id=image_id)

    def _enhancer(self, label: str) -> Enhancer:
        if label not in self._built:
            planned = self._planned[label]
            try:
                built = load_enhancer(planned.spec, device=self.device)
                self._built[label] = built
                if built.fingerprint != planned.fingerprint:
                    self.remade.add(label)
            except Exception as error:  # noqa: BLE001 - a plug-in may raise anything on import
                self._built[label] = str(error) or type(error).__name__
        built_or_reason = self._built[label]
        if isinstance(built_or_reason, str):
            raise DataError(f"The enhancer cannot be built now: {built_or_reason}")
        return built_or_reason


def _unchanged_image(shown: Shown) -> np.ndarray:
    path = shown.record.path
    source = read_image(path)
    if shown.sha256 is not None and file_sha256(path) != shown.sha256:
        raise DataError("The image file has changed since it was measured.", where=path)
    return source


def make_pictures(
    shown: Sequence[Shown],
    maker: PictureMaker,
    *,
    budget: int = PICTURE_BUDGET,
    progress: Progress = SILENT,
) -> list[PictureSet]:
    """Make the pictures of a report.

    Args:
        shown: The images.
        maker: Makes one image's pictures.
        budget: Bytes for all of them, as they stand in the file; what an image leaves over goes to those behind it.
        progress: Where images done are reported.

    Returns:
        One set per image. Where even the smallest pictures exceed the budget the image has none, and says so.
    """
    sets: list[PictureSet] = []
    left = budget
    for number, one in enumerate(progress.track("Making pictures", shown)):
        pictures, reasons = maker.make(one)
        share = left // (len(shown) - number)
        encoded = encode_within(pictures, share)
        if encoded is None:
            encoded, reasons = {}, {**reasons, **dict.fromkeys(pictures, "The report's space for pictures is used up.")}
        left -= sum(map(len, encoded.values()))
        some = next(iter(pictures.values()), None)
        size = None if some is None else (some.shape[1], some.shape[0])
        sets.append(PictureSet(size, encoded, reasons))
    return sets


def encode_within(pictures: Mapping[str, np.ndarray], budget: int) -> dict[str, str] | None:
    """Reduce and encode pictures, all alike, to data URIs of `budget` bytes at most; None where none are so small."""
    for side, quality in _LADDER:
        encoded: dict[str, str] = {}
        left = budget
        for label, picture in pictures.items():
            encoded[label] = _data_uri(picture, side, quality)
            left -= len(encoded[label])
            if left < 0:
                break
        else:
            return encoded
    return None


def _data_uri(image_rgb: np.ndarray, side: int, quality: int) -> str:
    height, width = image_rgb.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA) if scale < 1 else image_rgb
    bgr = np.ascontiguousarray(small[:, :, ::-1])
    _, data = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, quality])
    return "data:image/webp;base64," + b64encode(data.tobytes()).decode("ascii")
