"""Weights and their card to the Hub and back, against a Hub on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from duskbench.benchmarks.cli import app
from duskbench.benchmarks.descriptions import _request
from duskbench.data_tools.errors import ConfigError, DataError, DuskbenchError, WeightsError
from duskbench.data_tools.files import file_sha256
from duskbench.pipeline import load_detector, load_enhancer
from duskbench.pipeline.push import push
from duskbench.pipeline.registry import ENHANCERS
from duskbench.pipeline.weights import PRETRAINED, find_weights
from tests.hub_stand_in import TOKEN, Repository, StandIn
from tests.needs import need_module

need_module("huggingface_hub")
ADDRESS = "hf://night/lamp"


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    here = StandIn()
    with here.served(monkeypatch):
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield here


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Those of Zero-DCE that ship, with their card."""
    for suffix in (".safetensors", ".md"):
        shutil.copy(PRETRAINED / f"zero_dce{suffix}", tmp_path / f"lamp{suffix}")
    return tmp_path / "lamp.safetensors"


@pytest.mark.slow
def test_there_and_back(stand_in: StandIn, weights: Path) -> None:
    commit = push(weights, ADDRESS, private=True)
    repository = stand_in.repositories["night/lamp"]
    assert repository.private
    assert commit.endswith(f"/night/lamp/commit/{1:040x}")
    assert repository.messages == ["lamp.safetensors, README.md by duskbench push"]
    files = repository.commits[-1]
    assert files["lamp.safetensors"] == weights.read_bytes()
    _, header, text = files["README.md"].decode().split("---\n", 2)
    assert yaml.safe_load(header) == {
        "license": "apache-2.0",
        "library_name": "duskbench",
        "tags": ["duskbench", "low-light"],
        "pipeline_tag": "image-to-image",
    }
    assert text.strip() == weights.with_suffix(".md").read_text().strip()

    address = f"{ADDRESS}/lamp.safetensors"
    assert file_sha256(find_weights("zero_dce", address)) == file_sha256(weights)
    picture = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
    there = load_enhancer(f"zero_dce(weights={address!r})")
    here = load_enhancer(f"zero_dce(weights={str(weights)!r})")
    assert np.array_equal(there(picture), here(picture))
    assert there.fingerprint == here.fingerprint


def test_detectors_and_their_files(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in.repositories["night/lamp"] = Repository()
    found = b'[{"image_id": "a", "category_id": 1, "bbox": [0, 0, 2, 2], "score": 0.5}]'
    stand_in.repositories["night/lamp"].commit({"found.json": found})
    (tmp_path / "found.json").write_bytes(found)
    there = load_detector(f"{ADDRESS}/found.json(classes='coco91')")
    assert there.fingerprint == load_detector(f"{tmp_path / 'found.json'}(classes='coco91')").fingerprint
    assert load_detector("results", f"{ADDRESS}/found.json").name == "found.json"
    assert ENHANCERS.label(f"{ADDRESS}@v1/lamp.onnx(range=255)") == "lamp.onnx(range=255)"
    # A branch may have moved on, so what was built of it before is not known.
    assert _request("detector", {"spec": "rfb_miniature", "checkpoint": f"{ADDRESS}/w.pth"}, "cpu") is None
    assert _request("detector", {"spec": "rfb_miniature", "checkpoint": None}, "cpu") is not None


def test_metadata_of_the_card_and_the_name_in_the_repository(stand_in: StandIn, weights: Path, tmp_path: Path) -> None:
    stand_in.repositories["night/lamp"] = Repository()
    stand_in.repositories["night/lamp"].commit({"other.txt": b"kept"})
    card = tmp_path / "card.md"
    card.write_text("---\nlicense: mit\ntags:\n- mine\ndatasets:\n- night/photos\n---\n# A lamp\n")
    push(weights, f"{ADDRESS}/nets/one.safetensors", card=card)
    files = stand_in.repositories["night/lamp"].commits[-1]
    assert sorted(files) == ["README.md", "nets/one.safetensors", "other.txt"]
    made = yaml.safe_load(files["README.md"].decode().split("---\n")[1])
    assert made["license"] == "mit"
    assert made["datasets"] == ["night/photos"]
    assert made["tags"] == ["mine", "duskbench", "low-light"]


@pytest.mark.parametrize(
    ("name", "card", "address", "kind", "message"),
    [
        ("lamp.safetensors", None, ADDRESS, WeightsError, "have no card"),
        ("lamp.safetensors", "# A lamp\n", ADDRESS, WeightsError, "names no licence"),
        ("lamp.safetensors", f"| licence | MIT |\n\n`{'0' * 64}`\n", ADDRESS, WeightsError, "card is of another file"),
        ("lamp.safetensors", "---\nlicense: [\n---\n", ADDRESS, WeightsError, "metadata of the card"),
        ("lamp.pth", "| licence | MIT |\n", ADDRESS, WeightsError, "no weights to upload"),
        ("lamp.safetensors", "| licence | MIT |\n", "hf://datasets/night/lamp", ConfigError, "a model's repository"),
        ("lamp.safetensors", "| licence | MIT |\n", "hf://lamp", ConfigError, "no address"),
    ],
)
def test_what_is_refused_here_reaches_nobody(
    stand_in: StandIn,
    weights: Path,
    name: str,
    card: str | None,
    address: str,
    kind: type[DuskbenchError],
    message: str,
) -> None:
    weights.with_suffix(".md").unlink()
    weights = weights.rename(weights.with_name(name))
    if card is not None:
        weights.with_suffix(".md").write_text(card)
    with pytest.raises(kind, match=message):
        push(weights, address)
    assert stand_in.asked == []


def test_damaged_weights_are_refused(stand_in: StandIn, weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="Cannot read"):
        push(weights, ADDRESS)
    assert stand_in.asked == []


def test_without_a_token_the_hub_refuses(stand_in: StandIn, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(DataError, match="hf auth login"):
        push(weights, ADDRESS)
    assert stand_in.repositories == {}


def test_a_hub_that_cannot_be_reached(stand_in: StandIn, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(DataError, match="The Hub does not answer"):
        push(weights, ADDRESS)


def test_the_command(stand_in: StandIn, weights: Path) -> None:
    done = CliRunner().invoke(app, ["push", str(weights), ADDRESS])
    assert done.exit_code == 0, done.output
    assert f"/night/lamp/commit/{1:040x}" in done.output
    there = weights.parent / "r"
    fetched = CliRunner().invoke(app, ["data", "fetch", f"{ADDRESS}/lamp.safetensors", "--root", str(there)])
    assert fetched.exit_code == 0, fetched.output
    assert (there / "lamp.safetensors").read_bytes() == weights.read_bytes()
    refused = CliRunner().invoke(app, ["data", "fetch", f"{ADDRESS}/lump.safetensors"])
    assert refused.exit_code == 2


def test_a_card_with_a_byte_order_mark_or_in_another_encoding(stand_in: StandIn, weights: Path) -> None:
    weights.with_suffix(".md").write_bytes(b"\xef\xbb\xbf---\nlicense: mit\n---\nA lamp.\n")
    push(weights, ADDRESS)
    _, header, text = stand_in.repositories["night/lamp"].commits[-1]["README.md"].decode().split("---\n", 2)
    assert (yaml.safe_load(header)["license"], text) == ("mit", "A lamp.\n")
    weights.with_suffix(".md").write_bytes("| licence | mit |\nF\u00fcr Nachtbilder".encode("latin-1"))
    with pytest.raises(DataError, match=r"(?s)lamp\.md.*UTF-8"):
        push(weights, ADDRESS)


@pytest.mark.parametrize("path", ["README.md", "v2", "v2/", "lamp.pth"])
def test_weights_go_to_no_other_kind_of_file(stand_in: StandIn, weights: Path, path: str) -> None:
    with pytest.raises(ConfigError, match=rf"(?s)\.safetensors file.*got: {path.rstrip('/')}.*end it with lamp"):
        push(weights, f"{ADDRESS}/{path}")
    assert not stand_in.repositories
