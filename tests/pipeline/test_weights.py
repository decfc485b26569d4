"""Search path, cache, download and safe loading of weights; no network but the loopback."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import logging
import pickle
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from duskbench.data_tools.errors import UnknownNameError, WeightsError
from duskbench.pipeline import weights
from duskbench.pipeline.checkpoint import RECORD, metadata, read_checkpoint, safe_load, safetensors_bytes
from duskbench.pipeline.network_weights import load_described, load_file, load_into, load_state_dict
from duskbench.pipeline.registry import weight_files
from duskbench.pipeline.weights import CATALOGUE, find_weights

NAME = "sci/easy.pt"
CONTENT = b"published weights"


@pytest.fixture(autouse=True)
def empty_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DUSKBENCH_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The catalogue's entry, served by a local host; yields the served file."""
    served = tmp_path / "host" / "easy.pt"
    served.parent.mkdir()
    served.write_bytes(CONTENT)
    http = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(served.parent)))
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    url = f"http://127.0.0.1:{http.server_address[1]}/easy.pt"
    digest = hashlib.sha256(CONTENT).hexdigest()
    monkeypatch.setitem(CATALOGUE, NAME, dataclasses.replace(CATALOGUE[NAME], urls=(url,), sha256=digest))
    yield served
    http.shutdown()
    thread.join()
    http.server_close()


def put(folder: Path, content: bytes, name: str = NAME) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_downloaded_once_into_the_cache(published: Path, tmp_path: Path) -> None:
    expected = tmp_path / "cache" / "duskbench" / "weights" / NAME
    assert find_weights(NAME) == expected
    assert expected.read_bytes() == CONTENT
    published.unlink()
    assert find_weights(NAME) == expected


def test_cache_without_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "relative/is/invalid"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert weights.cache_folder() == tmp_path / ".cache" / "duskbench" / "weights"


def test_a_damaged_cache_is_replaced(published: Path, tmp_path: Path) -> None:
    cached = put(weights.cache_folder(), b"damaged")
    assert find_weights(NAME).read_bytes() == CONTENT
    assert cached.read_bytes() == CONTENT


def test_a_download_with_another_hash_is_refused(published: Path) -> None:
    published.write_bytes(b"something else")
    with pytest.raises(WeightsError) as raised:
        find_weights(NAME)
    assert hashlib.sha256(b"something else").hexdigest() in str(raised.value.got)
    assert not (weights.cache_folder() / NAME).exists()


def test_search_path_comes_first_and_in_order(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DUSKBENCH_WEIGHTS", f"{tmp_path / 'none'}:{tmp_path / 'one'}:{tmp_path / 'two'}")
    second = put(tmp_path / "two", CONTENT)
    assert find_weights(NAME) == second
    assert caplog.text == ""
    first = put(tmp_path / "one", b"retrained")
    with caplog.at_level(logging.WARNING):
        assert find_weights(NAME) == first
    assert str(first) in caplog.text
    assert hashlib.sha256(b"retrained").hexdigest() in caplog.text


def test_explicit_path_wins_whatever_its_hash(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "one", CONTENT)
    monkeypatch.setenv("DUSKBENCH_WEIGHTS", str(tmp_path / "one"))
    mine = put(tmp_path, b"mine", "mine.pth")
    assert find_weights(NAME, mine) == mine
    assert find_weights("not/in/the/catalogue.pth", str(mine)) == mine
    with pytest.raises(WeightsError, match="not there"):
        find_weights(NAME, tmp_path / "missing.pth")


def test_weights_that_cannot_be_had(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUSKBENCH_WEIGHTS", str(tmp_path / "one"))
    published.unlink()
    with pytest.raises(WeightsError) as raised:
        find_weights(NAME)
    text = str(raised.value)
    for part in (str(tmp_path / "one" / NAME), str(weights.cache_folder() / NAME), "MIT", "HTTP 404", "--weights DIR"):
        assert part in text


def test_a_name_outside_the_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match=r"zero_dce/Epoch99\.pth"):
        find_weights("zero_dce/Epoch98.pth")
    monkeypatch.setenv("DUSKBENCH_WEIGHTS", str(tmp_path))
    own = put(tmp_path, b"own", "mine/net.onnx")
    assert find_weights("mine/net.onnx") == own


@pytest.mark.parametrize("file", weight_files().values(), ids=lambda file: file.name)
def test_catalogue_entries_are_whole(file: weights.WeightFile) -> None:
    assert re.fullmatch(r"\w+/[\w.-]+", file.name)
    assert file.origin
    assert file.licence
    # A folder on Google Drive has no address of one file: its owner is named, and the file has to be put there by hand.
    assert file.urls or "folder on Google Drive" in file.origin
    assert all(url.startswith(("https://", "hf://")) for url in file.urls)
    assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{8}|[0-9a-f]{64}", file.sha256)
    # torchvision and mmdet publish the first 8 digits at the end of the file's name
    assert file.sha256 is None or len(file.sha256) == 64 or Path(file.name).stem.endswith(file.sha256)


def test_hashes_are_those_of_real_copies(shared: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setenv("DUSKBENCH_WEIGHTS", str(shared / "weights"))
    names = [name for name in weight_files() if (shared / "weights" / name).is_file()]
    assert {name.split("/")[0] for name in names} >= {"zero_dce", "retinexnet", "sci", "zero_dce_pp", "sgz"}
    for name in names:
        assert find_weights(name) == shared / "weights" / name
        assert load_state_dict(find_weights(name))
    assert caplog.text == ""


# Loading


STATE = OrderedDict(weight=torch.arange(6.0).reshape(2, 3), bias=torch.tensor([1.0, -1.0]))
PREFIXED = OrderedDict((f"module.{key}", value) for key, value in STATE.items())


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        dict(STATE),
        {"state_dict": STATE, "epoch": 3},
        {"model": STATE},
        {"params": {"other": STATE["bias"]}, "params_ema": STATE},
        {"params": STATE},
        PREFIXED,
        {"state_dict": PREFIXED},
    ],
)
@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.tar"])
def test_torch_files(tmp_path: Path, content: Any, name: str) -> None:
    torch.save(content, tmp_path / name)
    loaded = load_state_dict(tmp_path / name)
    assert list(loaded) == list(STATE)
    assert all(torch.equal(loaded[key], STATE[key]) for key in STATE)


def test_the_old_torch_format(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    assert torch.equal(load_state_dict(tmp_path / "w.pth")["weight"], STATE["weight"])


def test_safetensors(tmp_path: Path) -> None:
    save_file(dict(STATE), tmp_path / "w.safetensors")
    assert torch.equal(load_state_dict(tmp_path / "w.safetensors")["weight"], STATE["weight"])


def test_the_same_content_is_the_same_file(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(1, dtype=torch.int64)}
    described = {f"key{i}": f"value {i}" for i in range(20)}
    written = {safetensors_bytes(tensors, dict(sorted(described.items(), reverse=back))) for back in (False, True) * 3}
    assert len(written) == 1
    path = tmp_path / "w.safetensors"
    path.write_bytes(written.pop())
    assert metadata(path) == described
    loaded = load_state_dict(path)
    assert set(loaded) == set(tensors) and all(torch.equal(loaded[key], tensors[key]) for key in tensors)


def test_a_prefix_that_not_all_have_stays(tmp_path: Path) -> None:
    torch.save({"module.a": STATE["bias"], "b": STATE["bias"]}, tmp_path / "w.pth")
    assert list(load_state_dict(tmp_path / "w.pth")) == ["module.a", "b"]


class Payload:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("plain", [True, False])
def test_code_in_a_file_is_not_run(tmp_path: Path, plain: bool) -> None:
    if plain:
        (tmp_path / "w.pth").write_bytes(pickle.dumps(Payload(tmp_path / "ran"), protocol=2))
    else:
        torch.save({"state_dict": STATE, "meta": Payload(tmp_path / "ran")}, tmp_path / "w.pth")
    with pytest.raises(WeightsError) as raised:
        load_state_dict(tmp_path / "w.pth")
    assert raised.value.where == tmp_path / "w.pth"
    assert not (tmp_path / "ran").exists()
    # What torch advises would run it.
    assert "which is code" in str(raised.value) and "weights_only" not in str(raised.value)


def test_a_checkpoint_of_a_training_holds_the_network_that_enhances(tmp_path: Path) -> None:
    state = {f"net.{key}": value for key, value in STATE.items()} | {"net.vgg.a": STATE["bias"], "d.a": STATE["bias"]}
    record = {"network": {"type": "Net"}, "prefix": "net.", "features": {"vgg": "1234"}}
    torch.save({"state_dict": state, "meta": {RECORD: json.dumps(record)}, "optimizer": {}}, tmp_path / "iter_6.pth")
    loaded, described = load_described(tmp_path / "iter_6.pth")
    assert list(loaded) == list(STATE) and all(torch.equal(loaded[key], STATE[key]) for key in STATE)
    assert {key: json.loads(value) for key, value in described.items()} == {
        "network": {"type": "Net"},
        "features": {"vgg": "1234"},
    }


@pytest.mark.parametrize("name", ["w.pth", "w.tar", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", b"PK\x03\x04 truncated", b"\x80\x02}", bytes(100)])
def test_files_that_hold_no_weights(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError) as raised:
        load_state_dict(tmp_path / name)
    assert raised.value.where == tmp_path / name


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.npz"])
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<!DOCTYPE html><html><title>Google Drive - Quota exceeded", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer.*git lfs pull"),
        (b"Rar!\x1a\x07\x01\x00", "a RAR archive"),
    ],
)
def test_another_file_under_a_weight_files_name_is_named(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=f"(?s)holds no weights.*{kind}") as raised:
        load_state_dict(tmp_path / name)
    assert "weights_only" not in str(raised.value.todo)


def test_truncated_torch_file(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "w.pth")
    data = (tmp_path / "w.pth").read_bytes()
    for length in range(0, len(data), len(data) // 7):
        (tmp_path / "w.pth").write_bytes(data[:length])
        with pytest.raises(WeightsError, match=r"Cannot read|an empty file"):
            load_state_dict(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (STATE["bias"], "got: Tensor"),
        ([STATE], "got: list"),
        ({}, "an empty one"),
        ({"epoch": 3, "generator": STATE}, "'epoch', 'generator' of 2 keys"),
        ({"state_dict": {"a": STATE["bias"], "n": 7}}, "'n' of 2 keys"),
    ],
)
def test_other_content(tmp_path: Path, content: Any, says: str) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError) as raised:
        load_state_dict(tmp_path / "w.pth")
    assert says in str(raised.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not there"):
        load_state_dict(tmp_path / "none.pth")


def test_load_into_takes_what_fits() -> None:
    module = nn.Linear(3, 2)
    load_into(module, STATE, where="w.pth")
    assert torch.equal(module.weight, STATE["weight"])
    assert torch.equal(module.bias, STATE["bias"])


def test_load_into_lists_what_does_not_and_changes_nothing() -> None:
    module = nn.Sequential(*[nn.Linear(2, 2) for _ in range(4)])
    before = {key: value.clone() for key, value in module.state_dict().items()}
    state = {"0.weight": torch.zeros(2, 3), "0.bias": torch.zeros(2), "x": torch.zeros(1)}
    with pytest.raises(WeightsError) as raised:
        load_into(module, state, where="w.pth")
    assert raised.value.where == "w.pth"
    assert raised.value.got == (
        "6 missing: 1.weight, 1.bias, 2.weight, 2.bias, 3.weight and 1 more; "
        "1 unexpected: x; "
        "1 of another shape: 0.weight (2, 3) instead of (2, 2)"
    )
    assert all(torch.equal(module.state_dict()[key], value) for key, value in before.items())


@pytest.mark.parametrize("kind", [torch.int8, torch.int32, torch.bool, torch.complex64])
def test_load_into_refuses_what_a_cast_would_spoil(kind: torch.dtype) -> None:
    state = {**STATE, "weight": STATE["weight"].to(kind)}
    with pytest.raises(WeightsError, match=f"1 of another kind: weight {kind} instead of torch.float32"):
        load_into(nn.Linear(3, 2), state, where="w.pth")


def test_load_into_takes_floats_of_any_length_and_counts_as_floats() -> None:
    module = nn.BatchNorm1d(2)
    for kind in (torch.float16, torch.bfloat16, torch.float64):
        load_into(
            module, {key: torch.ones_like(value, dtype=kind) for key, value in module.state_dict().items()}, where="w"
        )
        assert {str(value.dtype) for value in module.state_dict().values()} == {"torch.float32", "torch.int64"}
        assert all((value == 1).all() for value in module.state_dict().values())


def test_load_into_ignores_by_prefix() -> None:
    module = nn.ModuleDict({"enhance": nn.Linear(3, 2), "extra": nn.Linear(1, 1)})
    state = {f"enhance.{key}": value for key, value in STATE.items()} | {"calibrate.weight": torch.zeros(1)}
    load_into(module, state, where="w", ignore=("calibrate.", "extra."))
    assert torch.equal(module["enhance"].weight, STATE["weight"])
    with pytest.raises(WeightsError, match=r"1 unexpected: calibrate\.weight"):
        load_into(module, state, where="w", ignore=("extra.",))


def test_bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "PRETRAINED", tmp_path)
    with pytest.raises(WeightsError, match="has none"):
        weights.bundled("rfb")
    for name in ("rfb_small", "attention"):
        (tmp_path / f"{name}.safetensors").touch()
    assert weights.bundled("rfb_small") == tmp_path / "rfb_small.safetensors"
    for name in ("rfb", "../rfb_small", "rfb_small.safetensors"):
        with pytest.raises(WeightsError, match="one of attention, rfb_small"):
            weights.bundled(name)


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"<!DOCTYPE html><html><title>404</title></html>\n" * 9, "a web page"),
        (b"\x80\x02garbage", "Unsupported operand 103"),
        (b"hello world, some text", "KeyError"),
    ],
)
def test_what_is_no_checkpoint_is_refused_without_unsafe_advice(tmp_path: Path, content: bytes, got: str) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=got) as refused:
        safe_load(tmp_path / "a.pth")
    assert "weights_only" not in str(refused.value) and "Re-running" not in str(refused.value)


# Which tensors of a file are those of a network


RAW = {key: value + 1 for key, value in STATE.items()}


def _named(prefix: str, state: dict[str, torch.Tensor] = STATE) -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in state.items()}


def _loaded(path: Path, content: Any) -> nn.Linear:
    torch.save(content, path)
    module = nn.Linear(3, 2)
    load_file(module, path)
    return module


@pytest.mark.parametrize(
    "content",
    [
        _named("_orig_mod."),
        _named("module._orig_mod."),
        _named("_orig_mod.module."),
        {"n_averaged": torch.tensor(3), **_named("module.")},
        {"state_dict": _named("model."), "pytorch-lightning_version": "2.0", "epoch": 3},
        {"state_dict": _named("net.")},
        {"ema": STATE},
        {"epoch": 3, "ema": {"decay": 0.999, "shadow": STATE}},
        {"netG": STATE, "netD": {"weight": torch.ones(1, 3)}, "optimizer": {"state": {0: STATE}, "param_groups": []}},
        {"network": {"generator": _named("module.")}},
        {"model": STATE, "best": dict(STATE)},
    ],
)
def test_the_networks_own_tensors_are_found_by_their_names(
    tmp_path: Path, content: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert torch.equal(_loaded(tmp_path / "w.pth", content).weight, STATE["weight"])
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("content", "taken"),
    [
        ({"params": RAW, "params_ema": STATE}, "params_ema"),
        ({"state_dict": RAW, "state_dict_ema": STATE}, "state_dict_ema"),
        ({"model": RAW, "model_ema": STATE}, "model_ema"),
        ({"model": RAW, "ema": {"module": {k: v.half() for k, v in STATE.items()}}}, "ema.module"),
        ({"G": RAW, "G_ema": _named("module.")}, "G_ema"),
        ({"net": RAW, "averaged": {"n_averaged": torch.tensor(3), **_named("module.")}}, "averaged"),
        ({"old": RAW, "state_dict": STATE}, "state_dict"),
        # mmengine's EMAHook swaps the two as it saves.
        ({"message_hub": {}, "state_dict": STATE, "ema_state_dict": _named("module.", RAW)}, None),
    ],
)
def test_an_average_is_taken_before_what_it_averages(
    tmp_path: Path, content: Any, taken: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        assert torch.equal(_loaded(tmp_path / "w.pth", content).weight, STATE["weight"])
    said = [record.getMessage() for record in caplog.records]
    assert said == [] if taken is None else len(said) == 1 and f"under {taken!r} are taken" in said[0]


def test_networks_that_fit_alike_are_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"several networks that fit(?s:.*)got: netG_A, netG_B"):
        _loaded(tmp_path / "w.pth", {"netG_A": STATE, "netG_B": RAW})


def test_a_part_of_a_larger_network_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="2 missing: weight, bias; 4 unexpected"):
        _loaded(tmp_path / "w.pth", {**_named("first."), **_named("second.")})


def test_a_file_that_holds_itself(tmp_path: Path) -> None:
    content: dict[str, Any] = {"epoch": 3, "state_dict": STATE}
    content["again"] = content
    assert torch.equal(_loaded(tmp_path / "w.pth", content).weight, STATE["weight"])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (torch.Tensor.to_sparse, "torch.float32 in the layout torch.sparse_coo"),
        (lambda value: value.to("meta"), r"torch.float32 without values \(meta\)"),
        (lambda value: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8), "torch.qint8"),
        (lambda value: value.to(torch.complex64), "torch.complex64"),
    ],
)
def test_tensors_whose_values_cannot_be_copied(tmp_path: Path, change: Any, kind: str) -> None:
    with pytest.raises(WeightsError, match=f"1 of another kind: weight {kind} instead of torch.float32"):
        _loaded(tmp_path / "w.pth", {**STATE, "weight": change(STATE["weight"])})
    with pytest.raises(WeightsError, match=r"1 of another shape: bias \(\) instead of \(2,\)"):
        _loaded(tmp_path / "w.pth", {**STATE, "bias": torch.tensor(1.0)})


def _save_npz(state: dict[str, torch.Tensor], path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, **{key: value.numpy() for key, value in state.items()})


@pytest.mark.parametrize("save", [torch.save, save_file, _save_npz])
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.npz", "w"])
def test_the_content_decides_on_the_format(tmp_path: Path, save: Any, name: str) -> None:
    save(dict(STATE), tmp_path / name)
    assert torch.equal(load_state_dict(tmp_path / name)["weight"], STATE["weight"])
    assert metadata(tmp_path / name) == {}
    if save is not _save_npz:
        assert torch.equal(read_checkpoint(tmp_path / name)[0]["weight"], STATE["weight"])
