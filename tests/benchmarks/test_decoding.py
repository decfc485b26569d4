"""Images decoded ahead: in order, failures in their places, and never more than one ahead."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks import units as units_module
from duskbench.benchmarks.decoding import decode_ahead
from duskbench.benchmarks.units import ImageFile, Unit
from duskbench.data_tools.errors import DataError
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.images import write_image


@pytest.fixture
def units(tmp_path: Path) -> list[Unit]:
    """Five images of grey 0, 10, 20, ..., the third of which was changed since."""
    made = []
    for number in range(5):
        path = tmp_path / f"{number}.png"
        write_image(path, np.full((3, 4, 3), 10 * number, np.uint8))
        made.append(Unit(str(number), ImageFile(path, file_sha256(path)), ()))
    write_image(tmp_path / "2.png", np.zeros((3, 4, 3), np.uint8))
    return made


def test_images_come_in_order_and_a_failure_in_its_place(units: list[Unit]) -> None:
    decoded = list(decode_ahead(units))
    assert [each.unit for each in decoded] == units
    assert isinstance(decoded[2].image, DataError) and "not what it was" in str(decoded[2].image)
    assert [int(each.image.max()) for each in decoded if isinstance(each.image, np.ndarray)] == [0, 10, 30, 40]
    assert all(0 < each.ms < 60_000 for each in decoded)


def test_the_next_image_is_decoded_meanwhile_and_no_other(units: list[Unit], monkeypatch: pytest.MonkeyPatch) -> None:
    decode, begun = units_module.decode_image, []

    def count(data: bytes, *, where: str | Path) -> np.ndarray:
        begun.append(threading.current_thread())
        return decode(data, where=where)

    monkeypatch.setattr(units_module, "decode_image", count)
    units = units[:2] + units[3:]
    images = decode_ahead(units)
    for done in range(1, 4):
        next(images)
        deadline = time.monotonic() + 30
        while len(begun) < done + 1:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(0.02)
        assert len(begun) == done + 1
    assert threading.main_thread() not in begun
    images.close()
    assert not any(thread.is_alive() for thread in begun)


def test_a_fault_of_ours_is_raised(units: list[Unit], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(data: bytes, *, where: str | Path) -> np.ndarray:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(units_module, "decode_image", fail)
    with pytest.raises(ZeroDivisionError):
        next(decode_ahead(units))
