"""Enhancers and detectors of installed packages: real distributions, on the path as pip would put them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from duskbench.data_tools.entry_points import Installed, installed
from duskbench.data_tools.errors import ConfigError, UnknownNameError
from duskbench.pipeline import load_detector, load_enhancer
from duskbench.pipeline.registry import ENHANCERS

IMAGE = np.random.default_rng(0).integers(0, 100, (20, 30, 3)).astype(np.uint8)

MODULE = """
import numpy as np

class Double:
    def __init__(self, gain=2):
        self.gain = gain

    def __call__(self, image):
        return image * np.uint8(self.gain)

class Finds:
    classes = ("car",)

    def detect(self, images):
        from duskbench.pipeline.detectors.base import Detections
        none = np.zeros((0, 4), np.float32)
        return [Detections(none, np.zeros(0, np.float32), np.zeros(0, np.int64), self.classes) for _ in images]
"""


def install(site: Path, name: str, enhancers: str = "", detectors: str = "", module: str = MODULE) -> None:
    """What `pip install` leaves behind of a package with one module."""
    info = site / f"{name}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[duskbench.enhancers]\n{enhancers}\n[duskbench.detectors]\n{detectors}\n")
    (site / f"{name}.py").write_text(module)


@pytest.mark.slow
def test_names_of_a_package_are_used_listed_and_suggested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "brought_a", "doubled = brought_a:Double", "finder = brought_a:Finds")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert np.array_equal(load_enhancer("doubled")(IMAGE), IMAGE * 2)
    assert np.array_equal(load_enhancer("doubled(gain=1)")(IMAGE), IMAGE)
    assert load_enhancer("doubled").fingerprint != load_enhancer("doubled(gain=1)").fingerprint
    assert len(load_detector("finder").detect([IMAGE])[0]) == 0
    assert installed("enhancer", ENHANCERS) == [Installed("doubled", "brought_a:Double", "brought_a 1.2")]
    assert [each.name for each in installed("detector")] == ["finder"]
    with pytest.raises(UnknownNameError, match="did you mean doubled"):
        load_enhancer("doubledd")
    with pytest.raises(UnknownNameError, match="did you mean finder"):
        load_detector("findr")


def test_a_name_of_ours_is_refused_and_both_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "brought_b", "lime = brought_b:Double", "rfb_miniature = brought_b:Finds")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match=r"(?s)'lime'.*duskbench and brought_b 1\.2 \(brought_b:Double\)"):
        load_enhancer("lime")
    with pytest.raises(ConfigError, match=r"(?s)'rfb_miniature'.*duskbench and brought_b"):
        load_detector("rfb_miniature")
    assert installed("enhancer", ENHANCERS)[0].clash == "duskbench"
    # All other names work, and so do the addresses of both.
    assert np.array_equal(load_enhancer("input")(IMAGE), IMAGE)
    assert np.array_equal(load_enhancer("brought_b:Double")(IMAGE), IMAGE * 2)
    assert load_enhancer("duskbench.pipeline.enhancers.gamma:Gamma")(IMAGE).shape == IMAGE.shape


def test_two_packages_with_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("brought_c", "brought_d"):
        install(tmp_path, name, f"same = {name}:Double")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match=r"(?s)brought_c 1\.2.*and brought_d 1\.2"):
        load_enhancer("same")
    assert [each.clash for each in installed("enhancer")] == ["brought_d 1.2", "brought_c 1.2"]


@pytest.mark.parametrize(
    ("module", "text"),
    [("import no_such_library", "no_such_library"), ("raise SystemExit(3)", "SystemExit"), ("x = 1", "Double")],
)
def test_a_broken_package_is_an_error_when_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, text: str
) -> None:
    name = f"brought_{len(module)}"
    install(tmp_path, name, f"broken = {name}:Double", module=module)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert np.array_equal(load_enhancer("input")(IMAGE), IMAGE)
    assert [each.name for each in installed("enhancer")] == ["broken"]
    with pytest.raises(ConfigError, match=rf"(?s)cannot be imported.*broken = {name}:Double, of {name} 1\.2.*{text}"):
        load_enhancer("broken")
