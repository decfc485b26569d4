"""ICC profiles of RGB colours that a file states by numbers: primaries, white point and curve."""

from __future__ import annotations

import struct

import numpy as np

# Red, green, blue and white, x and y each.
Chromaticities = tuple[float, float, float, float, float, float, float, float]
# Exponent g alone, Y = X^g, or g, a, b, c, d: Y = (a X + b)^g from d on and c X below. Source: ICC.1:2022, table 68.
Curve = tuple[float, ...]

# Of a matrix of primaries: those of the standards are between 19 and 23.
_WORST_CONDITION = 1e4
_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def rgb_profile(chromaticities: Chromaticities, curve: Curve) -> bytes:
    """A display profile with three primaries and one curve, the same bytes for the same numbers.

    Raises:
        ValueError: The chromaticities span no colours, or a number has no place in a profile.

    Source: ICC.1:2022 (profile version 4.4), clauses 7 (layout), 8.3.3 (what a display profile has), 10 (types) and
    annex E.1 (adaptation to D50 by Bradford's transform).
    """
    to_xyz, adaptation = _matrices(chromaticities)
    primaries = (adaptation @ to_xyz).T
    kind = {1: 0, 5: 3}[len(curve)]
    trc = b"para" + bytes(4) + struct.pack(">HH", kind, 0) + _fixed(*curve)
    tags = {
        b"desc": _text("RGB"), b"cprt": _text("CC0"), b"wtpt": _xyz(*_D50), b"chad": b"sf32" + bytes(4)
        + _fixed(*adaptation.ravel()), b"rXYZ": _xyz(*primaries[0]), b"gXYZ": _xyz(*primaries[1]),
        b"bXYZ": _xyz(*primaries[2]), b"rTRC": trc, b"gTRC": trc, b"bTRC": trc,
    }  # fmt: skip
    table, content, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", start + len(content), len(value))
        content += value + bytes(-len(value) % 4)
    size = start + len(content)
    # 1 January 2000: the time of making would make every profile another one.
    head = struct.pack(
        ">II4s4s4s4s6H4s", size, 0, b"\4\x40\0\0", b"mntr", b"RGB ", b"XYZ ", 2000, 1, 1, 0, 0, 0, b"acsp"
    )
    return head.ljust(68, b"\0") + _fixed(*_D50) + bytes(48) + struct.pack(">I", len(tags)) + table + content


def _matrices(chromaticities: Chromaticities) -> tuple[np.ndarray, np.ndarray]:
    """Linear RGB to XYZ, and XYZ under its white to XYZ under D50."""
    points = np.array(chromaticities, dtype=float).reshape(4, 2)
    if not (np.isfinite(points).all() and (points[:, 1] > 0).all()):
        raise ValueError(f"no colours: {chromaticities}")
    xyz = np.array([(x / y, 1, (1 - x - y) / y) for x, y in points])
    primaries, white = xyz[:3].T, xyz[3]
    if not np.linalg.cond(primaries) < _WORST_CONDITION:
        raise ValueError(f"primaries in one line: {chromaticities}")
    to_xyz = primaries * np.linalg.solve(primaries, white)
    gains = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    return to_xyz, np.linalg.solve(_BRADFORD, gains[:, None] * _BRADFORD)


def _fixed(*numbers: float) -> bytes:
    """Numbers as s15Fixed16."""
    try:
        return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))
    except (struct.error, OverflowError) as error:
        raise ValueError(f"no place in a profile: {numbers}") from error


def _xyz(*numbers: float) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*numbers)


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(encoded), 28) + encoded
