"""ONNX enhancers of every usual shape, against the same curve in numpy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duskbench.data_tools.errors import ConfigError, DuskbenchError, EnhancerError, WeightsError
from duskbench.pipeline import registry
from tests.needs import need_module

onnx = need_module("onnx")
need_module("onnxruntime")
helper, TensorProto = onnx.helper, onnx.TensorProto

# Of what the file is read as a host shows nothing; `tests/pipeline/test_host.py` has the process of its own.
load_enhancer = partial(registry.load_enhancer, isolate=False)

IMAGE = np.random.default_rng(0).integers(0, 120, (37, 53, 3)).astype(np.uint8)
ROOT = np.clip(np.rint(255 * np.sqrt(IMAGE / 255)), 0, 255).astype(np.uint8)
FREE: list[Any] = ["n", 3, "h", "w"]


def constant(name: str, values: Any, dtype: Any = np.float32) -> Any:
    return onnx.numpy_helper.from_array(np.asarray(values, dtype), name)


def save(
    path: Path,
    nodes: list[Any],
    constants: list[Any] = (),  # type: ignore[assignment]
    *,
    shape: list[Any] = FREE,
    kind: int = TensorProto.FLOAT,
    outputs: dict[str, int] | None = None,
    metadata: dict[str, str] | None = None,
    **how: Any,
) -> Path:
    results = [helper.make_tensor_value_info(n, k, None) for n, k in (outputs or {"y": TensorProto.FLOAT}).items()]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", kind, shape)], results, list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path, **how)
    return path


def root(path: Path, scale: float = 1.0, offset: float = 0.0, dtype: Any = np.float32, **how: Any) -> Path:
    """y = sqrt of the picture, in a range of `scale` from `offset`."""
    node = helper.make_node
    nodes = [
        node("Sub", ["x", "o"], ["a"]),
        node("Div", ["a", "s"], ["b"]),
        node("Relu", ["b"], ["p"]),
        node("Sqrt", ["p"], ["c"]),
        node("Mul", ["c", "s"], ["d"]),
        node("Add", ["d", "o"], ["y"]),
    ]
    return save(path, nodes, [constant("s", scale, dtype), constant("o", offset, dtype)], **how)


def assert_root(spec: Any) -> None:
    before = IMAGE.copy()
    got = load_enhancer(spec)(IMAGE, image_id="a")
    assert np.abs(got.astype(int) - ROOT).max() <= 1
    assert np.array_equal(IMAGE, before)


@pytest.mark.parametrize("scale", [1.0, 255.0])
@pytest.mark.parametrize(
    "shape",
    [
        ["n", 3, "h", "w"],
        [1, 3, "h", "w"],
        ["n", "h", "w", 3],
        [1, None, None, 3],
        [3, "h", "w"],
        ["h", "w", 3],
        ["n", "c", "h", "w"],
        [1, 3, 37, 53],
        [1, 37, 53, 3],
    ],
)
def test_layout_and_range_are_detected(tmp_path: Path, shape: list[Any], scale: float) -> None:
    assert_root(str(root(tmp_path / "m.onnx", scale, shape=shape)))


def test_half_precision_is_read_from_the_file(tmp_path: Path) -> None:
    half = TensorProto.FLOAT16
    file = root(tmp_path / "m.onnx", dtype=np.float16, kind=half, outputs={"y": half})
    assert_root(str(file))


def test_bytes_in_and_out(tmp_path: Path) -> None:
    node = helper.make_node
    nodes = [
        node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        node("Div", ["f", "s"], ["a"]),
        node("Sqrt", ["a"], ["b"]),
        node("Mul", ["b", "s"], ["c"]),
        node("Round", ["c"], ["d"]),
        node("Cast", ["d"], ["y"], to=TensorProto.UINT8),
        node("Identity", ["b"], ["unit"]),
    ]
    byte, shape = TensorProto.UINT8, ["n", "h", "w", 3]
    both = {"kind": byte, "shape": shape}
    assert_root(str(save(tmp_path / "b.onnx", nodes[:6], [constant("s", 255.0)], outputs={"y": byte}, **both)))  # type: ignore[arg-type]
    # Bytes in and floats from 0 to 1 out.
    unit = save(tmp_path / "u.onnx", [*nodes[:3], nodes[6]], [constant("s", 255.0)], outputs={"unit": 1}, **both)  # type: ignore[arg-type]
    assert load_enhancer(str(unit)).format.output_range == (0.0, 1.0)  # type: ignore[attr-defined]
    assert_root(str(unit))


def test_a_range_that_the_picture_cannot_settle_is_refused_and_told(tmp_path: Path) -> None:
    # Half of everything is a picture in every range, and for black at -1 another one.
    file = save(tmp_path / "m.onnx", [helper.make_node("Mul", ["x", "h"], ["y"])], [constant("h", 0.5)])
    with pytest.raises(ConfigError, match=r"(?s)range.*0-1 in.*-1-1 in.*range=1.*range=\(-1, 1\)"):
        load_enhancer(str(file))
    assert np.abs(load_enhancer(f"{file}(range=1)")(IMAGE) - IMAGE / 2.0).max() <= 0.5
    for spec in (f"{file}(range=(-1, 1))", {"type": str(file), "range": "-1..1"}):
        assert np.abs(load_enhancer(spec)(IMAGE) - (IMAGE / 2.0 + 255 / 4)).max() <= 0.51


def test_metadata_is_believed_and_arguments_win(tmp_path: Path) -> None:
    keys = {
        "duskbench.range": "[-1, 1]",
        "duskbench.layout": "NCHW",
        "duskbench.colour_order": "BGR",
        "duskbench.stride": "4",
    }
    enhancer = load_enhancer(str(root(tmp_path / "m.onnx", 2.0, -1.0, metadata=keys)))
    assert (enhancer.stride, enhancer.format.colour, enhancer.format.range) == (4, "bgr", (-1.0, 1.0))  # type: ignore[attr-defined]
    assert np.abs(enhancer(IMAGE).astype(int) - ROOT).max() <= 1
    assert load_enhancer(f"{tmp_path}/m.onnx(colour='rgb')").format.colour == "rgb"  # type: ignore[attr-defined]


def test_colour_order_is_told(tmp_path: Path) -> None:
    # Halves the first channel.
    weights = constant("k", np.array([0.5, 1, 1]).reshape(1, 3, 1, 1))
    file = save(tmp_path / "m.onnx", [helper.make_node("Mul", ["x", "k"], ["y"])], [weights])
    for colour, channel in (("rgb", 0), ("bgr", 2)):
        got = load_enhancer(f"{file}(colour={colour!r}, range=1)")(IMAGE)
        assert got[..., channel].max() <= 60 and np.array_equal(got[..., 2 - channel], IMAGE[..., 2 - channel])


def blocks(path: Path, stride: int, keep: bool = True) -> Path:
    """A mean over blocks, blown up again; added to the picture, which fails on other sizes, or alone."""
    node = helper.make_node
    pool = node("AveragePool", ["x"], ["p"], kernel_shape=[stride] * 2, strides=[stride] * 2)
    if not keep:
        nodes = [pool, node("Resize", ["p", "", "f"], ["y"], mode="nearest")]
        return save(path, nodes, [constant("f", [1, 1, stride, stride])])
    nodes = [
        pool,
        node("Resize", ["p", "", "f"], ["r"], mode="nearest"),
        node("Mul", ["r", "h"], ["e"]),
        node("Mul", ["x", "h"], ["g"]),
        node("Add", ["e", "g"], ["y"]),
    ]
    return save(path, nodes, [constant("f", [1, 1, stride, stride]), constant("h", 0.5)])


@pytest.mark.parametrize("stride", [2, 8, 12, 14, 32])
@pytest.mark.parametrize("keep", [True, False])
def test_the_stride_is_found_and_padded(tmp_path: Path, stride: int, keep: bool) -> None:
    enhancer = load_enhancer(str(blocks(tmp_path / "m.onnx", stride, keep)))
    assert enhancer.stride == stride  # type: ignore[attr-defined]
    assert f"multiples of {stride}" in str(enhancer.origin)
    assert enhancer(IMAGE).shape == IMAGE.shape
    flat = np.full_like(IMAGE, 90)
    assert np.array_equal(enhancer(flat), flat)


def test_a_stride_that_is_none_of_the_usual_is_not_taken_for_a_multiple(tmp_path: Path) -> None:
    # 64 x 3 and 96 x 3 are multiples of 18 and of 48, and would be believed if they were tried alone.
    file = blocks(tmp_path / "m.onnx", 36)
    with pytest.raises(ConfigError, match=r"(?s)no picture of a picture's size.*stride=\.\.\."):
        load_enhancer(str(file))
    assert load_enhancer(f"{file}(stride=36)")(IMAGE).shape == IMAGE.shape
    wrong = load_enhancer(f"{file}(stride=36)")
    wrong.stride = 6  # type: ignore[attr-defined]
    with pytest.raises(EnhancerError, match=r"(?s)img3.*60 x 42 pixels.*stride=\.\.\."):
        wrong(np.zeros((40, 60, 3), np.uint8), image_id="img3")


def test_a_fixed_size_refuses_others_unless_asked_to_resize(tmp_path: Path) -> None:
    file = root(tmp_path / "m.onnx", shape=[1, 3, 64, 96])
    with pytest.raises(EnhancerError, match=r"(?s)one size only.*img1.*96 x 64.*53 x 37.*resize=True"):
        load_enhancer(str(file))(IMAGE, image_id="img1")
    flat = np.full((40, 60, 3), 64, np.uint8)
    assert np.abs(load_enhancer(f"{file}(resize=True)")(flat).astype(int) - 128).max() <= 1
    prints = {load_enhancer(spec).fingerprint for spec in (str(file), f"{file}(resize=True)")}
    assert len(prints) == 2


def test_of_several_outputs_the_picture_is_taken(tmp_path: Path) -> None:
    node = helper.make_node
    nodes = [
        node("Sqrt", ["x"], ["y"]),
        node("Concat", ["x", "y"], ["six"], axis=1),
        node("Mul", ["y", "h"], ["other"]),
    ]
    numbers = [constant("h", 0.5)]
    one = save(tmp_path / "a.onnx", nodes[:2], outputs={"six": 1, "y": 1})
    assert_root(str(one))
    two = save(tmp_path / "b.onnx", nodes, numbers, outputs={"six": 1, "other": 1, "y": 1})
    with pytest.raises(ConfigError, match=r"(?s)Several outputs.*other, y.*output='...'"):
        load_enhancer(str(two))
    assert_root(f"{two}(output='y')")
    with pytest.raises(ConfigError, match=r"(?s)no such output.*'other' or output='y'|no such output.*other.*y"):
        load_enhancer(f"{two}(output='six')")


def test_layouts_that_differ_are_told(tmp_path: Path) -> None:
    node = helper.make_node
    nodes = [
        node("ReduceMean", ["x", "axis"], ["m"], keepdims=1),
        node("Add", ["m", "x"], ["s"]),
        node("Mul", ["s", "h"], ["y"]),
    ]
    numbers = [constant("axis", [1], np.int64), constant("h", 0.5)]
    file = save(tmp_path / "m.onnx", nodes, numbers, shape=["a", "b", "c", "d"])
    with pytest.raises(ConfigError, match=r"(?s)several layouts.*nchw, nhwc.*layout='nchw'"):
        load_enhancer(str(file))
    picture = IMAGE / 255
    expected = np.rint(127.5 * (picture + picture.mean(axis=2, keepdims=True)))
    got = load_enhancer(f"{file}(layout='nchw')")(IMAGE)
    assert np.abs(got - expected).max() <= 1


def same(path: Path, **how: Any) -> Path:
    return save(path, [helper.make_node("Identity", ["x"], ["y"])], **how)


def black(path: Path) -> Path:
    return save(path, [helper.make_node("Mul", ["x", "z"], ["y"])], [constant("z", 0.0)])


@pytest.mark.parametrize(
    ("make", "arguments", "error", "text"),
    [
        (lambda p: p, "", WeightsError, "does not exist"),
        (lambda p: p.write_bytes(b"no model") and p, "", WeightsError, "not an ONNX model"),
        (lambda p: same(p, shape=["n", 1, "h", "w"]), "", ConfigError, r"(?s)one colour.*\(free, 1, free, free\)"),
        (lambda p: same(p, shape=[8, 3, "h", "w"]), "", ConfigError, "one picture at a time"),
        (lambda p: same(p, kind=TensorProto.INT64, outputs={"y": 7}), "", ConfigError, "(?s)not one picture.*int64"),
        (root, "layout='cnhw'", ConfigError, "(?s)layout.*nchw or nhwc"),
        (root, "range=100", ConfigError, "(?s)range.*1, 255"),
        (root, "stride=0", ConfigError, "positive"),
        (root, "rnage=255", ConfigError, "did you mean range"),
        (black, "", ConfigError, "none of 0-1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(
    tmp_path: Path, make: Callable[[Path], Path], arguments: str, error: type[DuskbenchError], text: str
) -> None:
    file = make(tmp_path / "m.onnx")
    with pytest.raises(error, match=text) as caught:
        load_enhancer(f"{file}({arguments})")
    assert "m.onnx" in str(caught.value)


def test_nan_names_the_model_and_the_image(tmp_path: Path) -> None:
    # sqrt(x - 0.01) is NaN for black only, which no test picture has much of.
    nodes = [helper.make_node("Sub", ["x", "o"], ["a"]), helper.make_node("Sqrt", ["a"], ["y"])]
    file = save(tmp_path / "m.onnx", nodes, [constant("o", 0.01)])
    with pytest.raises(EnhancerError, match=r"(?s)m\.onnx.*NaN.*dark7"):
        load_enhancer(f"{file}(range=1)")(np.zeros((8, 8, 3), np.uint8), image_id="dark7")


def test_fingerprint_is_of_the_content_external_data_included(tmp_path: Path) -> None:
    prints = []
    for number, values in enumerate((0.5, 0.5, 0.25)):
        folder = tmp_path / str(number)
        folder.mkdir()
        kernel = constant("k", np.full((1, 3, 1, 1), values))
        how = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
        file = save(folder / "m.onnx", [helper.make_node("Mul", ["x", "k"], ["y"])], [kernel], **how)
        assert (folder / "weights.bin").is_file()
        enhancer = load_enhancer(f"{file}(range=1)")
        assert set(enhancer.weights) == {"model", "data weights.bin"}
        prints.append(enhancer.fingerprint)
        assert abs(int(enhancer(IMAGE).max()) - IMAGE.max() * values) <= 1
    assert prints[0] == prints[1] != prints[2]


def test_told_and_detected_are_the_same_result(tmp_path: Path) -> None:
    file = root(tmp_path / "m.onnx", 255.0)
    assert load_enhancer(str(file)).fingerprint == load_enhancer(f"{file}(range=255, layout='nchw')").fingerprint


def test_without_onnxruntime_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = root(tmp_path / "m.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"duskbench\[onnx\]"):
        load_enhancer(str(file))
