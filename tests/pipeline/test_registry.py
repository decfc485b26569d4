"""Every way to name an enhancer or a detector, and what a wrong name says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_tools.errors import ConfigError, EnhancerError, UnknownNameError
from pipeline import load_detector, load_enhancer
from pipeline.registry import ENHANCERS, parse_spec

PLUGINS = Path(__file__).resolve().parents[1] / "benchmarks" / "plugins.py"
IMAGE = np.random.default_rng(0).integers(0, 100, (20, 30, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("spec", "parsed"),
    [
        ("lime", ("lime", {})),
        ("gamma(gamma=2.2)", ("gamma", {"gamma": 2.2})),
        ("a/b.py:F( x = 1, y=(2, 3), z='a(b)' )", ("a/b.py:F", {"x": 1, "y": (2, 3), "z": "a(b)"})),
        ("dir:out (1)/x", ("dir", {"path": "out (1)/x"})),
    ],
)
def test_specifications(spec: str, parsed: tuple[str, dict[str, object]]) -> None:
    assert parse_spec(spec) == parsed


@pytest.mark.parametrize("spec", ["gamma(2.2)", "gamma(gamma=2.2", "gamma(gamma=open('x'))", "gamma(**a)", "f()()"])
def test_broken_specifications(spec: str) -> None:
    with pytest.raises(ConfigError, match="Cannot read the specification"):
        parse_spec(spec)


@pytest.mark.parametrize(
    "spec",
    [
        f"{PLUGINS}:brighten",
        f"{PLUGINS}:brighten(gain=2.0)",
        "tests.benchmarks.plugins:brighten",
        {"type": f"{PLUGINS}:brighten", "gain": 2.0},
        lambda image: np.minimum(image.astype(int) * 2, 255).astype(np.uint8),
    ],
)
def test_plug_ins(spec: object) -> None:
    enhancer = load_enhancer(spec)  # type: ignore[arg-type]
    assert np.array_equal(enhancer(IMAGE), IMAGE * 2)
    assert len(enhancer.fingerprint) == 64


def test_plug_in_class_is_built_with_its_arguments() -> None:
    enhancer = load_enhancer(f"{PLUGINS}:FailsOnDark(below=0.0)")
    assert np.array_equal(enhancer(IMAGE), IMAGE)


def test_fingerprint_knows_code_and_arguments(tmp_path: Path) -> None:
    prints = {load_enhancer(f"{PLUGINS}:brighten(gain={gain})").fingerprint for gain in (2.0, 2.5)}
    plugin = tmp_path / "mine.py"
    for body in ("return image", "return 255 - image"):
        plugin.write_text(f"def f(image):\n    {body}\n")
        prints.add(load_enhancer(f"{plugin}:f").fingerprint)
        prints.add(load_enhancer(f"{plugin}:f").fingerprint)
    assert len(prints) == 4


@pytest.mark.parametrize(
    ("spec", "error", "text"),
    [
        ("limee", UnknownNameError, "did you mean lime"),
        ("gamma(gama=2)", UnknownNameError, "did you mean gamma"),
        (f"{PLUGINS}:brigthen", UnknownNameError, "did you mean brighten"),
        (f"{PLUGINS}:COLOURS", UnknownNameError, "Unknown function or class"),
        ("nowhere.py:f", ConfigError, "does not exist"),
        ("no.such.module:f", ConfigError, "Cannot import"),
        ({"gamma": 2}, ConfigError, "no type"),
        (f"{PLUGINS}:brighten(gian=2)", UnknownNameError, "did you mean gain"),
    ],
)
def test_wrong_enhancer_names(spec: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        load_enhancer(spec)  # type: ignore[arg-type]


def test_plug_in_that_fails_on_import(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import no_such_thing\n")
    with pytest.raises(ConfigError, match="no_such_thing"):
        load_enhancer(f"{tmp_path}/bad.py:f")


@pytest.mark.parametrize(
    "result",
    [IMAGE[:5], IMAGE.astype(np.float32) / 255, np.full((20, 30, 3), np.nan), IMAGE[:, :, 0], None, [1, 2]],
)
def test_contract_violations_name_the_plug_in(result: object) -> None:
    def mine(image: np.ndarray) -> object:
        return result

    with pytest.raises(EnhancerError, match=r"mine[\s\S]*img7[\s\S]*expected[\s\S]*got"):
        load_enhancer(mine)(IMAGE, image_id="img7")


@pytest.mark.parametrize("image", [IMAGE[:, :, :1], IMAGE / 255.0, np.zeros((0, 4, 3), np.uint8), "a.png"])
def test_no_image_is_refused(image: object) -> None:
    with pytest.raises(EnhancerError, match="no image"):
        load_enhancer("input")(image)  # type: ignore[arg-type]


def test_detector_plug_in() -> None:
    detector = load_detector(f"{PLUGINS}:ColourDetector(score=0.5)")
    image = np.zeros((60, 80, 3), np.uint8)
    image[10:30, 20:50] = (255, 0, 0)
    [found] = detector.detect([image])
    assert found.boxes_xyxy.tolist() == [[20, 10, 50, 30]]
    assert [found.classes[label] for label in found.labels] == ["car"]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("rfbnet300", "did you mean rfbnet300_voc"),
        ("nowhere.py", "does not exist"),
        ({"type": "yolo"}, "Unknown detector type"),
        (f"{PLUGINS}:FailsOnDark", "does not have what a detector needs"),
    ],
)
def test_wrong_detector_names(spec: object, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        load_detector(spec)  # type: ignore[arg-type]


def test_every_registered_enhancer_can_be_imported() -> None:
    from pipeline.registry import _import

    for address in ENHANCERS.values():
        assert isinstance(_import(address), type)
