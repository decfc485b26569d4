"""The one command from released data to Table 2: steps done once, taken up again, and told beforehand."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duskbench.benchmarks.cli.table2 import duration, size
from duskbench.benchmarks.reproduce import training_steps
from duskbench.benchmarks.reproduce.data_steps import ABOUT_BOXES, INCOMPLETE, blocking
from duskbench.benchmarks.reproduce.locate import find_released_data
from duskbench.benchmarks.reproduce.steps import Reporter, State, Step, fingerprint_of, survey, work_through
from duskbench.benchmarks.reproduce.table2 import METHODS, Table2Options, _extractors, benchmark_of, plan_table2
from duskbench.benchmarks.reproduce.training_steps import Training, settings_of, steps_of
from duskbench.data_tools import exdark, voc
from duskbench.data_tools.errors import ConfigError, DataError, TrainingError
from duskbench.data_tools.findings import Finding, Report
from duskbench.data_tools.images import write_image
from tests.benchmarks.conftest import COLOURS, PLUGINS, make_bench

ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = {"car": ("Car", 5), "person": ("People", 11), "dog": ("Dog", 9)}

# Brightens by what its weight file says, which it finds as the trained enhancers find theirs.
WEIGHED = """
import os
from pathlib import Path
import numpy as np
from duskbench.data_tools.errors import WeightsError

class Weighed:
    def __init__(self, name="zero_dce"):
        folders = os.environ["DUSKBENCH_WEIGHTS"].split(os.pathsep)
        found = [file for f in folders if (file := Path(f, f"{name}.safetensors")).is_file()]
        if not found:
            raise WeightsError("Not trained yet.")
        self.gain = float(found[0].read_text())
    def __call__(self, image):
        return np.clip(image * self.gain, 0, 255).astype(np.uint8)
"""


@dataclass
class World:
    """Released data of a few images, a benchmark's configuration, and a work folder that does not exist yet."""

    data: Path
    config: Path
    work: Path
    pictures: list[Path]

    def options(self, **changes: Any) -> Table2Options:
        base = Table2Options(work=self.work, data=self.data, config=self.config, methods=("zero_dce", "cyclegan"))
        return replace(base, **changes)


def make_world(root: Path) -> World:
    rng = np.random.default_rng(1)
    data = root / "data"
    rows, pictures = ["Name | Class | Light | In/Out | Train/Val/Test"], []
    for number in range(6):
        colour = list(COLOURS)[number % 3]
        folder, code = _FOLDERS[colour]
        image = rng.integers(5, 40, (100, 110, 3)).astype(np.uint8)
        image[20:70, 10:70] = COLOURS[colour]
        pictures.append(data / "exdark" / "ExDark" / folder / f"2015_0000{number}.png")
        write_image(pictures[-1], image)
        note = data / "exdark" / "ExDark_Annno" / folder / f"2015_0000{number}.png.txt"
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(f"% bbGt version=3\n{folder} 11 21 60 50 0 0 0 0 0 0 0\n")
        rows.append(f"2015_0000{number}.png {code} 2 1 {3 if number < 3 else 1}")
    (data / "exdark" / "imageclasslist.txt").write_text("\n".join(rows) + "\n")
    bench = make_bench(root / "lit", n=4, size=(100, 110))
    tree = data / "VOCdevkit" / "VOC2007"
    tree.parent.mkdir()
    bench.root.rename(tree)
    (tree / "ImageSets/Main/test.txt").rename(tree / "ImageSets/Main/trainval.txt")
    (root / "weighed.py").write_text(WEIGHED)
    config = root / "tiny.py"
    config.write_text(
        f"""title = "Tiny"
data = dict(root="nowhere", split="test")
detector = "{PLUGINS}:ColourDetector"
enhancers = ["input", dict(type="{root / "weighed.py"}:Weighed", label="Trained")]
protocol = dict(classes=["car", "person", "dog"])
"""
    )
    return World(data, config, root / "work", pictures)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Data that is taken as the whole release, and training configurations of two methods."""
    monkeypatch.setattr(exdark, "OFFICIAL_IMAGES", {"train": 3, "val": 0, "test": 3})
    monkeypatch.setattr(exdark, "OFFICIAL_BOXES", 6)
    monkeypatch.setattr(voc, "OFFICIAL_IMAGES", {"VOC2007": {"trainval": 4}})
    monkeypatch.delenv("DUSKBENCH_WEIGHTS", raising=False)
    for name in ("zero_dce", "cyclegan", "zero_dce_small"):
        path = tmp_path / "configs" / "training" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f"model = dict(type={name!r})\ndata_root = 'elsewhere'\n"
            "train_dataloader = dict(batch_size=1, num_workers=2, dataset=dict(crop=32))\n"
            "schedule = dict(unit='epochs', constant=100, decay=100)\n"
        )
    monkeypatch.setattr(training_steps, "config_root", lambda: tmp_path / "configs")
    return make_world(tmp_path)


@dataclass
class FakeTrainer:
    """Leaves a checkpoint, and a weight file that says what it learned; may be told to stop in the middle."""

    gain: float = 3.0
    stops: dict[str, BaseException] = field(default_factory=dict)
    calls: list[tuple[str, Path, bool, bool]] = field(default_factory=list)

    def train(
        self, config: str | Path, *, work_dir: str | Path, resume: bool, cfg_options: Mapping[str, Any] | None
    ) -> Path:
        """Note the call (method, folder, resume, whether there was a checkpoint) and pretend."""
        method, folder = Path(config).stem, Path(work_dir)
        assert cfg_options is not None and (Path(cfg_options["data_root"]) / "trainA").is_dir()
        self.calls.append((method, folder, resume, (folder / "iter_5.pth").is_file()))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "iter_5.pth").write_text("half")
        if method in self.stops:
            raise self.stops.pop(method)
        (folder / "iter_10.pth").write_text(str(self.gain))
        return folder / "iter_10.pth"

    def export(self, checkpoint: str | Path, path: str | Path) -> Path:
        """Write the weights."""
        Path(path).write_text(Path(checkpoint).read_text())
        return Path(path)

    @property
    def trained(self) -> list[str]:
        return [call[0] for call in self.calls]


class Log(Reporter):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.begun: dict[str, State] = {}
        self.notes: list[str] = []

    def begin(self, step: Step, number: int, total: int, state: State) -> None:
        self.begun[step.name] = state

    def note(self, text: str) -> None:
        self.notes.append(text)

    @property
    def ran(self) -> list[str]:
        return [name for name, state in self.begun.items() if state is not State.DONE]


def carry_out(options: Table2Options) -> tuple[bool, Log]:
    log = Log()
    return work_through(plan_table2(options).steps, options.work, log), log


def states_of(options: Table2Options) -> dict[str, State]:
    steps = plan_table2(options).steps
    return {step.name: look.state for step, look in zip(steps, survey(steps, options.work), strict=True)}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def tree_state(root: Path) -> dict[str, tuple[int, int]]:
    return {
        path.relative_to(root).as_posix(): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in sorted(root.rglob("*"))
        if "__pycache__" not in path.parts
    }


ALL_STEPS = [
    "verify-ExDark", "verify-VOC2007", "check-weights", "convert", "unpaired", "train-zero_dce", "train-cyclegan",
    "run",
]  # fmt: skip


def test_from_released_data_to_the_table_and_then_nothing_is_left_to_do(world: World) -> None:
    trainer = FakeTrainer()
    options = world.options(training=Training(trainer=trainer))
    complete, log = carry_out(options)
    assert complete and log.ran == ALL_STEPS
    assert trainer.trained == ["zero_dce", "cyclegan"]
    assert (world.work / "exdark_voc/Annotations/2015_00000.xml").is_file()
    assert len(names_in(world.work / "unpaired/trainA")) == 6
    assert all(name.startswith("VOC2007@") for name in names_in(world.work / "unpaired/trainB"))
    assert names_in(world.work / "weights") == ["cyclegan.safetensors", "zero_dce.safetensors"]
    table = (world.work / "results/table.md").read_text()
    assert "Trained" in table and "Tiny" in table
    assert "DUSKBENCH_WEIGHTS" not in os.environ

    before = tree_state(world.work)
    complete, log = carry_out(options)
    assert complete and log.ran == []
    assert tree_state(world.work) == before
    assert trainer.trained == ["zero_dce", "cyclegan"]


def test_copied_data_is_verified_again_but_not_trained_on_again(world: World) -> None:
    trainer = FakeTrainer()
    options = world.options(training=Training(trainer=trainer))
    carry_out(options)
    os.utime(world.pictures[4], (1, 1))
    looks = states_of(options)
    assert looks["verify-ExDark"] is State.TODO and looks["verify-VOC2007"] is State.AGAIN
    assert looks["train-zero_dce"] is State.AGAIN
    complete, log = carry_out(options)
    assert complete and log.ran == ["verify-ExDark", "convert", "unpaired", "run"]
    assert len(trainer.calls) == 2


def test_other_pictures_are_trained_on_again_and_the_old_weights_stay(world: World) -> None:
    trainer = FakeTrainer()
    options = world.options(training=Training(trainer=trainer), methods=("zero_dce",))
    carry_out(options)
    original = world.pictures[4].read_bytes()
    write_image(world.pictures[4], np.full((100, 110, 3), 7, np.uint8))
    trainer.gain = 5.0
    _, log = carry_out(options)
    assert "train-zero_dce" in log.ran and "run" in log.ran
    first, second = (call[1] for call in trainer.calls)
    assert first != second and (first / "zero_dce.safetensors").read_text() == "3.0"
    assert (world.work / "weights/zero_dce.safetensors").read_text() == "5.0"
    # Back to what it was: the folder of that training is taken up, not begun anew.
    world.pictures[4].write_bytes(original)
    carry_out(options)
    assert trainer.calls[2] == ("zero_dce", first, True, True)


def test_lost_or_changed_outputs_are_made_again(world: World) -> None:
    trainer = FakeTrainer()
    options = world.options(training=Training(trainer=trainer), methods=("zero_dce",))
    carry_out(options)
    (world.work / "unpaired/trainA").joinpath("ExDark@2015_00003.png").unlink()
    (world.work / "weights/zero_dce.safetensors").write_text("9")
    (world.work / "verified/ExDark.json").unlink()
    _, log = carry_out(options)
    assert log.ran == ["verify-ExDark", "unpaired", "train-zero_dce", "run"]
    assert (world.work / "weights/zero_dce.safetensors").read_text() == "3.0"
    for name in ("results.sqlite", "results.sqlite-wal", "results.sqlite-shm"):
        (world.work / "results" / name).unlink(missing_ok=True)
    assert carry_out(options)[1].ran == ["run"]


def test_a_half_written_record_counts_as_none(world: World) -> None:
    options = world.options(training=None)
    carry_out(replace(options, config=_untrained(world)))
    record = world.work / "steps/convert.json"
    record.write_text(record.read_text()[:40])
    assert carry_out(replace(options, config=_untrained(world)))[1].ran == ["convert"]


def _untrained(world: World, enhancers: str = "['input']") -> Path:
    path = world.config.with_name("untrained.py")
    lines = world.config.read_text().splitlines()
    path.write_text("\n".join(f"enhancers = {enhancers}" if line.startswith("enh") else line for line in lines))
    return path


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> FakeTrainer:
    """Stands for the project's own training, also below the command line."""
    fake = FakeTrainer()
    monkeypatch.setattr(training_steps, "_own_trainer", lambda: fake)
    return fake


def arguments_of(world: World) -> tuple[object, ...]:
    return (
        "table2", "--data", world.data, "--work", world.work, "--config", world.config,
        "--methods", "zero_dce,cyclegan",
    )  # fmt: skip


def test_ctrl_c_in_a_training_and_the_same_command_goes_on(  # type: ignore[no-untyped-def]
    world: World, duskbench, trainer: FakeTrainer
) -> None:
    trainer.stops = {"cyclegan": KeyboardInterrupt()}
    code, _, errors = duskbench(*arguments_of(world))
    assert code == 130 and "takes it up again" in errors
    plan = plan_table2(world.options(training=Training()))
    looks = dict(zip([step.name for step in plan.steps], survey(plan.steps, world.work), strict=True))
    assert looks["train-zero_dce"].state is State.DONE
    assert (looks["train-cyclegan"].state, looks["train-cyclegan"].there) == (State.RESUME, "iter_5.pth is there")
    code, text, errors = duskbench(*arguments_of(world))
    assert code == 0 and "Tiny" in text
    assert "[7/8] train-cyclegan (resume)" in errors and "[6/8] train-zero_dce (done)" in errors
    assert trainer.trained == ["zero_dce", "cyclegan", "cyclegan"]
    assert trainer.calls[1][1] == trainer.calls[2][1] and trainer.calls[2][2:] == (True, True)


def test_a_step_that_fails_stops_the_plan_with_code_2_and_loses_nothing(  # type: ignore[no-untyped-def]
    world: World, duskbench, trainer: FakeTrainer
) -> None:
    trainer.stops = {"zero_dce": TrainingError("The loss ran away.", got="nan")}
    code, text, errors = duskbench(*arguments_of(world))
    assert code == 2 and "The loss ran away." in errors and "Traceback" not in errors
    assert text == "" and not (world.work / "results").exists()
    assert {path.stem for path in (world.work / "steps").iterdir()} == set(ALL_STEPS[:5])
    code, text, errors = duskbench(*arguments_of(world))
    assert code == 0 and "Tiny" in text and "[5/8] unpaired (done)" in errors


def test_images_that_fail_make_the_exit_code_1_and_are_tried_again(  # type: ignore[no-untyped-def]
    world: World, duskbench
) -> None:
    config = _untrained(world, f"['input', '{PLUGINS}:FailsOnDark']")
    arguments = ("table2", "--data", world.data, "--work", world.work, "--config", config, "--skip-training")
    code, text, errors = duskbench(*arguments)
    assert code == 1 and "Tiny" in text and "too dark for me" in errors
    code, _, errors = duskbench(*arguments)
    assert code == 1 and "[4/4] run" in errors and "(done): " in errors and "too dark for me" in errors


def test_the_dry_run_touches_nothing(world: World, duskbench, trainer: FakeTrainer, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    # The toy configurations name models that do not exist, so their cost is not asked for.
    arguments = (*arguments_of(world), "--dry-run", "--skip-training")
    world.config.write_text(_untrained(world).read_text())
    before = tree_state(tmp_path)
    code, text, errors = duskbench(*arguments)
    assert (code, errors) == (0, "")
    assert tree_state(tmp_path) == before and not world.work.exists()
    assert all(name in text for name in ("verify-ExDark", "check-weights", "convert", "run", "to do"))
    assert "verify-VOC" not in text and "unpaired" not in text and "estimates" in text

    assert duskbench(*(a for a in arguments if a != "--dry-run"))[0] == 0
    before = tree_state(tmp_path)
    code, text, _ = duskbench(*arguments)
    assert code == 0 and text.count("done: ") == 4 and "to do" not in text.replace("all that is to do", "")
    assert tree_state(tmp_path) == before

    os.utime(world.pictures[0], (1, 1))
    code, text, _ = duskbench(*arguments)
    assert code == 0 and "done, looked at again" in text and "rows are there" in text


def test_wrong_data_stops_before_anything_is_trained(  # type: ignore[no-untyped-def]
    world: World, duskbench, trainer: FakeTrainer
) -> None:
    (world.data / "exdark/ExDark_Annno/Car/2015_00003.png.txt").write_text("% bbGt version=3\nCra 1 1 5 5\n")
    code, _, errors = duskbench(*arguments_of(world))
    assert code == 2 and "unknown-class" in errors and "--allow-missing" not in errors
    assert trainer.calls == [] and json.loads((world.work / "verified/ExDark.json").read_text())["ok"] is False
    assert duskbench(*arguments_of(world), "--allow-missing")[0] == 2


def test_an_incomplete_set_is_an_error_unless_it_is_meant(  # type: ignore[no-untyped-def]
    world: World, duskbench, trainer: FakeTrainer
) -> None:
    world.pictures[0].unlink()
    code, _, errors = duskbench(*arguments_of(world))
    assert code == 2 and "missing-image" in errors and "--allow-missing" in errors and trainer.calls == []
    code, text, errors = duskbench(*arguments_of(world), "--allow-missing")
    assert code == 0 and "2 of 3 images" in " ".join(text.split())
    assert "Incomplete data sets are taken as they are" in errors
    assert len(names_in(world.work / "unpaired/trainA")) == 5


def test_weights_that_are_given_are_not_trained_and_come_first(  # type: ignore[no-untyped-def]
    world: World, duskbench, trainer: FakeTrainer, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/zero_dce.safetensors").write_text("4")
    code, _, errors = duskbench(*arguments_of(world), "--weights", tmp_path / "mine")
    assert code == 0 and trainer.trained == ["cyclegan"] and "zero_dce is not trained" in errors
    # Another file: measured again.
    (tmp_path / "mine/zero_dce.safetensors").write_text("40")
    assert "[7/7] run (resume)" in duskbench(*arguments_of(world), "--weights", tmp_path / "mine")[2]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--methods", "guidd"), "did you mean guided"),
        (("--methods", "guided,guided"), "named twice"),
        (("--data", "no/such/folder"), "no/such/folder"),
        (("--exdark", "no/such/folder"), "ExDark is not there"),
        (("--voc", "no/such/folder"), "PASCAL VOC's training images are not there"),
        (("--weights", "no/such/folder"), "--weights"),
        (("--cfg-options", "schedul.constant=1"), "did you mean schedule"),
        (("--train", "large"), "large"),
        (("--device", "cuda:99"), "cuda:99"),
        (("--methods", "guided"), "no training configuration"),
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(  # type: ignore[no-untyped-def]
    world: World, duskbench, trainer: FakeTrainer, arguments: tuple[str, ...], text: str, tmp_path: Path
) -> None:
    (tmp_path / "configs/_base_").mkdir()
    (tmp_path / "configs/_base_/training.py").write_text("schedule = dict(constant=1)\n")
    code, _, errors = duskbench(*arguments_of(world), *arguments)
    assert code == 2 and text in " ".join(errors.split()).replace("- ", "-")
    assert "Traceback" not in errors and trainer.calls == []


def test_two_commands_do_not_work_in_one_folder(world: World) -> None:
    pytest.importorskip("fcntl")
    inner: list[str] = []

    def run(_: str, __: Reporter) -> bool:
        with pytest.raises(ConfigError, match="Another duskbench") as error:
            work_through([], world.work)
        inner.append(str(error.value))
        return True

    assert work_through([Step("once", "", dict, (), run)], world.work)
    assert inner and work_through([], world.work)


def _rows(work: Path) -> int:
    try:
        with closing(sqlite3.connect(work / "results/results.sqlite")) as store:
            return int(store.execute("SELECT count(*) FROM results").fetchone()[0])
    except sqlite3.OperationalError:  # not there yet, or without tables
        return 0


@pytest.mark.slow
def test_ctrl_c_in_the_run_and_the_same_command_goes_on(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    (tmp_path / "slow.py").write_text("import time\ndef slow(image):\n    time.sleep(1)\n    return image\n")
    config = _untrained(world, f"['input', '{tmp_path / 'slow.py'}:slow']")
    command = [
        sys.executable, "-m", "duskbench", "table2", "--data", str(world.data), "--work", str(world.work),
        "--config", str(config), "--skip-training", "--allow-missing", "--workers", "1",
    ]  # fmt: skip
    # A process in the background of a script ignores Ctrl-C, and its children with it.
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, earlier)
    try:
        deadline = time.monotonic() + 120
        while _rows(world.work) < 1 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert "takes it up again" in errors and "Traceback" not in errors
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "(done): " in done.stderr and "run (resume)" in done.stderr and "Tiny" in done.stdout


@pytest.mark.slow
def test_a_real_training_from_the_command_line(  # type: ignore[no-untyped-def]
    tmp_path: Path, duskbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DUSKBENCH_WEIGHTS", raising=False)
    world = make_world(tmp_path)
    config = _untrained(world, "['input', 'guided']")
    arguments = (
        "table2", "--data", world.data, "--work", world.work, "--config", config, "--allow-missing",
        "--train", "small", "--methods", "guided", "--cfg-options", "train_dataloader.dataset.crop=32",
        "train_dataloader.batch_size=2", "train_dataloader.num_workers=0",
        "train_dataloader.persistent_workers=False", "schedule.constant=3", "schedule.decay=2",
    )  # fmt: skip
    code, text, _ = duskbench(*arguments, "--dry-run")
    assert code == 0 and "train-guided" in text and not world.work.exists()
    code, text, errors = duskbench(*arguments)
    assert code == 0, errors
    assert "Ours" in text and "3 of 3 images" in " ".join(text.split())
    [folder] = (world.work / "training").iterdir()
    assert (folder / "iter_5.pth").is_file()
    code, again, errors = duskbench(*arguments)
    assert code == 0 and again == text and errors.count("(done)") == 7


def test_the_cost_of_a_step_is_what_its_convolutions_need() -> None:
    from duskbench.benchmarks.reproduce.training_cost import training_cost

    cost = training_cost(ROOT / "configs/training/zero_dce.py", {"train_dataloader.batch_size": 3})
    layers = [(3, 32), (32, 32), (32, 32), (32, 32), (64, 32), (64, 32), (64, 24)]
    forward = sum(2 * 9 * inside * outside * 256 * 256 for inside, outside in layers)
    # Backward, a layer costs its forward pass twice: for its weights and, but for the first, for its input.
    both = 3 * forward - 2 * 9 * 3 * 32 * 256 * 256
    assert cost.gflop == pytest.approx(3 * both / 1e9, rel=0.01)
    assert cost.parameters == sum(9 * inside * outside + outside for inside, outside in layers)
    assert cost.batch_size == 3


@pytest.mark.parametrize(
    ("method", "gflop"),
    [
        # What the same counter says of the official code's step: junyanz/pytorch-CycleGAN-and-pix2pix @ 00d5574.
        ("cyclegan", 1879.0),
        ("enlightengan", None),
        ("guided", None),
    ],
)
def test_every_method_has_configurations_whose_cost_is_known(method: str, gflop: float | None) -> None:
    from duskbench.benchmarks.reproduce.training_cost import training_cost

    cost = training_cost(Training("paper").config_of(method))
    assert cost.gflop > 10 and cost.parameters > 1e6
    assert gflop is None or cost.gflop == pytest.approx(gflop, rel=1e-3)
    assert 0 < training_cost(Training("small").config_of(method)).gflop < cost.gflop


def test_extractors_that_training_needs_are_loaded_before_it() -> None:
    [extractor] = _extractors(("guided", "zero_dce"), Training("paper"))
    assert (extractor["type"], extractor["layer"]) == ("VGG16Features", "conv5_1")
    assert _extractors(("zero_dce",), Training("paper")) == _extractors(("guided",), None) == []


@pytest.mark.parametrize(
    ("exdark_at", "voc_at"),
    [
        ("exdark", "VOCdevkit/VOC2007"),
        ("ExDark", "voc2007/VOCdevkit/VOC2007"),
        (".", "VOCdevkit/VOC2012"),
        (".", "VOC2007"),
        ("exdark", "VOC2012/VOCdevkit/VOC2012"),
    ],
)
def test_layouts_that_are_found(tmp_path: Path, exdark_at: str, voc_at: str) -> None:
    _bare_exdark(tmp_path / exdark_at)
    _bare_voc(tmp_path / voc_at, "trainval")
    found = find_released_data(tmp_path)
    assert found.exdark_root.samefile(tmp_path / exdark_at)
    assert [(tree.root, tree.split) for tree in found.voc] == [(tmp_path / voc_at, "trainval")]


def _bare_exdark(root: Path) -> Path:
    for name in ("ExDark", "ExDark_Annno"):
        (root / name).mkdir(parents=True)
    (root / "imageclasslist.txt").write_text("Name | Class\n")
    return root


def _bare_voc(root: Path, *splits: str) -> Path:
    for name in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (root / name).mkdir(parents=True)
    for split in splits:
        (root / "ImageSets/Main" / f"{split}.txt").write_text("000001\n")
    return root


def test_both_years_are_taken_and_others_that_repeat_them_are_not(tmp_path: Path) -> None:
    _bare_exdark(tmp_path)
    for year in (2012, 2007, 2010):
        _bare_voc(tmp_path / f"VOCdevkit/VOC{year}", "train", "trainval")
    assert [tree.name for tree in find_released_data(tmp_path).voc] == ["VOC2007", "VOC2012"]
    given = find_released_data(tmp_path, voc=[tmp_path / "VOCdevkit/VOC2010"]).voc
    assert [tree.name for tree in given] == ["VOC2010"]


def test_what_is_not_found_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ExDark is not there[\s\S]*exdark[\s\S]*--exdark"):
        find_released_data(tmp_path)
    with pytest.raises(DataError, match="--data is not given"):
        find_released_data(None)
    _bare_exdark(tmp_path / "exdark")
    with pytest.raises(DataError, match=r"VOC's training images[\s\S]*VOCdevkit/VOC2007[\s\S]*--voc"):
        find_released_data(tmp_path)
    assert find_released_data(tmp_path, with_voc=False).voc == ()
    # The test devkit alone has no training images.
    _bare_voc(tmp_path / "VOCdevkit/VOC2007", "test")
    with pytest.raises(DataError, match="training images are not there"):
        find_released_data(tmp_path)
    _bare_voc(tmp_path / "a/VOC2012", "train")
    _bare_voc(tmp_path / "b/VOC2012", "train")
    with pytest.raises(DataError, match=r"twice[\s\S]*VOC2012"):
        find_released_data(tmp_path, voc=[tmp_path / "a", tmp_path / "b"])
    (tmp_path / "exdark/ExDark_Annno").rmdir()
    with pytest.raises(DataError, match="no folder ExDark_Annno"):
        find_released_data(tmp_path)


@pytest.mark.parametrize(
    ("severity", "code", "tolerated", "blocks"),
    [
        ("error", "missing-image", frozenset(), True),
        ("error", "missing-image", INCOMPLETE, False),
        ("warning", "count", frozenset(), True),
        ("warning", "count", INCOMPLETE, False),
        ("error", "unknown-class", INCOMPLETE, True),
        ("error", "unknown-class", ABOUT_BOXES, False),
        ("error", "truncated", INCOMPLETE | ABOUT_BOXES, True),
        ("warning", "box-outside", frozenset(), False),
    ],
)
def test_which_findings_stop(severity: Any, code: str, tolerated: frozenset[str], blocks: bool) -> None:
    report = Report("root", "exdark", [Finding(severity, code, "a.jpg", "what")])
    assert bool(blocking(report, tolerated)) is blocks


@pytest.mark.parametrize(
    ("schedule", "dataset", "batch_size", "steps"),
    [
        # The paper on ExDark and VOC07+12 trainval: 200 epochs of the larger domain.
        ({"unit": "epochs", "constant": 100, "decay": 100}, {}, 1, 200 * 16551),
        ({"unit": "epochs", "constant": 100, "decay": 100}, {"domains": ["A"]}, 1, 200 * 7363),
        ({"unit": "epochs", "constant": 1, "decay": 0}, {}, 4, 4138),
        ({"unit": "steps", "constant": 30, "decay": 10}, {}, 8, 40),
    ],
)
def test_steps_of_a_schedule(schedule: dict[str, Any], dataset: dict[str, Any], batch_size: int, steps: int) -> None:
    settings = {"schedule": schedule, "train_dataloader": {"dataset": dataset}}
    assert steps_of(settings, (7363, 16551), batch_size) == steps


@pytest.mark.parametrize(
    ("options", "same"),
    [
        ({"data_root": "moved"}, True),
        ({"train_dataloader.num_workers": 8}, True),
        ({"train_dataloader.batch_size": 2}, False),
        ({"schedule.decay": 1}, False),
        ({"train_dataloader.dataset.crop": 64}, False),
    ],
)
def test_what_asks_for_another_training(world: World, options: dict[str, Any], same: bool) -> None:
    config = Training().config_of("zero_dce")
    assert (fingerprint_of(settings_of(config, {})) == fingerprint_of(settings_of(config, options))) is same


def test_the_table_has_the_methods_that_were_asked_for(world: World) -> None:
    config = _untrained(world, "['input', 'guided', 'zero_dce', dict(type='cyclegan', label='CG'), 'lime']")
    options = world.options(config=config, methods=("zero_dce",))
    enhancers = benchmark_of(options, find_released_data(world.data)).enhancers
    assert enhancers == ("input", "zero_dce", "lime")
    options = world.options(config=config, methods=METHODS)
    assert len(benchmark_of(options, find_released_data(world.data)).enhancers) == 5


def test_durations_and_sizes() -> None:
    assert [duration(s) for s in (None, 0.2, 44, 120, 9000, 2e7)] == [
        "",
        "under 1 s",
        "44 s",
        "2 min",
        "2.5 h",
        "231 days",
    ]
    assert [size(b) for b in (None, 4096, 2.5e6, 3e9, 4e12)] == ["", "4 kB", "2.5 MB", "3 GB", "4 TB"]
