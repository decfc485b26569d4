"""What a model wants, found out by running a test picture through it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from duskbench.data_tools.errors import ConfigError
from duskbench.pipeline.enhancers.picture_format import (
    BYTES,
    LAYOUTS,
    RANGES,
    SIGNED,
    UNIT,
    PictureFormat,
    Range,
    as_picture,
)

Run = Callable[[np.ndarray], Mapping[str, np.ndarray]]

# Powers of two of poolings, alone and with the patches of 3, 7 and their multiples that transformers have.
STRIDES = (1, 2, 3, 4, 6, 7, 8, 12, 14, 16, 24, 28, 32, 48, 56, 64, 96, 112, 128)
# A fixed side shorter than this is an axis of something else.
_LEAST_SIDE = 8
# Pictures that differ by less than two grey levels are the same reading.
_SAME = 2 / 255


@dataclass(frozen=True)
class Told:
    """What a file and a user say; None is for the test to find."""

    shape: tuple[int | None, ...] | None
    dtype: str
    layout: str | None
    range: Range | None
    output_range: Range | None
    colour: str
    output: str | int | None
    stride: int | None


@dataclass(frozen=True)
class Found:
    """Everything that running a model takes.

    Attributes:
        format: How the picture goes in and comes out.
        output: Name of the output that is the picture.
        stride: What height and width must be divisible by.
        size: Height and width that the model takes; None for a free side.
    """

    format: PictureFormat
    output: str
    stride: int
    size: tuple[int | None, int | None]


@dataclass(frozen=True)
class _Reading:
    """A layout that runs, and what came out."""

    layout: str
    stride: int
    size: tuple[int | None, int | None]
    pictures: dict[str, np.ndarray]


def find_format(run: Run, told: Told, *, where: Path) -> Found:
    """Find out how a model wants its picture.

    Args:
        run: Runs the model on an array of its layout; outputs by name.
        told: What is known.
        where: The file, for errors.

    Raises:
        ConfigError: No reading works, or several do and differ; the message names the argument that settles it.
    """
    readings = _readings(run, told, where)
    if len(readings) > 1 and not _alike([_first(reading.pictures) for reading in readings]):
        raise ConfigError(
            "The model takes its picture in several layouts, with different results.",
            where=where,
            expected="one layout",
            got=", ".join(reading.layout for reading in readings),
            todo=f"say which: layout={readings[0].layout!r}",
        )
    reading = readings[0]
    output = _choose_output(reading, told, where)
    start = _start(told, reading.layout)
    pairs = _range_pairs(told, reading.pictures[output].dtype)
    chosen = pairs[0] if len(pairs) == 1 else _find_range(run, start, pairs, output, reading, where)
    return Found(replace(start, range=chosen[0], output_range=chosen[1]), output, reading.stride, reading.size)


def test_picture(height: int, width: int) -> np.ndarray:
    """A smooth picture with all levels of grey and some colour, (H, W, 3) float32 in [0, 1]."""
    y, x = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")
    grey = 0.6 * x + 0.25 * y + 0.15 * np.sin(9 * x) * np.sin(7 * y) ** 2
    # A twelfth of it is black: what becomes of black tells the ranges apart.
    grey = np.clip((grey - np.quantile(grey, 1 / 12)) / (grey.max() - np.quantile(grey, 1 / 12)), 0, 1)
    return np.stack([grey, grey**1.1, grey**1.25], axis=2).astype(np.float32)


def _readings(run: Run, told: Told, where: Path) -> list[_Reading]:
    tried: list[str] = []
    readings = []
    for layout in _possible_layouts(told, where):
        size = _fixed_size(told, layout)
        for stride in (told.stride,) if told.stride else STRIDES:
            first, *others = _sizes(stride, size)
            kept = _pictures(run, told, layout, first, tried)
            # A side may be a multiple of what the model wants by chance.
            if kept and all(_pictures(run, told, layout, each, tried) for each in others):
                readings.append(_Reading(layout, stride, size, kept))
                break
    if not readings:
        raise ConfigError(
            "The model makes no picture of a picture's size.",
            where=where,
            expected="an output of the input's height and width with 3 channels",
            got="; ".join(tried[:1] + tried[-1:]),
            todo="give what it needs: layout=..., stride=..., dtype=...; or wrap it in a function, file.py:enhance",
        )
    return readings


def _pictures(run: Run, told: Told, layout: str, size: tuple[int, int], tried: list[str]) -> dict[str, np.ndarray]:
    """Outputs that are pictures of the input's size; none, and in `tried` why, where there is no such output."""
    height, width = size
    try:
        outputs = run(_start(told, layout).encode(0.4 * test_picture(height, width)))
    # Whatever a model raises on a picture that it does not want is the answer.
    except Exception as error:  # noqa: BLE001
        tried.append(f"{layout} {height} x {width}: {str(error).strip().splitlines()[-1][:200]}")
        return {}
    pictures = {name: as_picture(array, size, layout) for name, array in outputs.items()}
    kept = {name: picture for name, picture in pictures.items() if picture is not None}
    if not kept:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in outputs.items())
        tried.append(f"{layout} {height} x {width}: {shapes}")
    return kept


def _sizes(stride: int, fixed: tuple[int | None, int | None]) -> list[tuple[int, int]]:
    """Heights and widths to try: multiples of the stride that have no other divisor in common, but for fixed sides."""
    # Odd, so that none is a multiple of twice the stride.
    one, other = _odd(67, stride), _odd(97, stride)
    two = _without_common_divisor(one)
    sizes = [(one, other), (two, _without_common_divisor(max(two, other)))]
    tall, wide = fixed
    return list(dict.fromkeys((tall or stride * height, wide or stride * width) for height, width in sizes))


def _without_common_divisor(number: int) -> int:
    """The next odd number that has no divisor in common with it, nor with three."""
    return next(each for each in range(number + 2, 4 * number + 8, 2) if math.gcd(each, 3 * number) == 1)


def _possible_layouts(told: Told, where: Path) -> list[str]:
    layouts = [told.layout] if told.layout else list(LAYOUTS)
    shape = told.shape
    if shape is None:
        return layouts
    possible = [
        layout
        for layout in layouts
        if len(layout) == len(shape)
        and shape[LAYOUTS[layout]] in (3, None)
        and ("n" not in layout or shape[0] in (1, None))
        and all(side is None or side >= _LEAST_SIDE for side in _fixed_size(told, layout))
    ]
    if not possible:
        raise ConfigError(
            "The model does not take one colour picture.",
            where=where,
            expected=f"an input as {' or '.join(layouts)}, with 3 channels and one picture at a time",
            got=f"({', '.join('free' if side is None else str(side) for side in shape)})",
            todo="export it so, or wrap it in a function, file.py:enhance",
        )
    # An axis that says 3 is the channels, whatever a free one might be.
    sure = [layout for layout in possible if shape[LAYOUTS[layout]] == 3]
    return sure or possible


def _fixed_size(told: Told, layout: str) -> tuple[int | None, int | None]:
    if told.shape is None:
        return None, None
    channels = LAYOUTS[layout]
    sides = [side for axis, side in enumerate(told.shape) if axis != channels][-2:]
    return sides[0], sides[1]


def _odd(least: int, stride: int) -> int:
    number = -(-least // stride)
    return number + 1 - number % 2


def _start(told: Told, layout: str) -> PictureFormat:
    there = told.range or (BYTES if told.dtype == "uint8" else UNIT)
    return PictureFormat(layout, told.dtype, there, told.output_range or there, told.colour)


def _choose_output(reading: _Reading, told: Told, where: Path) -> str:
    names = list(reading.pictures)
    if told.output is not None:
        if str(told.output) not in names:
            raise ConfigError(
                "The model has no such output that is a picture.",
                where=where,
                expected=f"output={' or '.join(map(repr, names))}",
                got=repr(told.output),
            )
        return str(told.output)
    if len(names) > 1 and not _alike(list(reading.pictures.values())):
        raise ConfigError(
            "Several outputs of the model are pictures.",
            where=where,
            expected="one",
            got=", ".join(names),
            todo="say which is the enhanced one, by its name: output='...'",
        )
    return names[0]


def _range_pairs(told: Told, output_dtype: np.dtype) -> list[tuple[Range, Range]]:
    """Readings of input and output range: those that agree first, those that differ after them."""
    inputs = [told.range] if told.range else [BYTES] if told.dtype == "uint8" else [UNIT, BYTES, SIGNED]
    outputs = [told.output_range] if told.output_range else [BYTES] if output_dtype == np.uint8 else list(RANGES)
    same = [(each, each) for each in inputs if each in outputs]
    if told.range and same:
        # Who says how the picture goes in means both, unless the output's kind says otherwise.
        return same
    return same + [(there, back) for there in inputs for back in outputs if there != back]


def _find_range(
    run: Run, start: PictureFormat, pairs: list[tuple[Range, Range]], output: str, reading: _Reading, where: Path
) -> tuple[Range, Range]:
    results: dict[tuple[Range, Range], list[np.ndarray]] = {}
    for pair in pairs:
        made = _try_range(run, replace(start, range=pair[0], output_range=pair[1]), output, reading)
        if made is not None:
            results[pair] = made
    agreeing = {pair: made for pair, made in results.items() if pair[0] == pair[1]}
    plausible = agreeing or results
    if plausible and _alike([np.stack(made) for made in plausible.values()]):
        return next(iter(plausible))
    told = [f"{RANGES[there]} in, {RANGES[back]} out" for there, back in plausible]
    raise ConfigError(
        "The range of the model's values cannot be told from the file or from what it does with a test picture.",
        where=where,
        expected="one reading that gives a picture",
        got="; ".join(told) if told else "none of 0-1, 0-255 and -1-1",
        todo="say it: range=1, range=255 or range=(-1, 1); and output_range=... where the output's differs",
    )


def _try_range(run: Run, reading_format: PictureFormat, output: str, reading: _Reading) -> list[np.ndarray] | None:
    """Results for a dark and a full-range picture, clipped to [0, 1]; None if they are not plausible."""
    first = next(iter(reading.pictures.values()))
    results = []
    for brightness in (0.4, 1.0):
        picture = brightness * test_picture(*first.shape[:2])
        try:
            array = as_picture(run(reading_format.encode(picture))[output], picture.shape[:2], reading_format.layout)
        except Exception:  # noqa: BLE001 - a model may refuse a range by raising
            return None
        if array is None:
            return None
        made = reading_format.decode(array)
        if not _plausible(made, picture):
            return None
        results.append(np.clip(made, 0, 1))
    return results


def _plausible(made: np.ndarray, picture: np.ndarray) -> bool:
    """Whether a result could be the enhanced picture: within the range, not flat, with its structure and its blacks."""
    if not np.isfinite(made).all():
        return False
    low, high = np.quantile(made, (0.02, 0.98))
    flat = made.std() < 0.2 * picture.std()
    darker = made.mean() < 0.5 * picture.mean()
    if not -0.15 <= low <= 0.45 or high > 1.3 or flat or darker:
        return False
    return float(np.corrcoef(made.mean(axis=2).ravel(), picture.mean(axis=2).ravel())[0, 1]) > 0.5


def _alike(pictures: list[np.ndarray]) -> bool:
    return all(np.abs(picture - pictures[0]).mean() < _SAME for picture in pictures[1:])


def _first(pictures: dict[str, np.ndarray]) -> np.ndarray:
    return next(iter(pictures.values()))
