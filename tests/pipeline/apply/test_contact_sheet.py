"""A sheet holds every enhancer's result of every photo, in order."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from duskbench.data_tools.images import write_image
from duskbench.pipeline import load_enhancer
from duskbench.pipeline.apply.contact_sheet import CAPTION_HEIGHT, contact_sheet, sheet_size
from tests.progress import Seen


def brighter(image: np.ndarray) -> np.ndarray:
    return image + 100


def test_rows_are_photos_and_columns_enhancers(tmp_path: Path) -> None:
    photos = []
    for i, (height, width) in enumerate([(40, 80), (80, 40)]):
        photos.append(tmp_path / f"{i}.png")
        write_image(photos[-1], np.full((height, width, 3), 10 * (i + 1), np.uint8))
    seen = Seen()
    columns = {"Input": load_enhancer("input"), "Brighter": load_enhancer(brighter)}
    sheet = contact_sheet(photos, columns, width=20, progress=seen)
    assert sheet.shape == (CAPTION_HEIGHT + 10 + 40, 40, 3)
    assert sheet_size(photos, 2, width=20) == sheet.shape[:2]
    assert seen.counts == [(1, 2), (2, 2)]
    first, second = sheet[CAPTION_HEIGHT : CAPTION_HEIGHT + 10], sheet[CAPTION_HEIGHT + 10 :]
    assert (first[:, :20] == 10).all() and (first[:, 20:] == 110).all()
    assert (second[:, :20] == 20).all() and (second[:, 20:] == 120).all()
    assert sheet[:CAPTION_HEIGHT].min() < 100, "captions"
