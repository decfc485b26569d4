"""What the colours of an image file mean, where numbers and not an ICC profile say it: PNG chunks, AVIF's `nclx`."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.icc_profile import Chromaticities, Curve, rgb_profile
from duskbench.data_tools.png_chunks import intact_chunks

_SRGB_PRIMARIES: Chromaticities = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
_SRGB_CURVE: Curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709_CURVE: Curve = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_SMPTE170M: Chromaticities = (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, 0.3127, 0.3290)
# Source: ITU-T H.273 (2024), tables 2 and 3; 1 is BT.709, 9 BT.2020, 11 and 12 P3, 13 sRGB's curve.
_PRIMARIES: dict[int, Chromaticities] = {
    1: _SRGB_PRIMARIES,
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, 0.3127, 0.3290),
    6: _SMPTE170M,
    7: _SMPTE170M,
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290),
}
_CURVES: dict[int, Curve] = {
    **dict.fromkeys((1, 6, 14, 15), _BT709_CURVE), 4: (2.2,), 5: (2.8,), 8: (1.0,), 13: _SRGB_CURVE,
}  # fmt: skip
_UNSPECIFIED = 2
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}


@dataclass(frozen=True)
class ColourCode:
    """Colours by the code points of ITU-T H.273: primaries, transfer, and whether samples use their full range."""

    primaries: int
    transfer: int
    full_range: bool = True


def check_dynamic_range(data: bytes, *, where: str | Path) -> None:
    """Raise a `DataError` if an image file says that its samples are of high dynamic range, by PQ or HLG."""
    code = _code(data)
    if code is not None:
        check_transfer(code.transfer, "picture", where=where)


def check_transfer(transfer: int, what: str, *, where: str | Path) -> None:
    """Raise a `DataError` if the transfer characteristic of a picture or a video is one of high dynamic range.

    Args:
        transfer: Its number in ITU-T H.273, table 3.
        what: `picture` or `video`, for the message.
        where: The file.
    """
    if transfer in _HDR_TRANSFERS:
        raise DataError(
            "High dynamic range cannot be enhanced.",
            where=where,
            expected="standard dynamic range, which is what enhancers and detectors are made for",
            got=f"a {what} with the transfer characteristic {_HDR_TRANSFERS[transfer]}",
            todo="map its tones first",
        )


def stated_profile(data: bytes, embedded: bytes | None) -> bytes | None:
    """The ICC profile of an image file, or one that says what the file states by numbers; None where nothing does.

    Args:
        data: The file.
        embedded: Its own ICC profile, if it has one for RGB.

    Raises:
        ValueError: No profile says what the file states.

    Source: PNG, third edition, section 4.3 (which of cICP, iCCP, sRGB, gAMA and cHRM counts); ISO/IEC 23008-12,
    6.5.5.1 (a profile counts before `nclx`).
    """
    chunks = dict(intact_chunks(data))
    if b"cICP" not in chunks and embedded:
        return embedded
    code = _code(data)
    if code is not None:
        return _coded_profile(code)
    if b"sRGB" in chunks:
        return _coded_profile(ColourCode(1, 13))
    gamma, colours = chunks.get(b"gAMA", b""), chunks.get(b"cHRM", b"")
    if len(gamma) != 4 and len(colours) != 32:
        return None
    # White comes first in the chunk.
    numbers = [number / 100_000 for number in struct.unpack(">8I", colours)] if len(colours) == 32 else None
    exponent = int.from_bytes(gamma, "big") / 100_000 if len(gamma) == 4 else None
    if exponent == 0:
        raise ValueError("a gamma of 0")
    return rgb_profile(
        _SRGB_PRIMARIES if numbers is None else (*numbers[2:], *numbers[:2]),
        _SRGB_CURVE if exponent is None else (1 / exponent,),
    )


def _coded_profile(code: ColourCode) -> bytes | None:
    if (code.primaries, code.transfer) == (_UNSPECIFIED, _UNSPECIFIED):
        return None
    # What is not said is sRGB's, as in a file that says nothing.
    primaries = _PRIMARIES.get(1 if code.primaries == _UNSPECIFIED else code.primaries)
    curve = _CURVES.get(13 if code.transfer == _UNSPECIFIED else code.transfer)
    if primaries is None or curve is None or not code.full_range:
        raise ValueError(f"{code}")
    return rgb_profile(primaries, curve)


def _code(data: bytes) -> ColourCode | None:
    for kind, content in intact_chunks(data):
        if kind == b"cICP" and len(content) == 4:
            return ColourCode(content[0], content[1], bool(content[3]))
        if kind == b"IDAT":
            return None
    try:
        return _nclx(data) if data[4:8] == b"ftyp" else None
    except (struct.error, LookupError):
        return None


def _nclx(data: bytes) -> ColourCode | None:
    """The code points of an AVIF's primary picture; those of its matrix and range are the decoder's, which undoes them.

    Source: ISO/IEC 14496-12, 4.2 (boxes) and 8.11 (meta, pitm); ISO/IEC 23008-12, 9.3 (iprp) and 6.5.5 (colr).
    """
    meta = dict(_boxes(dict(_boxes(data))[b"meta"][4:]))
    properties = dict(_boxes(meta[b"iprp"]))
    owned = _properties_of(_primary_item(meta[b"pitm"]), properties[b"ipma"])
    for index, (kind, content) in enumerate(_boxes(properties[b"ipco"]), start=1):
        if kind == b"colr" and content.startswith(b"nclx") and index in owned:
            return ColourCode(*struct.unpack_from(">HH", content, 4))
    return None


def _primary_item(pitm: bytes) -> int:
    return int.from_bytes(pitm[4:6] if pitm[0] == 0 else pitm[4:8], "big")


def _properties_of(item: int, ipma: bytes) -> set[int]:
    """Numbers of an item's properties, from 1."""
    id_bytes, index_bytes = 2 if ipma[0] == 0 else 4, 2 if ipma[3] & 1 else 1
    (entries,), place, found = struct.unpack_from(">I", ipma, 4), 8, set()
    for _ in range(entries):
        owner, count = int.from_bytes(ipma[place : place + id_bytes], "big"), ipma[place + id_bytes]
        place += id_bytes + 1
        indices = [ipma[at : at + index_bytes] for at in range(place, place + count * index_bytes, index_bytes)]
        if owner == item:
            # The highest bit says whether the property is essential.
            found |= {int.from_bytes(index, "big") & (0x7FFF if index_bytes == 2 else 0x7F) for index in indices}
        place += count * index_bytes
    return found


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    while place + 8 <= len(data):
        size, head = int.from_bytes(data[place : place + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        end = len(data) if size == 0 else place + size
        yield data[place + 4 : place + 8], data[place + head : end]
        place = max(end, place + head)
