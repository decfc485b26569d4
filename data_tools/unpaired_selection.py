"""Which images enter an unpaired training set, and why the others do not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.images import decode_image
from duskbench.data_tools.training_manifest import FOLDERS


@dataclass(frozen=True)
class Candidate:
    """An image that may enter the set: its domain (`A` or `B`), source and id there, file, and name in the set."""

    domain: str
    source: str
    id: str
    path: Path
    file: str


@dataclass(frozen=True)
class Measured:
    """What decides over an image: mean luma in [0, 1], 64-bit difference hash, size and sha256 of the file."""

    brightness: float
    dhash: int
    width: int
    height: int
    sha256: str


def measure(candidate: Candidate) -> tuple[Candidate, Measured | str | None]:
    """What decides over a candidate: None where it has no file, and why where its file is no readable image."""
    if not candidate.path.is_file():
        return candidate, None
    try:
        data = candidate.path.read_bytes()
        image_rgb = decode_image(data, where=candidate.path)
    except (OSError, DataError) as error:
        return candidate, str(error)
    grey = luma(image_rgb)
    height, width = grey.shape
    return candidate, Measured(
        float(grey.mean()) / 255, difference_hash(grey), width, height, hashlib.sha256(data).hexdigest()
    )


def luma(image_rgb: np.ndarray) -> np.ndarray:
    """Rec. 601 luma of an (H, W, 3) uint8 RGB image, (H, W) float32 in [0, 255]."""
    return image_rgb @ np.array([0.299, 0.587, 0.114], dtype=np.float32)


def difference_hash(grey: np.ndarray) -> int:
    """Hash what an image looks like: each bit says whether a cell of an 8 x 9 reduction is darker than the next.

    Cells are float means, not rounded ones: in a night photo most neighbours would round to the same value, and all
    such photos to the same hash. A change of brightness or contrast leaves the hash alone.

    Args:
        grey: (H, W) float32.

    Returns:
        64 bits.
    """
    import cv2

    cells = cv2.resize(np.ascontiguousarray(grey, dtype=np.float32), (9, 8), interpolation=cv2.INTER_AREA)
    return int.from_bytes(np.packbits(cells[:, 1:] > cells[:, :-1]).tobytes(), "big")


class Selection:
    """Decides image by image what enters; remembers eight bytes and a name of each image taken.

    Args:
        max_low: Highest brightness of an image of A.
        min_normal: Lowest brightness of an image of B.
        min_side: Smallest width and height.
        hash_distance: Near-duplicates differ in at most this many bits of their hashes; -1 keeps them.
    """

    def __init__(self, max_low: float, min_normal: float, min_side: int, hash_distance: int) -> None:
        self.max_low, self.min_normal, self.min_side, self.hash_distance = max_low, min_normal, min_side, hash_distance
        self.hashes = {domain: np.zeros(1024, dtype=np.uint64) for domain in FOLDERS}
        self.files: dict[str, list[str]] = {domain: [] for domain in FOLDERS}
        self.sha_of_a: set[bytes] = set()

    def rejects(self, candidate: Candidate, measured: Measured | str | None) -> tuple[str | None, str | None]:
        """Return the reason to reject the image and a detail, or None and None, and then the image counts as taken."""
        if measured is None:
            return "missing", None
        if isinstance(measured, str):
            return "unreadable", measured.splitlines()[-1].strip()
        unfit = self._unfit(candidate.domain, measured)
        if unfit:
            return unfit
        sha = bytes.fromhex(measured.sha256)
        if candidate.domain == "A":
            self.sha_of_a.add(sha)
        elif sha in self.sha_of_a:
            return "in A", None
        twin = self._twin(candidate.domain, measured.dhash)
        if twin is not None:
            return "near-duplicate", twin
        self._remember(candidate, measured.dhash)
        return None, None

    def _unfit(self, domain: str, measured: Measured) -> tuple[str, str] | None:
        if min(measured.width, measured.height) < self.min_side:
            return "too small", f"{measured.width} x {measured.height}"
        if domain == "A" and measured.brightness > self.max_low:
            return "too bright", f"{measured.brightness:.4f}"
        if domain == "B" and measured.brightness < self.min_normal:
            return "too dark", f"{measured.brightness:.4f}"
        return None

    def _twin(self, domain: str, dhash: int) -> str | None:
        known = self.hashes[domain][: len(self.files[domain])]
        near = np.flatnonzero(np.bitwise_count(known ^ np.uint64(dhash)) <= self.hash_distance)
        return self.files[domain][near[0]] if len(near) else None

    def _remember(self, candidate: Candidate, dhash: int) -> None:
        hashes, files = self.hashes[candidate.domain], self.files[candidate.domain]
        if len(files) == len(hashes):
            hashes = self.hashes[candidate.domain] = np.concatenate([hashes, np.zeros_like(hashes)])
        hashes[len(files)] = dhash
        files.append(candidate.file)
