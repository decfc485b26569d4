from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from duskbench.benchmarks.kept_pictures import image_path, write_picture
from duskbench.benchmarks.record import EnhancerEntry, RunRecord
from duskbench.benchmarks.report.gallery import Shown, View
from duskbench.benchmarks.report.pictures import PictureMaker, encode_within, make_pictures
from duskbench.benchmarks.rows import Key
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.images import decode_image, write_image
from duskbench.data_tools.records import ImageRecord
from duskbench.pipeline.registry import load_enhancer
from tests.benchmarks.fabricate import make_record

PLUGINS = Path(__file__).parent.parent / "plugins.py"


def record_of(**specs: str) -> RunRecord:
    """A run's record with these enhancers, with the fingerprints that they have now."""
    enhancers = []
    for label, spec in specs.items():
        try:
            fingerprint = load_enhancer(spec).fingerprint
        except Exception:  # noqa: BLE001 - one that cannot be built has none
            fingerprint = "gone"
        enhancers.append(EnhancerEntry(label, spec, fingerprint))
    return replace(make_record((), ()), enhancers=tuple(enhancers))


def shown_of(path: Path, *labels: str, sha256: str | None = None) -> Shown:
    return Shown(ImageRecord(path.stem, path), sha256, {label: View() for label in labels})


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    image = np.random.default_rng(0).integers(0, 60, (90, 120, 3)).astype(np.uint8)
    write_image(tmp_path / "photo.png", image)
    return tmp_path / "photo.png"


def pixels(uri: str) -> np.ndarray:
    head, _, body = uri.partition(",")
    assert head == "data:image/webp;base64"
    return decode_image(b64decode(body))


def test_pictures_are_made_by_the_enhancers_that_were_measured(photo: Path, tmp_path: Path) -> None:
    record = record_of(Input="input", Gamma="gamma(gamma=0.4)")
    maker = PictureMaker(record, tmp_path / "images")
    [made] = make_pictures([shown_of(photo, "Input", "Gamma", sha256=file_sha256(photo))], maker)
    assert (made.size, made.reasons, maker.remade) == ((120, 90), {}, set())
    means = {label: pixels(uri).mean() for label, uri in made.pictures.items()}
    assert pixels(made.pictures["Input"]).shape == (90, 120, 3)
    assert means["Input"] == pytest.approx(30, abs=4) and means["Gamma"] > 60


def test_an_enhancer_that_has_changed_is_named(photo: Path, tmp_path: Path) -> None:
    record = record_of(Input="input", Gamma="gamma(gamma=0.4)")
    one, other = record.enhancers
    changed = replace(record, enhancers=(one, replace(other, fingerprint="another")))
    maker = PictureMaker(changed, tmp_path / "images")
    make_pictures([shown_of(photo, "Input", "Gamma")], maker)
    assert maker.remade == {"Gamma"}


def test_saved_pictures_are_read_and_nothing_is_built(photo: Path, tmp_path: Path) -> None:
    record = record_of(Mine="nowhere.py:gone")
    key = Key("photo", "c", record.enhancers[0].fingerprint)
    path = image_path(tmp_path / "images", "Mine", "photo")
    write_picture(path, np.full((90, 120, 3), 200, np.uint8), key)
    maker = PictureMaker(record, tmp_path / "images")
    shown = replace(shown_of(photo, "Mine"), content="c")
    [made] = make_pictures([shown], maker)
    assert made.reasons == {} and pixels(made.pictures["Mine"]).mean() == pytest.approx(200, abs=3)
    # One of other code, of another state of the image, or that does not say of what, is not the one that was measured.
    white = np.full((90, 120, 3), 255, np.uint8)
    for other in (replace(key, enhancer="another"), replace(key, content="another"), None):
        write_image(path, white) if other is None else write_picture(path, white, other)
        [made] = make_pictures([shown], maker)
        assert "cannot be built now" in made.reasons["Mine"]


def test_what_cannot_be_made_says_why_and_the_rest_stands(photo: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text(
        "def smaller(image):\n    return image[:5]\n\n\ndef raising(image):\n    raise KeyError('lost')\n"
    )
    record = record_of(Input="input", Gone="nowhere.py:gone", Smaller=f"{broken}:smaller", Raising=f"{broken}:raising")
    labels = [enhancer.label for enhancer in record.enhancers]
    shown = [shown_of(photo, *labels), shown_of(tmp_path / "absent.png", *labels)]
    shown[0].views["Gone2"] = View(reason="It failed in the run.")
    first, second = make_pictures(shown, PictureMaker(record, tmp_path / "images"))
    assert list(first.pictures) == ["Input"]
    assert "cannot be built now" in first.reasons["Gone"] and "nowhere.py" in first.reasons["Gone"]
    assert "broke its contract" in first.reasons["Smaller"]
    assert "lost" in first.reasons["Raising"]
    assert first.reasons["Gone2"] == "It failed in the run."
    assert second.pictures == {} and second.size is None
    assert set(second.reasons) == set(labels) and "Cannot read the image file" in second.reasons["Input"]


def test_a_changed_image_file_is_not_shown(photo: Path, tmp_path: Path) -> None:
    maker = PictureMaker(record_of(Input="input"), tmp_path / "images")
    [made] = make_pictures([shown_of(photo, "Input", sha256="0" * 64)], maker)
    assert made.pictures == {} and "has changed since it was measured" in made.reasons["Input"]


@pytest.mark.slow
def test_pictures_shrink_to_their_budget() -> None:
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 255, (12, 16, 3)).astype(np.uint8)
    photo = cv2.resize(coarse, (960, 720), interpolation=cv2.INTER_CUBIC)
    photo = np.clip(photo + rng.normal(0, 8, photo.shape), 0, 255).astype(np.uint8)
    budget, sizes = 10_000_000, []
    for _ in range(4):
        encoded = encode_within({"a": photo, "b": 255 - photo}, budget)
        assert encoded is not None
        used = sum(map(len, encoded.values()))
        assert used <= budget
        shapes = {pixels(uri).shape for uri in encoded.values()}
        assert len(shapes) == 1
        [(height, width, _)] = shapes
        assert width / height == pytest.approx(4 / 3, abs=0.01)
        sizes.append(width)
        budget = used - 1
    assert sizes == [720, 640, 640, 560]


def test_no_space_is_said(photo: Path, tmp_path: Path) -> None:
    assert encode_within({"a": np.zeros((50, 50, 3), np.uint8)}, 10) is None
    [made] = make_pictures([shown_of(photo, "Input")], PictureMaker(record_of(Input="input"), tmp_path), budget=10)
    assert made.pictures == {} and "space for pictures" in made.reasons["Input"]


def test_what_an_image_leaves_over_goes_to_the_next(photo: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat.png"
    write_image(flat, np.zeros((90, 120, 3), np.uint8))
    maker = PictureMaker(record_of(Input="input"), tmp_path / "images")
    alone = len(make_pictures([shown_of(photo, "Input")], maker)[0].pictures["Input"])
    small = len(make_pictures([shown_of(flat, "Input")], maker)[0].pictures["Input"])
    # Half of it would be too little for the noisy one at full quality.
    first, second = make_pictures([shown_of(flat, "Input"), shown_of(photo, "Input")], maker, budget=alone + small)
    assert len(first.pictures["Input"]) == small and len(second.pictures["Input"]) == alone
