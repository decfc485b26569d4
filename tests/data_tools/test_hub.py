"""Addresses on the Hugging Face Hub, against a Hub on this machine: copies, resuming, and each way to be refused."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from duskbench.data_tools.download import download
from duskbench.data_tools.errors import ConfigError, DataError, DuskbenchError, UnknownNameError
from duskbench.data_tools.hub import hub_copy, hub_file, is_hub_address, locate, parse_hub_address
from tests.hub_stand_in import TOKEN, Repository, StandIn
from tests.needs import need_module

hub = need_module("huggingface_hub")
WEIGHTS = bytes(range(256)) * 4000


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    here = StandIn()
    here.repositories["night/lamp"] = Repository()
    here.repositories["night/lamp"].commit({"w/net.pth": WEIGHTS, "config.json": b"{}"})
    with here.served(monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.delenv("DUSKBENCH_OFFLINE", raising=False)
        yield here


@pytest.mark.parametrize(
    ("given", "kind", "repository", "revision", "path"),
    [
        ("hf://a/b/c.pth", "model", "a/b", "main", "c.pth"),
        ("hf://a/b@v1.0/d/c.pth", "model", "a/b", "v1.0", "d/c.pth"),
        ("hf://datasets/a/b/c.zip", "dataset", "a/b", "main", "c.zip"),
        (Path("hf://a/b@refs/pr/3/c.pth"), "model", "a/b", "refs/pr/3", "c.pth"),
        ("hf://a/b", "model", "a/b", "main", ""),
    ],
)
def test_addresses(given: str | Path, kind: str, repository: str, revision: str, path: str) -> None:
    assert is_hub_address(given)
    parsed = parse_hub_address(given)
    assert (parsed.kind, parsed.repository, parsed.revision, parsed.path) == (kind, repository, revision, path)


@pytest.mark.parametrize("given", ["hf://a", "hf://", "hf://buckets/a/b/c", "hf://a/b/../../c", "hf://a/b"])
def test_what_is_no_address_of_a_file(given: str) -> None:
    with pytest.raises(ConfigError, match="hf://owner/repository@revision/file"):
        locate(given)


@pytest.mark.parametrize("given", ["net.pth", "https://a/b", None, 3, "dir:hf://"])
def test_other_things_pass_as_they_are(given: object) -> None:
    assert hub_copy(given) is given


def test_a_copy_is_kept_and_fetched_again_when_the_file_has_changed(stand_in: StandIn, tmp_path: Path) -> None:
    copy = hub_file("hf://night/lamp/w/net.pth")
    assert copy == tmp_path / "cache/duskbench/hub/models--night--lamp/main/w/net.pth"
    assert copy.read_bytes() == WEIGHTS
    stand_in.asked.clear()
    assert hub_file("hf://night/lamp/w/net.pth") == copy
    assert {line.split()[0] for line in stand_in.asked} == {"HEAD"}
    stand_in.repositories["night/lamp"].commit({"w/net.pth": b"other", "config.json": b"[]"})
    assert hub_file("hf://night/lamp/w/net.pth").read_bytes() == b"other"


def test_small_files_are_compared_by_what_git_calls_them(stand_in: StandIn) -> None:
    copy = hub_file("hf://night/lamp/config.json")
    assert copy.read_bytes() == b"{}"
    # Of the same size.
    stand_in.repositories["night/lamp"].commit({"config.json": b"[]"})
    assert hub_file("hf://night/lamp/config.json").read_bytes() == b"[]"


def test_a_commit_is_fetched_once_and_needs_no_network_afterwards(stand_in: StandIn) -> None:
    address = f"hf://night/lamp@{1:040x}/w/net.pth"
    stand_in.repositories["night/lamp"].commit({"w/net.pth": b"other"})
    assert hub_file(address).read_bytes() == WEIGHTS
    stand_in.asked.clear()
    assert hub_file(address).read_bytes() == WEIGHTS
    assert stand_in.asked == []


def test_data_sets_and_folders(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in.repositories["datasets/night/photos"] = Repository()
    stand_in.repositories["datasets/night/photos"].commit({"all/photos.zip": b"PK"})
    copy = hub_file("hf://datasets/night/photos/all/photos.zip", folder=tmp_path)
    assert copy == tmp_path / "photos.zip"
    assert copy.read_bytes() == b"PK"


@pytest.mark.parametrize("name", ["w/net.pth", "config.json"])
@pytest.mark.parametrize("revision", ["", f"@{1:040x}"])
def test_in_a_folder_no_file_is_taken_by_its_name_nor_lost(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, revision: str
) -> None:
    address, mine = f"hf://night/lamp{revision}/{name}", tmp_path / Path(name).name
    mine.write_bytes(b"mine")
    with pytest.raises(DataError, match="Another file of this name is there"):
        hub_file(address, folder=tmp_path)
    assert mine.read_bytes() == b"mine"
    stand_in.status = 503
    with pytest.raises(DataError, match="does not answer"):
        hub_file(address, folder=tmp_path)
    monkeypatch.setenv("DUSKBENCH_OFFLINE", "1")
    with pytest.raises(DataError, match="Downloads are switched off"):
        hub_file(address, folder=tmp_path)
    stand_in.status = None
    monkeypatch.delenv("DUSKBENCH_OFFLINE")
    mine.unlink()
    # The second call finds what the first one brought.
    for methods in ({"HEAD", "GET"}, {"HEAD"}):
        stand_in.asked.clear()
        assert hub_file(address, folder=tmp_path) == mine
        assert mine.read_bytes() == stand_in.repositories["night/lamp"].commits[1][name]
        assert {line.split()[0] for line in stand_in.asked} == methods


def test_an_interrupted_download_is_resumed(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in.break_after = 300_000
    # One try: what a call leaves behind, the next one goes on with.
    with pytest.raises(DataError, match="Cannot download the file"):
        hub_file("hf://night/lamp/w/net.pth", attempts=1)
    (part,) = (tmp_path / "cache").rglob("*.part")
    kept = part.stat().st_size
    assert 0 < kept <= 300_000
    assert hub_file("hf://night/lamp/w/net.pth").read_bytes() == WEIGHTS
    assert stand_in.ranges == [None, f"bytes={kept}-"]


def test_an_address_is_one_of_several_mirrors(stand_in: StandIn, tmp_path: Path) -> None:
    urls = ["hf://night/nowhere/net.pth", "hf://night/lamp/w/net.pth"]
    assert download(urls, tmp_path / "net.pth").read_bytes() == WEIGHTS
    with pytest.raises(DataError, match="no such repository"):
        download(urls[:1], tmp_path / "other.pth")


def test_a_wrong_hash_is_refused(stand_in: StandIn, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not the file it should be"):
        download(["hf://night/lamp/w/net.pth"], tmp_path / "net.pth", sha256="0" * 64)


@pytest.mark.parametrize(
    ("address", "kind", "message"),
    [
        ("hf://night/lamp/w/nett.pth", UnknownNameError, "did you mean w/net.pth"),
        ("hf://night/lamp@v9/w/net.pth", DataError, "no such revision"),
        ("hf://night/nowhere/net.pth", DataError, "no such repository, or a private one"),
        ("hf://night/gated/net.pth", DataError, r"accept its terms at http.*/night/gated"),
    ],
)
def test_refusals(stand_in: StandIn, address: str, kind: type[DuskbenchError], message: str) -> None:
    stand_in.repositories["night/gated"] = Repository(gated=True)
    with pytest.raises(kind, match=message) as error:
        hub_file(address)
    assert address in str(error.value)


def test_a_token_opens_what_is_gated(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in.repositories["night/gated"] = Repository(gated=True)
    stand_in.repositories["night/gated"].commit({"net.pth": WEIGHTS})
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert hub_file("hf://night/gated/net.pth").read_bytes() == WEIGHTS


@pytest.mark.parametrize("status", [429, 503])
def test_without_an_answer_the_copy_is_used_and_said(
    stand_in: StandIn, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    copy = hub_file("hf://night/lamp/w/net.pth")
    stand_in.status = status
    with caplog.at_level(logging.WARNING):
        assert hub_file("hf://night/lamp/w/net.pth") == copy
    assert "may be old" in caplog.text
    with pytest.raises(DataError, match="does not answer"):
        hub_file("hf://night/lamp/config.json")


def test_switched_off(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = hub_file("hf://night/lamp/w/net.pth")
    stand_in.asked.clear()
    with monkeypatch.context() as patch:
        patch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
        assert hub_file("hf://night/lamp/w/net.pth") == copy
        with pytest.raises(DataError, match="HF_HUB_OFFLINE"):
            hub_file("hf://night/lamp/config.json")
    monkeypatch.setenv("DUSKBENCH_OFFLINE", "1")
    assert hub_file("hf://night/lamp/w/net.pth") == copy
    with pytest.raises(DataError, match="Downloads are switched off"):
        hub_file("hf://night/lamp/config.json")
    assert stand_in.asked == []


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(ConfigError, match=r"duskbench\[hub\]"):
        hub_file("hf://night/lamp/w/net.pth")
