"""Model files run in a process of their own: what their graphs do to it is an error, loading included."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duskbench.data_tools.errors import DetectorError, EnhancerError, WeightsError
from duskbench.data_tools.host import host
from duskbench.pipeline import load_detector, load_enhancer
from tests.needs import need_module

onnx = need_module("onnx")
need_module("onnxruntime")
helper, TensorProto = onnx.helper, onnx.TensorProto
IMAGE = np.random.default_rng(0).integers(0, 120, (9, 12, 3)).astype(np.uint8)


def save(path: Path, nodes: list[Any], given: str, outputs: list[str], constants: list[Any] = ()) -> str:  # type: ignore[assignment]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    inputs = [helper.make_tensor_value_info(given, TensorProto.FLOAT, ["n", 3, "h", "w"])]
    graph = helper.make_graph(nodes, "g", inputs, values, list(constants))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return str(path)


def endless(path: Path, given: str, outputs: list[str]) -> str:
    """A graph that adds zero to its input 2 ** 62 times."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["before", "zero"], ["after"])],
        "body",
        [
            value("i", TensorProto.INT64, []),
            value("go", TensorProto.BOOL, []),
            value("before", TensorProto.FLOAT, None),
        ],
        [value("on", TensorProto.BOOL, []), value("after", TensorProto.FLOAT, None)],
    )
    constants = [
        onnx.numpy_helper.from_array(np.array(array), name)
        for name, array in (("times", np.int64(2**62)), ("true", True), ("zero", np.float32(0)))
    ]
    nodes = [
        helper.make_node("Loop", ["times", "true", given], ["made"], body=body),
        *(helper.make_node("Identity", ["made"], [name]) for name in outputs),
    ]
    return save(path, nodes, given, outputs, constants)


def test_an_onnx_enhancer_runs_elsewhere_and_is_the_same(tmp_path: Path) -> None:
    file = save(tmp_path / "m.onnx", [helper.make_node("Sqrt", ["x"], ["y"])], "x", ["y"])
    own, here = load_enhancer(f"{file}(range=1)"), load_enhancer(f"{file}(range=1)", isolate=False)
    assert np.array_equal(own(IMAGE, image_id="a"), here(IMAGE))
    assert own.fingerprint == here.fingerprint and own.origin == here.origin and own.weights == here.weights
    own.close()


@pytest.mark.parametrize("kind", ["enhancer", "detector"])
def test_a_graph_that_never_ends_while_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(host, "LEAST_TIME_FOR_BUILDING", 2.0)
    given, outputs = ("x", ["y"]) if kind == "enhancer" else ("images", ["boxes", "scores"])
    file = endless(tmp_path / "m.onnx", given, outputs)
    load, error = (load_enhancer, EnhancerError) if kind == "enhancer" else (load_detector, DetectorError)
    spec = file if kind == "enhancer" else f"{file}(classes=('car', 'person'))"
    with pytest.raises(error, match=rf"(?s){kind.capitalize()} .*m\.onnx' took too long.*within 2 s.*--time-limit"):
        load(spec, time_limit=1.0)


def test_errors_of_a_model_file_are_those_of_this_process(tmp_path: Path) -> None:
    file = tmp_path / "m.onnx"
    file.write_bytes(b"not a model")
    for load in (load_enhancer, load_detector):
        with pytest.raises(WeightsError, match="not an ONNX model") as caught:
            load(str(file))
        assert caught.value.where == str(file)


def test_threads_are_those_that_this_process_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several workers run side by side, and sums over several threads are rounded otherwise."""
    import torch

    monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", "7")
    (tmp_path / "mine.py").write_text(
        "import os\ndef f(image):\n    return image * 0 + int(os.environ['OMP_NUM_THREADS'])\n"
    )
    enhancer = load_enhancer(f"{tmp_path}/mine.py:f")
    assert int(enhancer(IMAGE).max()) == torch.get_num_threads()
    enhancer.close()
