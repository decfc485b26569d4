"""Training of an enhancer: resumes bit for bit, survives kill -9, stops on NaN, and several processes equal one."""

from __future__ import annotations

import copy
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from safetensors.torch import load_file

from duskbench.data_tools.errors import ConfigError, DataError, TrainingError, WeightsError
from duskbench.data_tools.files import only_one
from duskbench.data_tools.images import read_image
from duskbench.pipeline import load_enhancer
from duskbench.pipeline.training import enhancer, hooks, launch
from duskbench.pipeline.training.enhancer import PerNetworkOptimizers, export, train
from duskbench.pipeline.training.hooks import LossGuard, SampleGrid, StartFrom
from duskbench.pipeline.training.launch import checkpoints, last_checkpoint
from tests.pipeline.training.conftest import CONFIGS, ROOT, losses

CONFIG = CONFIGS / "guided_small.py"


def weights_of(checkpoint: Path) -> dict[str, torch.Tensor]:
    return torch.load(checkpoint, weights_only=False)["state_dict"]


def test_train_writes_checkpoints_samples_and_losses(tmp_path: Path, tiny_guided: dict[str, Any]) -> None:
    last = train(CONFIG, work_dir=tmp_path, cfg_options=tiny_guided)
    assert last == last_checkpoint(tmp_path)
    assert [path.name for path in checkpoints(tmp_path)] == ["iter_2.pth", "iter_4.pth", "iter_6.pth"]
    assert sorted(losses(tmp_path)) == [1, 2, 3, 4, 5, 6]
    grid = read_image(tmp_path / "samples" / "iter_3.png")
    assert grid.shape == (64, 64, 3)
    low = grid[:32]
    assert low.max() < 70, "the input stands above"
    assert [path.name for path in tmp_path.glob(".*")] == [".lock"], "no temporary files are left"


@pytest.mark.parametrize(("rate", "does_nothing"), [(1e-7, True), (5e-2, False)])
def test_each_grid_says_how_much_enhancing_changes_and_warns_of_nothing(
    tmp_path: Path, tiny_guided: dict[str, Any], monkeypatch: pytest.MonkeyPatch, rate: float, does_nothing: bool
) -> None:
    said: list[tuple[str, int]] = []
    monkeypatch.setattr(hooks, "print_log", lambda message, _, level: said.append((message, level)))
    train(CONFIG, work_dir=tmp_path, cfg_options={**tiny_guided, "optim_wrapper.generator.optimizer.lr": rate})
    grids = [(message, level) for message, level in said if "samples" in message]
    for step, (message, level) in zip((3, 6), grids, strict=True):
        grid = tmp_path / "samples" / f"iter_{step}.png"
        low, enhanced = np.split(read_image(grid).astype(float), 2)
        assert f"{grid} by {abs(enhanced - low).mean():.2f} grey levels" in message
        assert ("leaves them as they are" in message) == (level == logging.WARNING) == does_nothing


def test_learning_rate_is_constant_then_linear_to_zero(tmp_path: Path, tiny_guided: dict[str, Any]) -> None:
    schedule = {"schedule": {"unit": "steps", "constant": 3, "decay": 4}}
    train(CONFIG, work_dir=tmp_path, cfg_options={**tiny_guided, **schedule})
    [file] = tmp_path.glob("*/vis_data/scalars.json")
    rates = [json.loads(line)["generator.lr"] for line in file.read_text().splitlines()]
    base = tiny_guided["optim_wrapper.generator.optimizer.lr"]
    assert rates == pytest.approx([base, base, base, base, base * 0.75, base * 0.5, base * 0.25], abs=1e-12)


def test_epochs_become_steps_of_the_global_batch(tmp_path: Path, tiny_guided: dict[str, Any]) -> None:
    # Seven images in the larger domain and batches of two: four steps an epoch.
    schedule = {"schedule": {"unit": "epochs", "constant": 1, "decay": 1}, "default_hooks.checkpoint.interval": 8}
    assert train(CONFIG, work_dir=tmp_path, cfg_options={**tiny_guided, **schedule}).name == "iter_8.pth"


@pytest.mark.slow
def test_resume_gives_the_losses_of_an_uninterrupted_run(tmp_path: Path, tiny_guided: dict[str, Any]) -> None:
    whole = train(CONFIG, work_dir=tmp_path / "whole", cfg_options=tiny_guided)
    train(CONFIG, work_dir=tmp_path / "cut", cfg_options=tiny_guided)
    for name in ("iter_4.pth", "iter_6.pth"):
        (tmp_path / "cut" / name).unlink()
    again = train(CONFIG, work_dir=tmp_path / "cut", resume=True, cfg_options=tiny_guided)
    expected, resumed = losses(tmp_path / "whole"), losses(tmp_path / "cut")
    # Two runs within a second share a folder, and the second one's log replaces the first's.
    assert set(resumed) >= {3, 4, 5, 6}
    assert all(resumed[step] == expected[step] for step in resumed)
    ours, theirs = weights_of(again), weights_of(whole)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_resume_of_a_finished_run_does_nothing(tmp_path: Path, tiny_guided: dict[str, Any]) -> None:
    last = train(CONFIG, work_dir=tmp_path, cfg_options=tiny_guided)
    stamp = last.stat().st_mtime_ns
    assert train(CONFIG, work_dir=tmp_path, resume=True, cfg_options=tiny_guided) == last
    assert last.stat().st_mtime_ns == stamp


def run_command(work_dir: Path, options: dict[str, Any], *more: str, processes: int = 1) -> subprocess.Popen[str]:
    """`duskbench train` in a process of its own, or in several by torchrun."""
    config = work_dir.parent / f"{work_dir.name}.py"
    config.write_text(f"_base_ = [{str(CONFIG)!r}]\n")
    loaded = Config.fromfile(str(config))
    loaded.merge_from_dict(options)
    loaded.dump(str(config))
    program = ["-m", "duskbench", "train", str(config), "--work-dir", str(work_dir), *more]
    if processes > 1:
        program = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *program]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, *program], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


@pytest.mark.slow
def test_kill_9_in_mid_run_and_resume(tmp_path: Path, tiny_guided: dict[str, Any]) -> None:
    options = {**tiny_guided, "schedule": {"unit": "steps", "constant": 30, "decay": 10}}
    options["default_hooks.checkpoint.interval"] = 5
    process = run_command(tmp_path / "killed", options)
    while len(checkpoints(tmp_path / "killed")) < 2 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    left = checkpoints(tmp_path / "killed")
    assert 2 <= len(left) < 8, "it was killed too late to show anything"
    for name, more in (("killed", ("--resume",)), ("whole", ())):
        process = run_command(tmp_path / name, options, *more)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output[-2000:]
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    assert sorted(losses(tmp_path / "whole")) == list(range(1, 41))


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one_with_the_same_global_batch(
    tmp_path: Path, tiny_guided: dict[str, Any]
) -> None:
    # Seven images in the larger domain: four steps of two processes with a picture each, or of one with two.
    options = {**tiny_guided, "schedule": {"unit": "epochs", "constant": 1, "decay": 0}}
    options["train_dataloader.batch_size"] = 1
    process = run_command(tmp_path / "two", options, processes=2)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output[-2000:]
    single = train(CONFIG, work_dir=tmp_path / "one", cfg_options={**options, "train_dataloader.batch_size": 2})
    two, one = losses(tmp_path / "two"), losses(tmp_path / "one")
    assert sorted(two) == [1, 2, 3, 4]
    for step in one:
        assert two[step] == pytest.approx(one[step], rel=1e-4, abs=1e-7)
    exported = [
        load_file(export(checkpoint, tmp_path / f"{number}.safetensors"))
        for number, checkpoint in enumerate((last_checkpoint(tmp_path / "two"), single))
    ]
    assert exported[0].keys() == exported[1].keys()


def test_processes_join_before_the_schedule_is_made(
    tmp_path: Path, tiny_guided: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On GPUs too, of which there are none here: mmengine starts the processes up before epochs become steps."""
    joined: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr(launch, "init_dist", lambda launcher, **options: joined.append((launcher, options)))
    monkeypatch.setattr(enhancer, "get_world_size", lambda: 2 if joined else 1)
    monkeypatch.setattr(enhancer, "run", lambda config, *_, **__: config.train_cfg.max_iters)
    options = {"schedule": {"unit": "epochs", "constant": 2, "decay": 1}, "env_cfg.dist_cfg": {"backend": "nccl"}}
    # Seven images and a global batch of four.
    steps: Any = train(CONFIG, work_dir=tmp_path, cfg_options={**tiny_guided, **options})
    assert steps == 3 * 2
    assert joined == [("pytorch", {"backend": "nccl"})]


@pytest.mark.parametrize(
    ("options", "got"),
    [
        ({"optim_wrapper.generator.optimizer.lr": 1e30}, "not finite|nan|inf"),
        ({"model.alpha": float("nan")}, "loss is nan"),
    ],
)
def test_a_loss_that_runs_away_stops_the_run(
    tmp_path: Path, tiny_guided: dict[str, Any], options: dict[str, Any], got: str
) -> None:
    with pytest.raises(TrainingError, match=got) as caught:
        train(CONFIG, work_dir=tmp_path, cfg_options={**tiny_guided, **options})
    assert "checkpoint" in str(caught.value.todo)
    for path in checkpoints(tmp_path):
        assert all(torch.isfinite(value).all() for value in weights_of(path).values() if value.is_floating_point())


def test_the_last_good_checkpoint_is_named(tmp_path: Path, tiny_guided: dict[str, Any]) -> None:
    train(CONFIG, work_dir=tmp_path, cfg_options=tiny_guided)
    for path in checkpoints(tmp_path)[1:]:
        path.unlink()
    with pytest.raises(TrainingError, match=r"iter_2\.pth"):
        train(
            CONFIG,
            work_dir=tmp_path,
            resume=True,
            cfg_options={**tiny_guided, "optim_wrapper.generator.optimizer.lr": 1e30},
        )


def test_export_is_an_enhancer_and_equals_the_trained_network(tmp_path: Path, tiny_guided: dict[str, Any]) -> None:
    checkpoint = train(CONFIG, work_dir=tmp_path, cfg_options=tiny_guided)
    path = export(checkpoint, tmp_path / "guided.safetensors")
    assert path.stat().st_size < 200_000, "frozen extractors stay outside"
    enhance = load_enhancer(f"guided(weights={str(path)!r})")
    image = np.random.default_rng(0).integers(0, 90, (37, 50, 3)).astype(np.uint8)
    enhanced = enhance(image)
    assert enhanced.shape == image.shape
    assert not np.array_equal(enhanced, image)
    # The checkpoint itself is as good.
    assert np.array_equal(load_enhancer(f"guided(weights={str(checkpoint)!r})")(image), enhanced)
    other = export(checkpoints(tmp_path)[0], tmp_path / "other.safetensors")
    assert load_enhancer(f"guided(weights={str(other)!r})").fingerprint != enhance.fingerprint


@pytest.mark.slow
def test_moving_average_is_what_is_exported(tmp_path: Path, tiny_guided: dict[str, Any]) -> None:
    exported = {}
    for name, ema in (("plain", None), ("averaged", 0.9)):
        checkpoint = train(CONFIG, work_dir=tmp_path / name, cfg_options={**tiny_guided, "ema": ema})
        exported[name] = load_file(export(checkpoint, tmp_path / f"{name}.safetensors"))
    assert losses(tmp_path / "plain") == losses(tmp_path / "averaged"), "averaging does not touch the training"
    # Not the bytes, in which the order of the metadata is another each time.
    assert exported["plain"].keys() == exported["averaged"].keys()
    assert any(not torch.equal(exported["plain"][key], value) for key, value in exported["averaged"].items())


@pytest.mark.slow
def test_a_run_starts_from_given_weights_and_its_last_checkpoint_is_averaged_with_them(
    tmp_path: Path, tiny_guided: dict[str, Any]
) -> None:
    first = export(train(CONFIG, work_dir=tmp_path / "first", cfg_options=tiny_guided), tmp_path / "first.safetensors")

    def continued(name: str, share: float, *, resume: bool = False) -> dict[str, torch.Tensor]:
        hook = {"type": "StartFrom", "weights": str(first), "share": share}
        options = {**tiny_guided, "custom_hooks": [*tiny_guided["custom_hooks"], hook]}
        last = train(CONFIG, work_dir=tmp_path / name, cfg_options=options, resume=resume)
        return load_file(export(last, tmp_path / f"{name}.safetensors"))

    start, trained, averaged = load_file(first), continued("trained", 0.0), continued("averaged", 0.25)
    assert all(not torch.equal(start[key], trained[key]) for key in start if key.endswith("weight"))
    for key in start:
        if start[key].is_floating_point():
            torch.testing.assert_close(averaged[key], 0.25 * start[key] + 0.75 * trained[key])
    (tmp_path / "averaged" / "iter_6.pth").unlink()
    resumed = continued("averaged", 0.25, resume=True)
    assert all(torch.equal(resumed[key], averaged[key]) for key in averaged)


@pytest.mark.parametrize(
    ("hook", "arguments"),
    [
        (StartFrom, {"weights": "weights.safetensors", "share": -0.1}),
        (StartFrom, {"weights": "weights.safetensors", "share": 1.0}),
        (StartFrom, {"weights": "weights.safetensors", "share": "half"}),
        (LossGuard, {"factor": 0.5}),
        (LossGuard, {"window": 0}),
        (SampleGrid, {"interval": 0}),
        (SampleGrid, {"images": "all"}),
    ],
)
def test_hooks_that_cannot_be_set_so(hook: type[Any], arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"where: {list(arguments)[-1]}"):
        hook(**arguments)


def test_a_loss_that_runs_away_below_zero_is_stopped(tmp_path: Path) -> None:
    guard, runner = LossGuard(10, window=3), SimpleNamespace(work_dir=tmp_path, iter=3)
    for _ in range(4):
        guard.after_train_iter(runner, 0, outputs={"loss": -1.0})
    with pytest.raises(TrainingError, match=r"loss is -1e\+06"):
        guard.after_train_iter(runner, 0, outputs={"loss": -1e6})


def test_adam_in_one_pass_gives_the_same_weights_and_goes_on_from_an_older_state_to_the_last_bit() -> None:
    def trained(**arguments: Any) -> tuple[torch.nn.Module, OptimWrapper]:
        torch.manual_seed(0)
        model = torch.nn.Sequential()
        model.network = torch.nn.Linear(50, 40)
        settings = {"type": "Adam", "lr": 1e-2, "betas": (0.5, 0.999), "weight_decay": 1e-3, **arguments}
        return model.network, PerNetworkOptimizers({"network": {"optimizer": settings}})(model)["network"]

    def step(network: torch.nn.Module, wrapper: OptimWrapper, seed: int) -> None:
        picture = torch.rand(4, 50, generator=torch.Generator().manual_seed(seed))
        wrapper.update_params(network(picture).square().mean())

    (network, wrapper), (plain, plain_wrapper) = trained(), trained(fused=False)
    assert wrapper.optimizer.defaults["fused"] is True
    for seed in range(4):
        step(network, wrapper, seed)
        step(plain, plain_wrapper, seed)
    for one, other in zip(network.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)

    network.load_state_dict(plain.state_dict())
    wrapper.load_state_dict(copy.deepcopy(plain_wrapper.state_dict()))
    step(network, wrapper, 4)
    step(plain, plain_wrapper, 4)
    assert all(torch.equal(one, other) for one, other in zip(network.parameters(), plain.parameters(), strict=True))


def test_foreign_files_are_not_exported(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "iter_1.pth")
    with pytest.raises(WeightsError, match="not a checkpoint of an enhancer"):
        export(tmp_path / "iter_1.pth", tmp_path / "out.safetensors")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"data_root": "/nowhere"}, DataError, "training set is not there"),
        ({"schedule.unit": "hours"}, ConfigError, "schedule is not clear"),
        ({"schedule.constant": -1}, ConfigError, "not clear"),
        ({"model.noise": 0.02}, ConfigError, r"(?s)noise.*\(read, shot\).*0\.02"),
        ({"model.noise": (0.02, -1)}, ConfigError, "(?s)noise.*at least 0"),
        ({"train_dataloader.dataset.root": "elsewhere"}, ConfigError, "(?s)named twice.*elsewhere"),
        ({"optim_wrapper.teacher": {"optimizer": {"type": "Adam"}}}, ConfigError, "nothing to optimise"),
    ],
)
def test_bad_settings(
    tmp_path: Path, tiny_guided: dict[str, Any], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train(CONFIG, work_dir=tmp_path, cfg_options={**tiny_guided, **options})
    assert not checkpoints(tmp_path)


def test_a_benchmark_configuration_is_not_a_training(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="config"):
        train(ROOT / "configs" / "miniature.py", work_dir=tmp_path)


def test_an_earlier_training_is_neither_overwritten_nor_taken_for_this_one(
    tmp_path: Path, tiny_guided: dict[str, Any]
) -> None:
    last = train(CONFIG, work_dir=tmp_path, cfg_options=tiny_guided)
    before = last.read_bytes()
    # Its own checkpoint would be iter_3.pth, and the newest in the folder was the earlier training's iter_6.pth.
    shorter = {**tiny_guided, "schedule": {"unit": "steps", "constant": 2, "decay": 1}}
    for options in (shorter, tiny_guided):
        with pytest.raises(ConfigError, match=r"checkpoints of an earlier training(.|\n)*iter_6\.pth"):
            train(CONFIG, work_dir=tmp_path, cfg_options=options)
    assert last.read_bytes() == before


def test_two_trainings_do_not_share_a_folder(tmp_path: Path, tiny_guided: dict[str, Any]) -> None:
    """Each would overwrite the other's checkpoints, and export what it did not learn."""
    with only_one(tmp_path, "training folder"), pytest.raises(ConfigError, match="Another process is using this"):
        train(CONFIG, work_dir=tmp_path, cfg_options=tiny_guided)
    assert not checkpoints(tmp_path)


@pytest.mark.parametrize("processes", [0, 1])
def test_an_image_that_cannot_be_read_is_named(
    tmp_path: Path, unpaired: Path, tiny_guided: dict[str, Any], processes: int
) -> None:
    shutil.copytree(unpaired, tmp_path / "set")
    (tmp_path / "set" / "trainA" / "2.png").write_bytes(b"not a picture")
    options = {**tiny_guided, "data_root": str(tmp_path / "set"), "train_dataloader.num_workers": processes}
    with pytest.raises(DataError) as caught:
        train(CONFIG, work_dir=tmp_path / "run", cfg_options=options)
    assert Path(str(caught.value.where)) == tmp_path / "set" / "trainA" / "2.png"
    assert caught.value.what == "The file is not an image of a format that is read."
    assert "Traceback" not in str(caught.value)


def test_what_a_set_leaves_out_is_said_once(tmp_path: Path, unpaired: Path, tiny_guided: dict[str, Any]) -> None:
    root = shutil.copytree(unpaired, tmp_path / "set")
    (root / "trainA" / "a.heic").write_bytes(b"")
    (root / "trainA" / "b.png").symlink_to(tmp_path / "nowhere.png")
    (root / "trainB" / "c.gif").write_bytes(b"")
    # In epochs, for which the images are counted before.
    options = {**tiny_guided, "data_root": str(root), "schedule": {"unit": "epochs", "constant": 1, "decay": 0}}
    train(CONFIG, work_dir=tmp_path / "run", cfg_options=options)
    said = "".join(log.read_text() for log in (tmp_path / "run").glob("*/*.log"))
    assert said.count(f"WARNING - {root / 'trainA'}: 1 left out, HEIF") == 1
    assert said.count(f"WARNING - {root / 'trainA'}: 1 left out, links that lead nowhere: b.png") == 1
    assert said.count(f"WARNING - {root / 'trainB'}: 1 left out, no format that is read") == 1


def test_resume_says_that_there_is_no_checkpoint(
    tmp_path: Path, tiny_guided: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    train(CONFIG, work_dir=tmp_path, resume=True, cfg_options=tiny_guided)
    assert f"There is no checkpoint in {tmp_path}" in capsys.readouterr().err + "".join(
        log.read_text() for log in tmp_path.glob("*/*.log")
    )


@pytest.mark.parametrize("size", [0, -1, 1.5, "two", True])
def test_a_batch_of_no_images_is_refused(tmp_path: Path, tiny_guided: dict[str, Any], size: object) -> None:
    with pytest.raises(ConfigError, match=r"train_dataloader\.batch_size"):
        train(CONFIG, work_dir=tmp_path, cfg_options={**tiny_guided, "train_dataloader.batch_size": size})


@pytest.mark.parametrize("options", [{"model.noise": 3}, {"model.reconstruction": {"spread": -1}}])
def test_the_configuration_is_named_by_what_a_class_of_it_refuses(
    tmp_path: Path, tiny_guided: dict[str, Any], options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=f"(?s)cannot be set so.*where: .*{CONFIG.name}.*expected"):
        train(CONFIG, work_dir=tmp_path, cfg_options={**tiny_guided, **options})


ZERO_DCE = CONFIGS / "zero_dce_small.py"


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"model.spatial_weigt": 2.0}, ConfigError, "(?s)cannot be built.*zero_dce_small.py.*'spatial_weigt'"),
        ({"train_dataloader.dataset.crops": 5}, ConfigError, "(?s)cannot be built.*'crops'"),
        ({"optim_wrapper.generator.optimizer.lr": -1}, ConfigError, "(?s)cannot be built.*learning rate: -1"),
        ({"optim_wrapper.generator.accumulative_counts": 2}, ConfigError, r"(?s)gradients.*generator\.accum.*got: 2"),
        ({"optim_wrapper.paramwise_cfg.bias_lr_mult": 2.0}, ConfigError, "(?s)single weights.*paramwise_cfg.*2.0"),
        ({"optim_wrapper.generator.paramwise_cfg.bias_lr_mult": 2.0}, ConfigError, "cannot be built.*"),
        ({"optim_wrapper.type": "AmpOptimWrapper"}, ConfigError, r"(?s)optim_wrapper\.type.*'type'"),
        ({"optim_wrapper.clip_grad": {"max_norm": 1.0}}, ConfigError, r"(?s)optim_wrapper\.clip_grad.*'clip_grad'"),
        ({"optim_wrapper.accumulative_counts": 2}, ConfigError, r"(?s)optim_wrapper\.accumulative_counts"),
        ({"randomness.sed": 1}, ConfigError, "(?s)cannot be built.*'sed'"),
        (
            {"default_hooks.checkpoint.max_keep_ckpt": 2},
            ConfigError,
            "(?s)Nothing reads 'max_keep_ckpt'.*CheckpointHook",
        ),
        # Larger than the crops, which the first step finds.
        ({"model.patch_size": 100}, TrainingError, r"(?s)iteration 1.*too small \(.*zero_dce_losses.py:\d+"),
        ({"randomness.seed": -1}, ConfigError, "(?s)randomness.seed.*2\\*\\*32"),
        ({"train_dataloader.num_workers": -1}, ConfigError, "(?s)train_dataloader.num_workers.*0 or more"),
        ({"ema": 1}, ConfigError, "(?s)ema.*below 1"),
        ({"compile": "maybe"}, ConfigError, "(?s)compile.*True or False"),
        ({"data_root": []}, ConfigError, "(?s)data_root.*a folder"),
        ({"schedule.milestones": 5}, ConfigError, "schedule is not clear"),
        ({"schedule": {"constant": 0, "decay": 0}}, ConfigError, "(?s)schedule is not clear.*at least 1"),
        ({"schedule": {"milestones": [1], "factor": "half"}}, ConfigError, "schedule is not clear"),
        ({"train_cfg.max_iters": 3}, ConfigError, "(?s)Nothing reads 'train_cfg'.*schedule"),
    ],
)
def test_settings_that_are_not_possible(
    tmp_path: Path, tiny: dict[str, Any], options: dict[str, Any], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        train(ZERO_DCE, work_dir=tmp_path, cfg_options={**tiny, "train_dataloader.dataset.short_side": None, **options})
    assert not checkpoints(tmp_path)


def test_a_training_starts_from_the_weights_of_a_checkpoint(tmp_path: Path, tiny: dict[str, Any]) -> None:
    """What the error about another schedule says to do."""
    options = {**tiny, "train_dataloader.dataset.short_side": None, "train_dataloader.persistent_workers": True}
    first = train(ZERO_DCE, work_dir=tmp_path / "first", cfg_options=options)
    still = {"load_from": str(first), "optim_wrapper.generator.optimizer.lr": 0.0, "schedule.decay": 0}
    second = train(ZERO_DCE, work_dir=tmp_path / "second", cfg_options={**options, **still})
    assert all(torch.equal(value, weights_of(first)[key]) for key, value in weights_of(second).items())
