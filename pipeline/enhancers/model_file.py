"""The base of enhancers that are model files: how a picture goes in and comes out is detected, or told."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from duskbench.data_tools.errors import ConfigError, EnhancerError
from duskbench.data_tools.fingerprint import fingerprint
from duskbench.pipeline.enhancers.base import Enhancer
from duskbench.pipeline.enhancers.padding import pad_to_multiple
from duskbench.pipeline.enhancers.picture_format import (
    COLOURS,
    LAYOUTS,
    PictureFormat,
    as_picture,
    parse_choice,
    parse_range,
)
from duskbench.pipeline.enhancers.probe import Told, find_format

logger = logging.getLogger(__name__)

_GIVE_STRIDE = "say what height and width must be divisible by: stride=..."
_LONGEST_MESSAGE = 500

DTYPES = ("float32", "float16", "float64", "uint8")
# Keys that `duskbench export` writes into a file's metadata, and the arguments they stand for.
METADATA: dict[str, str] = {
    "duskbench.layout": "layout",
    "duskbench.range": "range",
    "duskbench.colour_order": "colour",
    "duskbench.stride": "stride",
}


@dataclass(frozen=True)
class Declared:
    """What a model file says of itself.

    Attributes:
        shape: Of the input; None for a free side, and None as a whole where the file says nothing.
        dtype: Of the input, or None.
        metadata: Text of the file's own, name -> value.
    """

    shape: tuple[int | None, ...] | None = None
    dtype: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


class ModelFileEnhancer(Enhancer):
    """A model in a file that holds its own graph.

    A subclass opens the file in `_open` and runs it in `_run`. What the file does not say is found by running a test
    picture through it, and refused where that does not settle it; arguments win over both.

    Args:
        path: The file.
        device: Where it runs.
        layout: `nchw`, `nhwc`, or without batch axis `chw`, `hwc`.
        range: Black and white of the input: 1 for 0 to 1, 255 for 0 to 255, (-1, 1).
        output_range: The same of the output, where it differs.
        colour: `rgb` or `bgr`. No test can tell; `rgb` unless the file's metadata or this argument says otherwise.
        dtype: `float32`, `float16`, `float64` or `uint8`.
        output: Name or number of the output that is the enhanced picture, where several could be.
        stride: What height and width must be divisible by; the picture is padded, by reflection, and cropped back.
        resize: For a model of a fixed size: resize the picture to it and the result back. Without it, a picture of
            another size is an error, because resizing blurs and moves the numbers.

    Raises:
        WeightsError: The file is missing or not such a model.
        ConfigError: It leaves something open, the message says which argument settles it; or an argument is wrong.
    """

    def __init__(
        self,
        path: str | Path,
        device: str = "cpu",
        *,
        layout: str | None = None,
        range: Any = None,
        output_range: Any = None,
        colour: str | None = None,
        dtype: str | None = None,
        output: str | int | None = None,
        stride: int | None = None,
        resize: bool = False,
    ) -> None:
        super().__init__()
        self.path = Path(path).expanduser()
        self.name = str(path)
        declared = self._open(device)
        given = {"layout": layout, "range": range, "colour": colour, "stride": stride}
        for key, name in METADATA.items():
            if given[name] is None:
                given[name] = declared.metadata.get(key)
        told = Told(
            shape=declared.shape,
            dtype=parse_choice(dtype or declared.dtype or "float32", DTYPES, f"{path}: dtype"),
            layout=_given(given["layout"], lambda value: parse_choice(value, tuple(LAYOUTS), f"{path}: layout")),
            range=_given(given["range"], lambda value: parse_range(value, f"{path}: range")),
            output_range=_given(output_range, lambda value: parse_range(value, f"{path}: output_range")),
            colour=parse_choice(given["colour"] or "rgb", COLOURS, f"{path}: colour"),
            output=output,
            stride=_given(given["stride"], lambda value: _positive(value, f"{path}: stride")),
        )
        found = find_format(self._run, told, where=self.path)
        self.format: PictureFormat = found.format
        self.output, self.stride, self.size = found.output, found.stride, found.size
        self.resize = resize
        self.arguments = {
            "format": str(self.format),
            "output": self.output,
            "stride": self.stride,
            **({"resize": True} if resize else {}),
        }
        strides = f", padded to multiples of {self.stride}" if self.stride > 1 else ""
        self.origin = f"{self.path.name}, read as {self.format}{strides}"
        logger.info("%s: %s, output %s", self.path, self.origin, self.output)

    def _open(self, device: str) -> Declared:
        """Load the file, set `weights`, and say what it says of itself."""
        raise NotImplementedError

    def _run(self, array: np.ndarray) -> dict[str, np.ndarray]:
        """Run the model; outputs by name, in order. It may raise anything."""
        raise NotImplementedError

    def enhance(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        """Enhance one image; see `Enhancer.__call__`.

        Raises:
            EnhancerError: The model takes another size only, fails, or returns something else than such a picture.
        """
        fitted = self._fit(image_rgb, image_id)
        padded, top, left = pad_to_multiple(fitted, self.stride)
        try:
            outputs = self._run(self.format.encode(padded.astype(np.float32) / np.float32(255)))
        # onnxruntime and torch raise all kinds; what they say is the reason.
        except Exception as error:
            raise EnhancerError(
                f"Enhancer {self.name!r} failed.",
                where=image_id,
                got=f"{str(error)[:_LONGEST_MESSAGE]}, on {padded.shape[1]} x {padded.shape[0]} pixels",
                todo=_GIVE_STRIDE if None in self.size else None,
            ) from error
        size = padded.shape[:2]
        picture = as_picture(outputs[self.output], (size[0], size[1]), self.format.layout)
        if picture is None:
            raise EnhancerError(
                f"Enhancer {self.name!r} broke its contract.",
                where=image_id,
                expected=f"output {self.output!r} of {size[0]} x {size[1]} pixels and 3 channels",
                got=f"{outputs[self.output].shape}",
                todo=_GIVE_STRIDE if None in self.size else None,
            )
        height, width = fitted.shape[:2]
        return self._to_bytes(self.format.decode(picture)[top : top + height, left : left + width], image_rgb, image_id)

    @property
    def fingerprint(self) -> str:
        """Hash of the file, with its external data, and of how the picture goes in and comes out."""
        return fingerprint(self.code, self.arguments, self.weights)

    def _fit(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        import cv2

        height, width = (fixed or own for fixed, own in zip(self.size, image_rgb.shape[:2], strict=True))
        if (height, width) == image_rgb.shape[:2]:
            return image_rgb
        if not self.resize:
            raise EnhancerError(
                f"Enhancer {self.name!r} takes images of one size only.",
                where=image_id,
                expected=f"{width} x {height} pixels",
                got=f"{image_rgb.shape[1]} x {image_rgb.shape[0]}",
                todo="export it with free height and width; or give resize=True, which resizes there and back and "
                "so changes the numbers",
            )
        smaller = height * width < image_rgb.shape[0] * image_rgb.shape[1]
        how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        return cv2.resize(image_rgb, (width, height), interpolation=how)

    def _to_bytes(self, picture: np.ndarray, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        import cv2

        if not np.isfinite(picture).all():
            raise EnhancerError(
                f"Enhancer {self.name!r} returned NaN or infinity.",
                where=image_id,
                expected="finite values",
                got=f"{int((~np.isfinite(picture)).sum())} of {picture.size} values not finite",
                todo="a float16 model may overflow: export it in float32",
            )
        height, width = image_rgb.shape[:2]
        if picture.shape[:2] != (height, width):
            smaller = height * width < picture.shape[0] * picture.shape[1]
            how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
            picture = cv2.resize(np.ascontiguousarray(picture), (width, height), interpolation=how)
        return np.clip(np.rint(picture * np.float32(255)), 0, 255).astype(np.uint8)


def _given(value: Any, parse: Any) -> Any:
    return None if value is None else parse(value)


def _positive(value: Any, where: str) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if number < 1 or isinstance(value, bool):
        raise ConfigError("The stride is no positive number.", where=where, expected="1, 2, 4, ...", got=repr(value))
    return number
