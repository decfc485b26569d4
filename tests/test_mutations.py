"""Every parser of files that are not annotations, on mutated files: a documented error or a valid result.

Annotations are in `data_tools/test_hostile_annotations.py`, images in `test_images.py`, archives in `test_archives.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from duskbench.benchmarks.config import load_benchmark_config
from duskbench.benchmarks.evidence import RunEvidence
from duskbench.benchmarks.nightly.history import History, read_history
from duskbench.benchmarks.nightly.night import from_json, to_json
from duskbench.benchmarks.record import RunRecord
from duskbench.benchmarks.rows import ImageState
from duskbench.benchmarks.store import ResultStore
from duskbench.data_tools.errors import DuskbenchError
from duskbench.data_tools.ids import check_id, read_names, read_text
from duskbench.data_tools.training_manifest import read_manifest
from duskbench.pipeline.checkpoint import safetensors_bytes
from duskbench.pipeline.detectors.results_file import ResultsFile
from duskbench.pipeline.network_weights import load_described
from tests.benchmarks.fabricate import make_images, make_night, make_record, make_run
from tests.mutations import mutations

DETECTIONS = {
    "images": [{"id": 1, "file_name": "a.png"}],
    "categories": [{"id": 3, "name": "car"}],
    "annotations": [{"image_id": 1, "category_id": 3, "bbox": [1, 2, 8, 6], "score": 0.5}],
}
MANIFEST = {
    "settings": {"size": 64},
    "images": [{"domain": "A", "file": "a.png", "source": "x/a.png", "rejected": None}],
}
CONFIG = """
title = "Mine"
data = dict(root="photos", split="test")
detector = "rfb_miniature"
enhancers = ["input", "clahe"]
protocol = dict(classes=["car", "person"], iou_threshold=0.5, plus_one=False, max_detections=100)
"""
NIGHT = make_night(3)
RUN = make_record(make_images(2), ("Input",))


def read_results(path: Path) -> Any:
    """Detections by image, whose numbers a table would be made of."""
    detector = ResultsFile(path)
    return [(found.boxes_xyxy, found.scores, found.labels) for found in detector.detect_by_id(["a", "b"])]


def read_store(path: Path) -> Any:
    """All that a table is made of, as text."""
    with ResultStore(path, reading=True) as store:
        run = store.last_run()
        return repr((run, store.images(), list(store.rows(run, run.enhancers[0])), store.known()))


def sound_store(folder: Path) -> bytes:
    """The bytes of a results file with images, detections, numbers and a run."""
    make_run(folder, make_images(2), {"Input": 0.8})
    return (folder / "results.sqlite").read_bytes()


def sound_history(folder: Path) -> bytes:
    """The bytes of a history with one night."""
    evidence = RunEvidence(NIGHT.record, (ImageState("a", "sha", "truth"),), {"car": np.ones(1, int)}, {})
    History(folder / "h.sqlite").put(NIGHT, evidence, joins=())
    return (folder / "h.sqlite").read_bytes()


def sound_torch(folder: Path) -> bytes:
    """A file of torch.save, pickled as far as it is."""
    torch.save({"state_dict": {"w": torch.ones(2, 3), "b": torch.zeros(2)}}, folder / "w.pth")
    return (folder / "w.pth").read_bytes()


WEIGHTS = {"w": torch.ones(2, 3), "b": torch.zeros(2)}
Parse = Callable[[Path], Any]
# File name, sound content or what makes it, what reads it.
CASES: dict[str, tuple[str, bytes | Callable[[Path], bytes], Parse]] = {
    "names": ("classes.txt", b"\xef\xbb\xbfcar\ndining table\nperson\n", read_names),
    "results": ("d.json", json.dumps(DETECTIONS).encode(), read_results),
    "manifest": ("manifest.json", json.dumps(MANIFEST).encode(), read_manifest),
    "config": ("mine.py", CONFIG.encode(), load_benchmark_config),
    "safetensors": ("w.safetensors", safetensors_bytes(WEIGHTS, {"arguments": "{}"}), load_described),
    "torch": ("w.pth", sound_torch, load_described),
    "store": ("results.sqlite", sound_store, read_store),
    "record": ("record.json", RUN.to_json().encode(), lambda path: RunRecord.from_json(read_text(path), where=path)),
    "history": ("h.sqlite", sound_history, read_history),
    "night": ("night.json", to_json(NIGHT).encode(), lambda path: from_json(read_text(path))),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The sound content of every file."""
    folder = tmp_path_factory.mktemp("sound")
    return {case: content if isinstance(content, bytes) else content(folder) for case, (_, content, _) in CASES.items()}


@pytest.mark.parametrize("case", CASES)
def test_every_sound_file_is_read(case: str, sound: dict[str, bytes], tmp_path: Path) -> None:
    name, _, parse = CASES[case]
    (tmp_path / name).write_bytes(sound[case])
    assert parse(tmp_path / name)


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(choice=st.data())
def test_a_mutated_file_is_an_error_of_ours_or_read(
    case: str, sound: dict[str, bytes], tmp_path: Path, choice: st.DataObject
) -> None:
    name, _, parse = CASES[case]
    file = tmp_path / name
    file.write_bytes(choice.draw(mutations(sound[case])))
    try:
        valid(case, sound[case], parse(file), file)
    except DuskbenchError as error:
        assert len(str(error)) < 5000
        str(error).encode("utf-8")


def valid(case: str, sound: bytes, read: Any, path: Path) -> None:
    """What may come of a file that is not refused."""
    if case == "names":
        assert all(name.strip() == name and name for name in read)
    elif case == "results":
        for boxes, scores, labels in read:
            assert np.isfinite(boxes).all() and ((scores >= 0) & (scores <= 1)).all() and (labels >= 0).all()
    elif case == "manifest":
        for row in read["images"]:
            assert check_id(row["file"], where="manifest") and row["domain"] in ("A", "B")
    elif case == "config":
        assert read.enhancers and 0 < read.protocol.iou_threshold < 1 and isinstance(read.protocol.plus_one, bool)
    elif case in ("safetensors", "torch"):
        tensors, metadata = read
        assert all(isinstance(each, torch.Tensor) for each in tensors.values())
        assert all(isinstance(each, str) for each in metadata.values())
    elif case == "record":
        assert RunRecord.from_json(read.to_json(), where=path) == read
    elif case == "night":
        assert from_json(to_json(read)) == read
    else:
        path.write_bytes(sound)
        assert read == CASES[case][2](path)
