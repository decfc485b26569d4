"""Sound files changed as transfers, editors and attackers change them; the same ones every time."""

from __future__ import annotations

from hypothesis import strategies as st

_WORDS = [
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\n",
    b"  ",
    b'"',
    b"]",
    b"-1",
    b"1e999",
    b"nan",
    b"../x",
    b"<!DOCTYPE a>",
]


@st.composite
def mutations(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes cut out, put in, doubled or turned over."""
    for _ in range(draw(st.integers(1, 4))):
        at, end = sorted(draw(st.tuples(st.integers(0, len(data)), st.integers(0, len(data)))))
        kind = draw(st.sampled_from(["cut", "insert", "double", "flip", "number"]))
        if kind == "cut":
            data = data[:at] + data[end:]
        elif kind == "insert":
            data = data[:at] + draw(st.sampled_from(_WORDS)) + data[at:]
        elif kind == "double":
            data = data[:end] + data[at:end] * draw(st.integers(1, 3)) + data[end:]
        elif kind == "flip" and data:
            at = min(at, len(data) - 1)
            data = data[:at] + bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]) + data[at + 1 :]
        else:
            data = data[:at] + str(draw(st.integers(-(10**6), 10**6))).encode() + data[end:]
    return data
