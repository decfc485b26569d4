"""A tiny VOC tree of coloured rectangles, and a configuration that runs on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from duskbench.benchmarks.store import ResultStore
from duskbench.data_tools.host.plugin import Plugin
from duskbench.data_tools.images import write_image
from duskbench.pipeline import registry
from duskbench.pipeline.weights import PRETRAINED

PLUGINS = Path(__file__).with_name("plugins.py")
COLOURS = {"car": (255, 0, 0), "person": (0, 255, 0), "dog": (0, 0, 255)}
_OBJECT = (
    "<object><name>{}</name><difficult>0</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>"
    "</bndbox></object>"
)


@dataclass(frozen=True)
class Bench:
    """A data set of `n` images, one object each, and a configuration file for it."""

    root: Path
    config: Path
    ids: list[str]


def make_bench(root: Path, n: int = 6, size: tuple[int, int] = (200, 220)) -> Bench:
    """Images 0, 1, 2, ... hold a car, a person, a dog, a car, ...; every other one is dark."""
    tree = root / "voc"
    rng = np.random.default_rng(0)
    ids = [f"{number:06d}" for number in range(1, n + 1)]
    for number, image_id in enumerate(ids):
        name = list(COLOURS)[number % 3]
        x, y, width, height = 10 + 3 * number % 40, 20, 60, 50
        image = rng.integers(90, 160, (*size, 3)).astype(np.uint8)
        image[y : y + height, x : x + width] = COLOURS[name]
        if number % 2:
            image = (image * 0.4).astype(np.uint8)
        write_image(tree / "JPEGImages" / f"{image_id}.png", image)
        box = _OBJECT.format(name, x + 1, y + 1, x + width, y + height)
        xml = f"<annotation><size><width>{size[1]}</width><height>{size[0]}</height></size>{box}</annotation>"
        (tree / "Annotations").mkdir(exist_ok=True)
        (tree / "Annotations" / f"{image_id}.xml").write_text(xml)
    (tree / "ImageSets" / "Main").mkdir(parents=True)
    (tree / "ImageSets" / "Main" / "test.txt").write_text("\n".join(ids) + "\n")
    config = root / "tiny.py"
    config.write_text(
        f"""title = "Tiny"
data = dict(root={str(tree)!r}, split="test")
detector = "{PLUGINS}:ColourDetector"
enhancers = ["input", dict(type="{PLUGINS}:brighten", gain=2.5, label="Brighten")]
protocol = dict(classes=["car", "person", "dog"])
"""
    )
    return Bench(tree, config, ids)


def weight_files(folder: Path) -> list[str]:
    """Two trainings of Zero-DCE, made of the weights that ship."""
    shipped = PRETRAINED / "zero_dce.safetensors"
    with safe_open(shipped, "np") as file:
        described = file.metadata()
    state = load_file(shipped)
    paths = []
    for number in range(2):
        changed = {key: value + np.float32(1e-3 * number) for key, value in state.items()}
        paths.append(str(folder / f"{number}.safetensors"))
        save_file(changed, paths[-1], described)
    return paths


@pytest.fixture(autouse=True)
def _plugins_in_this_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plug-ins of quick tests have no process of their own, which takes 0.2 s to start; those of slow tests have."""
    if "slow" in request.keywords:
        return
    for name, load in (("HostedEnhancer", registry.load_enhancer), ("HostedDetector", registry.load_detector)):
        monkeypatch.setattr(registry, name, partial(_loaded_here, load))


def _loaded_here(load: Callable[..., Any], plugin: Plugin) -> Any:
    return load({"type": plugin.target, **plugin.arguments}, **plugin.offered, isolate=False)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Six images."""
    return make_bench(tmp_path)


def stored_rows(out: Path) -> list[tuple[object, ...]]:
    """What a run's newest record has of each image and enhancer, times left out: to be compared with another run's."""
    rows: list[tuple[object, ...]] = []
    with ResultStore(out / "results.sqlite", reading=True) as store:
        record = store.last_run()
        for enhancer in record.enhancers:
            for row in store.rows(record, enhancer):
                found = [
                    (d.boxes_xyxy.tobytes(), d.scores.tobytes(), d.labels.tobytes(), d.error)
                    for d in (row.detections.get(each.fingerprint) for each in record.detectors)
                    if d is not None
                ]
                values = [
                    (v.number, v.reason, v.error)
                    for v in (row.values.get(each.fingerprint) for each in record.metrics)
                    if v is not None
                ]
                rows.append((row.key.image_id, row.key.enhancer, row.error, values, found))
    return sorted(rows, key=lambda row: (str(row[0]), str(row[1])))
