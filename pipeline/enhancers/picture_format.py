"""How a model wants its picture: layout, range, colour order, dtype; and the way there and back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from duskbench.data_tools.errors import ConfigError

Range = tuple[float, float]

UNIT: Range = (0.0, 1.0)
BYTES: Range = (0.0, 255.0)
SIGNED: Range = (-1.0, 1.0)
RANGES: dict[Range, str] = {UNIT: "0-1", BYTES: "0-255", SIGNED: "-1-1"}

# Position of the channels, for each number of axes.
LAYOUTS: dict[str, int] = {"nchw": 1, "nhwc": 3, "chw": 0, "hwc": 2}
COLOURS = ("rgb", "bgr")


@dataclass(frozen=True)
class PictureFormat:
    """What a model takes and returns.

    Attributes:
        layout: `nchw`, `nhwc`, or without the batch axis `chw`, `hwc`.
        dtype: Of the input.
        range: Black and white of the input.
        output_range: Black and white of the output.
        colour: `rgb` or `bgr`, of both.
    """

    layout: str
    dtype: str
    range: Range
    output_range: Range
    colour: str

    def encode(self, picture: np.ndarray) -> np.ndarray:
        """Turn (H, W, 3) float RGB in [0, 1] into the model's input."""
        low, high = self.range
        array = picture * np.float32(high - low) + np.float32(low)
        if self.dtype == "uint8":
            array = np.rint(array)
        if self.colour == "bgr":
            array = array[:, :, ::-1]
        if LAYOUTS[self.layout] in (0, 1):
            array = array.transpose(2, 0, 1)
        return np.ascontiguousarray(array[None] if "n" in self.layout else array, dtype=self.dtype)

    def decode(self, picture: np.ndarray) -> np.ndarray:
        """Turn the model's picture, (H, W, 3) as `as_picture` gives it, into float32 RGB, [0, 1] for black to white."""
        low, high = self.output_range
        array = (picture.astype(np.float32) - np.float32(low)) / np.float32(high - low)
        return array[:, :, ::-1] if self.colour == "bgr" else array

    def __str__(self) -> str:
        there = RANGES[self.range]
        back = "" if self.range == self.output_range else f" to {RANGES[self.output_range]}"
        return f"{self.layout}, {self.dtype}, {there}{back}, {self.colour}"


def as_picture(array: np.ndarray, size: tuple[int, int], layout: str) -> np.ndarray | None:
    """The (H, W, 3) picture of that size in a model's output of any layout; None if it is none.

    Args:
        array: An output, with or without a batch axis.
        size: Height and width.
        layout: Of the input; decides where both readings fit.
    """
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    first, last = array.shape == (3, *size), array.shape == (*size, 3)
    if first and (not last or LAYOUTS[layout] in (0, 1)):
        return array.transpose(1, 2, 0)
    return array if last else None


def parse_range(value: Any, where: str) -> Range:
    """Read a range: 1 or 255, a pair, or a text such as "0-1", "[0, 255]", "-1..1".

    Raises:
        ConfigError: It is none of the three ranges there are.
    """
    if isinstance(value, list | tuple):
        value = ",".join(str(each) for each in value)
    text = re.sub(r"[\s\[\]()]|\.0+(?!\d)", "", str(value))
    found = {"1": UNIT, "255": BYTES}.get(text)
    numbers = re.fullmatch(r"(-?\d+)(?:-|\.\.|,|to)(-?\d+)", text)
    if numbers:
        pair = (float(numbers[1]), float(numbers[2]))
        found = pair if pair in RANGES else None
    if found is None:
        raise ConfigError(
            "There is no such range of values.", where=where, expected="1, 255 or (-1, 1)", got=repr(value)
        )
    return found


def parse_choice(value: Any, choices: tuple[str, ...], where: str) -> str:
    """Read one of several words, in any case.

    Raises:
        ConfigError: It is none of them.
    """
    word = str(value).lower()
    if word not in choices:
        raise ConfigError("There is no such choice.", where=where, expected=" or ".join(choices), got=repr(value))
    return word
