"""Where the pixels of a JPEG end: what shows that its middle or its end is missing.

libjpeg paints grey what it misses, with a warning that Pillow does not pass on. It does say where it has to wait for
more data, as it does for a file that is cut off.
"""

from __future__ import annotations

import re
import struct

# The next marker within or behind compressed data: no stuffed byte, no restart, no fill byte. Source: ITU T.81, B.1.1.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")
_EOI, _SOS = 0xD9, 0xDA
# Huffman-coded frames whose pixels come in one scan.
_SEQUENTIAL = (0xC0, 0xC1)
# libjpeg looks ahead by up to 64 bits.
_AHEAD = bytes(8)
_EMPTY = bytes(64)


def without_end(data: bytes) -> bytes:
    """The bytes of a JPEG of one scan without its end marker and what follows it, or without the zeros in their place.

    Any other file is returned as it is.

    A decoder that gets all pixels from them needs nothing more. One that does not has met data that is damaged or cut
    short, and says so where it would have painted the rest grey, had it seen the end marker. Where restart markers are
    missing it would go on behind them: then all of the scan's data is left out.

    Source: ITU T.81, B.1.1.3 (markers), B.2 (their order) and E.2.4 (restarts count from 0 to 7, again and again).
    """
    if not data.startswith(b"\xff\xd8"):
        return data
    components, place = 0, 2
    while match := _MARKER.search(data, place):
        kind, place = data[match.end() - 1], match.end()
        if kind == _EOI or len(data) < place + 8:
            return data
        (length,) = struct.unpack_from(">H", data, place)
        if kind in _SEQUENTIAL:
            components = data[place + 7]
        if kind == _SOS:
            return _scan_alone(data, place + length) if data[place + 2] == components else data
        place += length
    return data


def _scan_alone(data: bytes, start: int) -> bytes:
    end = _MARKER.search(data, start)
    if end is None:
        # A disk or a download that was to hold more: zeros are codes too, and would be painted.
        return data.rstrip(b"\0") + _AHEAD if data.endswith(_EMPTY) else data
    if data[end.end() - 1] != _EOI:
        return data
    restarts = b"".join(_RESTART.findall(data, start, end.start()))
    in_turn = bytes(range(0xD0, 0xD8)) * (len(restarts) // 8 + 1)
    return data[: end.start()] + _AHEAD if in_turn.startswith(restarts) else data[:start]
