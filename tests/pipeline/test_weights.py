"""Search path, cache and download of weights; no network but the loopback."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from duskbench.data_tools.errors import UnknownNameError, WeightsError
from duskbench.pipeline import weights
from duskbench.pipeline.network_weights import load_state_dict
from duskbench.pipeline.registry import weight_files
from duskbench.pipeline.weight_catalogue import CATALOGUE
from duskbench.pipeline.weights import find_weights

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
