"""A training goes on from its own checkpoints alone; what may change on the way takes effect and is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from duskbench.data_tools.errors import ConfigError, WeightsError
from duskbench.pipeline.training.enhancer import export, train
from duskbench.pipeline.training.launch import AtomicBackend, checkpoints
from duskbench.pipeline.training.resuming import _may_change, _scale_rates, training_settings
from tests.pipeline.training.conftest import CONFIGS

CONFIG = CONFIGS / "zero_dce_small.py"
RATE = "optim_wrapper.generator.optimizer.lr"


@pytest.fixture
def options(tiny: dict[str, Any]) -> dict[str, Any]:
    """A narrow network, whose rate falls in the last two of six steps."""
    return {**tiny, "train_dataloader.dataset.short_side": None, "model.generator.width": 4, RATE: 1e-3}


@pytest.fixture
def stopped(tmp_path: Path, options: dict[str, Any]) -> Path:
    """A training of which the checkpoint after two of six steps is left."""
    train(CONFIG, work_dir=tmp_path / "run", cfg_options=options)
    for checkpoint in checkpoints(tmp_path / "run")[1:]:
        checkpoint.unlink()
    return tmp_path / "run"


def resumed(folder: Path, options: dict[str, Any]) -> tuple[Path, str]:
    """The last checkpoint, and the text of the logs."""
    last = train(CONFIG, work_dir=folder, resume=True, cfg_options=options)
    return last, "".join(log.read_text() for log in folder.glob("*/*.log"))


@pytest.mark.parametrize(
    ("key", "value", "before", "now"),
    [
        ("model.generator.width", 8, "model.generator.width=4", "model.generator.width=8"),
        ("model.generator.width", 2, "model.generator.width=4", "model.generator.width=2"),
        ("model.exposure_level", 0.5, "model.exposure_level=0.6", "model.exposure_level=0.5"),
        ("train_dataloader.batch_size", 3, "train_dataloader.batch_size=2", "train_dataloader.batch_size=3"),
        ("train_dataloader.dataset.crop", 24, "train_dataloader.dataset.crop=32", "train_dataloader.dataset.crop=24"),
        ("optim_wrapper.generator.optimizer.weight_decay", 0.1, "weight_decay=0.0001", "weight_decay=0.1"),
        ("optim_wrapper.generator.optimizer.betas", (0.5, 0.9), "betas=None", "betas=[0.5, 0.9]"),
        ("randomness.seed", 1, "randomness.seed=0", "randomness.seed=1"),
        ("ema", 0.9, "custom_hooks=[]", "custom_hooks.0.type='EMAHook'"),
        ("schedule.constant", 8, "param_scheduler.0.begin=4", "param_scheduler.0.begin=8"),
    ],
)
def test_another_training_is_refused_before_the_first_step(
    stopped: Path, options: dict[str, Any], key: str, value: Any, before: str, now: str
) -> None:
    there = sorted(stopped.rglob("*"))
    with pytest.raises(ConfigError, match="of another training") as caught:
        resumed(stopped, {**options, key: value})
    assert caught.value.where == stopped / "iter_2.pth"
    assert before in str(caught.value.expected)
    assert now in str(caught.value.got)
    assert sorted(stopped.rglob("*")) == there


def test_another_method_is_refused(stopped: Path, tiny_guided: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"(?s)of another training.*model\.type='ZeroDCEModel'.*and \d+ more"):
        train(CONFIGS / "guided_small.py", work_dir=stopped, resume=True, cfg_options=tiny_guided)


def test_how_a_training_is_watched_and_loaded_may_change(stopped: Path, options: dict[str, Any]) -> None:
    changed = {
        "train_dataloader.num_workers": 1,
        "default_hooks.checkpoint.interval": 1,
        "default_hooks.logger.interval": 3,
        "custom_hooks": [{"type": "LossGuard", "window": 3}],
        "log_processor.window_size": 2,
    }
    last, said = resumed(stopped, {**options, **changed})
    assert last.name == "iter_6.pth"
    assert "it was" not in said


@pytest.mark.parametrize(
    ("was", "now", "may"), [("a", "b", True), (["a"], ["b"], True), ([1], [2], False), (["a"], [2], False)]
)
def test_only_a_place_may_be_another(was: Any, now: Any, may: bool) -> None:
    assert _may_change("train_dataloader.dataset.data_root", was, now) is may


def test_settings_may_hold_paths_and_functions() -> None:
    given = Config({"model": {"features": shutil.copytree, "weights": Path("a/b.pth")}})
    assert training_settings(given)["model"] == {"features": "copytree", "weights": "a/b.pth"}


def test_a_training_at_a_constant_rate_may_be_made_longer(tmp_path: Path, options: dict[str, Any]) -> None:
    for steps in (2, 4):
        schedule = {"schedule": {"unit": "steps", "constant": steps, "decay": 0}}
        last = train(CONFIG, work_dir=tmp_path, resume=steps > 2, cfg_options={**options, **schedule})
    assert last.name == "iter_4.pth"


def test_a_lower_rate_takes_effect_and_is_said(stopped: Path, options: dict[str, Any]) -> None:
    last, said = resumed(stopped, {**options, RATE: 2e-4})
    assert f"From iteration 3 on, {RATE} is 0.0002; it was 0.001." in said
    rows = [json.loads(line) for line in max(stopped.glob("*/vis_data/scalars.json")).read_text().splitlines()]
    found = {row["step"]: row["generator.lr"] for row in rows if row["step"] > 2}
    # The rate falls linearly from the fourth step's, to zero one step after the last.
    assert found == pytest.approx({3: 2e-4, 4: 2e-4, 5: 2e-4, 6: 1e-4}, rel=1e-9)
    content = torch.load(last, weights_only=False)
    [group] = content["optimizer"]["generator"]["param_groups"]
    assert group["initial_lr"] == pytest.approx(2e-4)
    assert content["param_schedulers"]["generator"][0]["base_values"] == pytest.approx([2e-4])
    # The next one is compared with the new rate.
    with pytest.raises(ConfigError, match="another training"):
        resumed(stopped, {**options, RATE: 2e-4, "randomness.seed": 1})
    assert resumed(stopped, {**options, RATE: 2e-4})[1].count("it was") == said.count("it was")


def test_a_detectors_rates_change_in_every_group() -> None:
    checkpoint = {
        "optimizer": {"param_groups": [{"lr": 0.5, "initial_lr": 1.0}, {"lr": 0.25}]},
        "param_schedulers": [
            {"param_name": "lr", "base_values": [1.0, 0.5]},
            {"param_name": "momentum", "base_values": [0.9, 0.9]},
        ],
    }
    _scale_rates(checkpoint, [], 0.1)
    assert checkpoint["optimizer"]["param_groups"] == [{"lr": 0.05, "initial_lr": 0.1}, {"lr": 0.025}]
    assert [each["base_values"] for each in checkpoint["param_schedulers"]] == [[0.1, 0.05], [0.9, 0.9]]


def test_clipping_takes_effect_and_is_said(stopped: Path, options: dict[str, Any]) -> None:
    last, said = resumed(stopped, {**options, "optim_wrapper.generator.clip_grad.max_norm": 1e-9})
    assert "optim_wrapper.generator.clip_grad.max_norm is 1e-09; it was 0.1" in said
    moments = torch.load(last, weights_only=False)["optimizer"]["generator"]["state"][0]["exp_avg"]
    # Four steps of no gradient to speak of leave 0.9 ** 4 of the moments after the second step, and weight decay's.
    before = torch.load(stopped / "iter_2.pth", weights_only=False)["optimizer"]["generator"]["state"][0]["exp_avg"]
    assert moments.abs().mean() < 0.7 * before.abs().mean()


def test_another_set_is_refused_and_one_that_moved_is_said(
    stopped: Path, options: dict[str, Any], unpaired: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(unpaired, tmp_path / "moved")
    shutil.copy(moved / "trainA" / "0.png", moved / "trainA" / "9.png")
    with pytest.raises(ConfigError, match=r"(?s)of another training.*images\.low=5.*images\.low=6"):
        resumed(stopped, {**options, "data_root": str(moved)})
    # As many as before, but one of them another.
    (moved / "trainA" / "0.png").unlink()
    with pytest.raises(ConfigError, match=r"(?s)of another training.*images_by_name_and_size='\w{12}'"):
        resumed(stopped, {**options, "data_root": str(moved)})
    (moved / "trainA" / "9.png").rename(moved / "trainA" / "0.png")
    _, said = resumed(stopped, {**options, "data_root": str(moved)})
    assert f"train_dataloader.dataset.root is {str(moved)!r}; it was {str(unpaired)!r}" in said


@pytest.mark.parametrize(
    ("setting", "lacking"), [("save_optimizer", "no optimizer"), ("save_param_scheduler", "no param_schedulers")]
)
def test_a_checkpoint_that_leaves_out_what_going_on_needs_is_refused(
    tmp_path: Path, options: dict[str, Any], setting: str, lacking: str
) -> None:
    without = {**options, f"default_hooks.checkpoint.{setting}": False}
    train(CONFIG, work_dir=tmp_path, cfg_options=without)
    with pytest.raises(ConfigError, match=f"(?s)holds too little.*{lacking}.*save_optimizer=False"):
        resumed(tmp_path, without)


def without_record(checkpoint: Path) -> None:
    content = torch.load(checkpoint, weights_only=False)
    # Code in it is not run.
    content["meta"] |= {"cfg": "raise SystemExit('the configuration of the checkpoint was run')"}
    del content["meta"]["duskbench_training"]
    torch.save(content, checkpoint)


def test_a_checkpoint_that_does_not_say_its_settings_is_resumed_with_a_warning(
    stopped: Path, options: dict[str, Any]
) -> None:
    without_record(stopped / "iter_2.pth")
    _, said = resumed(stopped, options)
    assert f"{stopped / 'iter_2.pth'} does not say its settings" in said


def test_weights_that_do_not_fit_are_refused_whatever_the_checkpoint_says(
    stopped: Path, options: dict[str, Any]
) -> None:
    without_record(stopped / "iter_2.pth")
    with pytest.raises(WeightsError, match=r"(?s)do not fit ZeroDCE.*iter_2\.pth.*13 of another shape"):
        resumed(stopped, {**options, "model.generator.width": 8})


def test_the_last_checkpoint_that_can_be_read_is_named(stopped: Path, options: dict[str, Any]) -> None:
    whole = (stopped / "iter_2.pth").read_bytes()
    (stopped / "iter_4.pth").write_bytes(whole[: len(whole) // 2])
    (stopped / "iter_6.pth").write_bytes(b"")
    with pytest.raises(
        WeightsError, match=r"(?s)newest checkpoint cannot be read.*iter_6\.pth.*an empty file"
    ) as caught:
        resumed(stopped, options)
    assert caught.value.todo == (f"remove iter_4.pth, iter_6.pth; --resume then goes on from {stopped / 'iter_2.pth'}")
    (stopped / "iter_2.pth").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"remove iter_2\.pth, iter_4\.pth, iter_6\.pth; --resume then begins anew"):
        resumed(stopped, options)


def test_a_checkpoint_is_flushed_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr("duskbench.data_tools.files.os.fsync", flushed.append)
    AtomicBackend().put(b"weights", tmp_path / "iter_1.pth")
    assert len(flushed) == 1
    assert (tmp_path / "iter_1.pth").read_bytes() == b"weights"


def test_several_processes_go_on_from_one_with_the_same_global_batch(
    stopped: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("duskbench.pipeline.training.resuming.get_world_size", lambda: 2)
    half = {**options, "train_dataloader.batch_size": 1}
    assert resumed(stopped, half)[0].name == "iter_6.pth"
    with pytest.raises(ConfigError, match=r"train_dataloader\.batch_size=4"):
        resumed(stopped, options)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.pth", "(?s)to start from is not there.*absent.pth.*iter_N.pth"),
        ("exported.safetensors", "(?s)does not load exported weights.*StartFrom"),
        ("other.pth", "(?s)do not fit ZeroDCE.*other.pth.*14 missing.*1 unexpected: a"),
        ("bare.pth", "(?s)do not fit ZeroDCE.*bare.pth.*14 missing.*14 unexpected: e_conv1.weight"),
        ("empty.pth", "(?s)holds no weights.*empty.pth.*an empty file"),
        ("list.pth", "(?s)not a checkpoint.*list.pth"),
    ],
)
def test_a_training_does_not_start_from_what_does_not_fit(
    stopped: Path, options: dict[str, Any], tmp_path: Path, name: str, message: str
) -> None:
    content = torch.load(stopped / "iter_2.pth", weights_only=False)
    bare = {key.removeprefix("generator."): value for key, value in content["state_dict"].items()}
    export(stopped / "iter_2.pth", tmp_path / "exported.safetensors")
    torch.save({"state_dict": {"a": torch.zeros(1)}, "meta": {}}, tmp_path / "other.pth")
    torch.save(bare, tmp_path / "bare.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "empty.pth").write_bytes(b"")
    with pytest.raises(WeightsError, match=message):
        train(CONFIG, work_dir=tmp_path / "new", cfg_options={**options, "load_from": str(tmp_path / name)})
    assert not checkpoints(tmp_path / "new")
