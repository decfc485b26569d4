"""The one command from released data to Table 2: what is done is not done again, and nothing done is lost."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duskbench.benchmarks.cli.table2 import size
from duskbench.benchmarks.reproduce import training
from duskbench.benchmarks.reproduce.data import ABOUT_BOXES, INCOMPLETE, blocking
from duskbench.benchmarks.reproduce.estimates import TrainingTimes
from duskbench.benchmarks.reproduce.steps import fingerprint_of
from duskbench.benchmarks.reproduce.table2 import METHODS, Table2Options, benchmark_of
from duskbench.benchmarks.reproduce.training import Training
from duskbench.benchmarks.run_plan import RunOptions
from duskbench.data_tools import exdark, voc
from duskbench.data_tools.errors import TrainingError
from duskbench.data_tools.files import only_one
from duskbench.data_tools.findings import Finding, Report
from duskbench.data_tools.images import write_image
from duskbench.data_tools.released import find_released_data
from duskbench.pipeline.training import enhancer
from tests.benchmarks.conftest import COLOURS, PLUGINS, make_bench

ROOT = Path(__file__).resolve().parents[2]
Command = Callable[..., tuple[int, str, str]]
_FOLDERS = {"car": ("Car", 5), "person": ("People", 11), "dog": ("Dog", 9)}

# Brightens by what its weight file says, which it finds as the trained enhancers find theirs.
WEIGHED = """
import hashlib
import os
from pathlib import Path
import numpy as np
from duskbench import Enhancer
from duskbench.data_tools.errors import WeightsError

class Weighed(Enhancer):
    def __init__(self, name="zero_dce"):
        super().__init__()
        folders = os.environ["DUSKBENCH_WEIGHTS"].split(os.pathsep)
        found = [file for f in folders if (file := Path(f, f"{name}.safetensors")).is_file()]
        if not found:
            raise WeightsError("Not trained yet.")
        self.gain = float(found[0].read_text())
        self.weights = {name: hashlib.sha256(found[0].read_bytes()).hexdigest()}
    def enhance(self, image_rgb, image_id):
        return np.clip(image_rgb * self.gain, 0, 255).astype(np.uint8)
"""


@dataclass
class World:
    """Released data of a few images, a benchmark's configuration, and a work folder that does not exist yet."""

    data: Path
    config: Path
    work: Path
    pictures: list[Path]

    @property
    def arguments(self) -> tuple[object, ...]:
        """The command that the tests repeat."""
        shared = ("table2", "--data", self.data, "--work", self.work, "--config", self.config)
        return (*shared, "--methods", "zero_dce,cyclegan")

    def without_training(self, enhancers: str = "['input']") -> tuple[object, ...]:
        """The same, with other enhancers and nothing to train."""
        path = self.config.with_name("untrained.py")
        lines = self.config.read_text().splitlines()
        path.write_text("\n".join(f"enhancers = {enhancers}" if line.startswith("enh") else line for line in lines))
        return ("table2", "--data", self.data, "--work", self.work, "--config", path, "--skip-training")


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
    monkeypatch.setattr(training, "config_root", lambda: tmp_path / "configs")
    return make_world(tmp_path)


@dataclass
class FakeTrainer:
    """Leaves a checkpoint, and a weight file that says what it learned; may be interrupted in the middle."""

    gain: float = 3.0
    stops: dict[str, BaseException] = field(default_factory=dict)
    calls: list[tuple[str, Path, bool]] = field(default_factory=list)

    def train(self, config: Path, *, work_dir: Path, resume: bool, cfg_options: Mapping[str, Any]) -> Path:
        """Note the call (method, folder, whether it goes on with a checkpoint) and pretend."""
        method, folder = config.stem, work_dir
        assert resume and (Path(cfg_options["data_root"]) / "trainA").is_dir()
        self.calls.append((method, folder, (folder / "iter_5.pth").is_file()))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "iter_5.pth").write_text("half")
        if method in self.stops:
            raise self.stops.pop(method)
        (folder / "iter_10.pth").write_text(str(self.gain))
        return folder / "iter_10.pth"

    def export(self, checkpoint: Path, path: Path) -> Path:
        """Write the weights."""
        path.write_text(checkpoint.read_text())
        return path

    @property
    def trained(self) -> list[str]:
        return [call[0] for call in self.calls]


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> FakeTrainer:
    """Stands for the project's own training; a step takes 3.6 s."""
    fake = FakeTrainer()
    times = TrainingTimes(step=3.6, enhance_pixel=0.0, parameters=10**6, batch_size=1)
    monkeypatch.setattr(training, "time_training", lambda config, cfg_options: times)
    monkeypatch.setattr(enhancer, "train", fake.train)
    monkeypatch.setattr(enhancer, "export", fake.export)
    return fake


def states_in(errors: str) -> dict[str, str]:
    """Step -> state, as the command reports them."""
    return dict(re.findall(r"^\[\d+/\d+\] (\S+) \(([^)]*)\)", errors, re.MULTILINE))


def ran(errors: str) -> list[str]:
    return [name for name, state in states_in(errors).items() if state != "done"]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def tree_state(root: Path) -> dict[str, tuple[int, int]]:
    """Time and size of every file but the lock, which every call takes."""
    return {
        path.relative_to(root).as_posix(): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in sorted(root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path.name != ".lock"
    }


ALL_STEPS = [
    "verify-ExDark", "verify-VOC2007", "check-weights", "unpaired", "train-zero_dce", "train-cyclegan", "run",
]  # fmt: skip


def test_from_released_data_to_the_table_and_then_nothing_is_left_to_do(
    world: World, duskbench: Command, trainer: FakeTrainer
) -> None:
    code, text, errors = duskbench(*world.arguments)
    assert code == 0 and ran(errors) == ALL_STEPS and "Tiny" in text and "Trained" in text
    assert trainer.trained == ["zero_dce", "cyclegan"]
    assert len(names_in(world.work / "unpaired/trainA")) == 6
    assert all(name.startswith("VOC2007@") for name in names_in(world.work / "unpaired/trainB"))
    assert names_in(world.work / "weights") == ["cyclegan.safetensors", "zero_dce.safetensors"]
    assert "Trained" in (world.work / "results/table.md").read_text()
    assert "DUSKBENCH_WEIGHTS" not in os.environ

    before = tree_state(world.work)
    code, again, errors = duskbench(*world.arguments)
    assert (code, again) == (0, text) and "All 7 steps are done already" in errors and states_in(errors) == {}
    assert tree_state(world.work) == before and len(trainer.calls) == 2


@pytest.mark.slow
def test_changed_data_is_noticed(world: World, duskbench: Command, trainer: FakeTrainer) -> None:
    duskbench(*world.arguments)
    # Copied: verified again, but the same pictures are not trained on again.
    os.utime(world.pictures[4], (1, 1))
    code, text, _ = duskbench(*world.arguments, "--dry-run")
    said = " ".join(text.split())
    assert code == 0 and [said.count(each) for each in ("done, unless", "72 min", "36 MB", "2.4 h")] == [4, 2, 2, 1]
    assert ran(duskbench(*world.arguments)[2]) == ["verify-ExDark", "unpaired", "run"]
    assert len(trainer.calls) == 2
    # Another picture: trained on again, and the old weights stay.
    original = world.pictures[4].read_bytes()
    write_image(world.pictures[4], np.full((100, 110, 3), 7, np.uint8))
    trainer.gain = 5.0
    assert {"train-zero_dce", "run"} <= set(ran(duskbench(*world.arguments)[2]))
    first, second = trainer.calls[0][1], trainer.calls[2][1]
    assert first != second and (first / "zero_dce.safetensors").read_text() == "3.0"
    assert (world.work / "weights/zero_dce.safetensors").read_text() == "5.0"
    # Back to what it was: that training goes on in its folder, it does not begin anew.
    world.pictures[4].write_bytes(original)
    duskbench(*world.arguments)
    assert trainer.calls[4] == ("zero_dce", first, True)


@pytest.mark.slow
def test_lost_and_changed_outputs_are_made_again(world: World, duskbench: Command, trainer: FakeTrainer) -> None:
    duskbench(*world.arguments)
    (world.work / "unpaired/trainA/ExDark@2015_00003.png").unlink()
    (world.work / "weights/zero_dce.safetensors").write_text("9")
    (world.work / "verified/ExDark.json").unlink()
    record = world.work / "steps/verify-VOC2007.json"
    record.write_text(record.read_text()[:40])
    errors = duskbench(*world.arguments)[2]
    assert ran(errors) == ["verify-ExDark", "verify-VOC2007", "unpaired", "train-zero_dce", "run"]
    assert (world.work / "weights/zero_dce.safetensors").read_text() == "3.0"
    for path in (world.work / "results").glob("results.sqlite*"):
        path.unlink()
    assert ran(duskbench(*world.arguments)[2]) == ["run"]


@pytest.mark.parametrize(
    ("options", "same"),
    [
        ({"data_root": "moved"}, True),
        ({"train_dataloader.num_workers": 8}, True),
        ({"train_dataloader.timeout": 60}, True),
        ({"custom_hooks": [{"type": "LossGuard"}, {"type": "ProfilerHook"}]}, True),
        ({"custom_hooks": [{"type": "StartFrom", "weights": "a.safetensors"}]}, False),
        ({"ema": 0.9}, False),
        ({"train_dataloader.batch_size": 2}, False),
        ({"schedule.decay": 1}, False),
        ({"train_dataloader.dataset.crop": 64}, False),
    ],
)
def test_settings_that_ask_for_another_training(world: World, options: dict[str, Any], same: bool) -> None:
    plain, other = (Training(cfg_options=each).settings_of("zero_dce") for each in ({}, options))
    assert (fingerprint_of(plain) == fingerprint_of(other)) is same


@pytest.mark.slow
def test_ctrl_c_in_a_training_and_the_same_command_goes_on(
    world: World, duskbench: Command, trainer: FakeTrainer
) -> None:
    trainer.stops = {"cyclegan": KeyboardInterrupt()}
    code, _, errors = duskbench(*world.arguments)
    assert code == 130 and "Traceback" not in errors
    code, text, errors = duskbench(*world.arguments)
    assert code == 0 and "Tiny" in text
    assert [states_in(errors)[f"train-{method}"] for method in ("zero_dce", "cyclegan")] == ["done", "started"]
    assert trainer.trained == ["zero_dce", "cyclegan", "cyclegan"]
    assert trainer.calls[1][1] == trainer.calls[2][1] and trainer.calls[2][2]


def test_a_step_that_fails_stops_the_command_and_loses_nothing(
    world: World, duskbench: Command, trainer: FakeTrainer
) -> None:
    trainer.stops = {"zero_dce": TrainingError("The loss ran away.", got="nan")}
    code, text, errors = duskbench(*world.arguments)
    assert code == 2 and "The loss ran away." in errors and "Traceback" not in errors
    assert text == "" and not (world.work / "results").exists()
    code, text, errors = duskbench(*world.arguments)
    assert code == 0 and "Tiny" in text and ran(errors) == ALL_STEPS[4:]


@pytest.mark.slow
def test_images_that_fail_make_the_exit_code_1_and_are_tried_again(world: World, duskbench: Command) -> None:
    arguments = world.without_training(f"['input', '{PLUGINS}:FailsOnDark']")
    for tried in (["verify-ExDark", "check-weights", "run"], ["run"]):
        code, text, errors = duskbench(*arguments)
        assert code == 1 and "Tiny" in text and "too dark for me" in errors and ran(errors) == tried


def test_the_dry_run_touches_nothing(world: World, duskbench: Command, tmp_path: Path) -> None:
    arguments = world.without_training()
    before = tree_state(tmp_path)
    code, text, errors = duskbench(*arguments, "--dry-run")
    assert (code, errors) == (0, "")
    assert tree_state(tmp_path) == before and not world.work.exists()
    assert [text.count(word) for word in ("verify-ExDark", "to do", "unpaired", "verify-VOC")] == [1, 3 + 1, 0, 0]
    assert "estimates" in text and "kB" in text

    assert duskbench(*arguments)[0] == 0
    before = tree_state(tmp_path)
    code, text, _ = duskbench(*arguments, "--dry-run")
    assert code == 0 and text.count("done") == 3 and text.count("to do") == 1, "only in `all that is to do`"
    assert tree_state(tmp_path) == before


def test_the_dry_run_estimates_with_every_key_of_the_data(world: World, duskbench: Command) -> None:
    for picture in world.pictures:
        write_image(world.data / "exdark" / "lit" / picture.name, np.full((100, 110, 3), 200, np.uint8))
    arguments = world.without_training()
    config = world.config.with_name("untrained.py")
    config.write_text(config.read_text().replace('split="test"', 'split="test", reference="lit"'))
    code, text, errors = duskbench(*arguments, "--dry-run")
    assert (code, errors) == (0, "") and "estimates" in text


def test_wrong_data_stops_before_anything_is_trained(world: World, duskbench: Command, trainer: FakeTrainer) -> None:
    (world.data / "exdark/ExDark_Annno/Car/2015_00003.png.txt").write_text("% bbGt version=3\nCra 1 1 5 5\n")
    code, _, errors = duskbench(*world.arguments)
    assert code == 2 and "unknown-class" in errors and "--allow-missing" not in errors
    assert trainer.calls == [] and json.loads((world.work / "verified/ExDark.json").read_text())["ok"] is False
    assert duskbench(*world.arguments, "--allow-missing")[0] == 2


@pytest.mark.slow
def test_an_incomplete_set_is_an_error_unless_it_is_meant(
    world: World, duskbench: Command, trainer: FakeTrainer
) -> None:
    world.pictures[0].unlink()
    code, _, errors = duskbench(*world.arguments)
    assert code == 2 and "missing-image" in errors and "--allow-missing" in errors and trainer.calls == []
    code, text, errors = duskbench(*world.arguments, "--allow-missing")
    assert code == 0 and "2 of 3 images" in " ".join(text.split())
    assert "Incomplete data sets are taken as they are" in errors
    assert len(names_in(world.work / "unpaired/trainA")) == 5


@pytest.mark.slow
def test_weights_that_are_given_are_not_trained_and_come_first(
    world: World, duskbench: Command, trainer: FakeTrainer, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/zero_dce.safetensors").write_text("4")
    code, _, errors = duskbench(*world.arguments, "--weights", tmp_path / "mine")
    assert code == 0 and trainer.trained == ["cyclegan"] and "zero_dce is not trained" in errors
    # Another file: measured again, though weights were trained once as well.
    (world.work / "weights/zero_dce.safetensors").write_text("4")
    (tmp_path / "mine/zero_dce.safetensors").write_text("40")
    code, _, errors = duskbench(*world.arguments, "--weights", tmp_path / "mine")
    assert code == 0 and ran(errors) == ["run"] and "3 of 6 rows are there already" in errors
    code, _, errors = duskbench(*world.arguments, "--weights", tmp_path / "mine")
    assert code == 0 and "nothing is to do" in errors


@pytest.mark.slow
def test_weights_that_training_needs_are_loaded_before_it(
    world: World, duskbench: Command, trainer: FakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUSKBENCH_OFFLINE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "configs/training/cyclegan.py"
    path.write_text(path.read_text() + "model['features'] = dict(type='VGG16Features', layer='conv5_1')\n")
    code, _, errors = duskbench(*world.arguments)
    assert code == 2 and "vgg16" in errors and trainer.calls == [] and not (world.work / "unpaired").exists()
    assert Training("paper").extractors_of(["zero_dce"]) == []


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
def test_wrong_usage_is_an_error(
    world: World, duskbench: Command, trainer: FakeTrainer, arguments: tuple[str, ...], text: str, tmp_path: Path
) -> None:
    (tmp_path / "configs/_base_").mkdir()
    (tmp_path / "configs/_base_/training.py").write_text("schedule = dict(constant=1)\n")
    code, _, errors = duskbench(*world.arguments, *arguments)
    assert code == 2 and text in " ".join(errors.split()).replace("- ", "-")
    assert "Traceback" not in errors and trainer.calls == []


def test_two_commands_in_one_folder_are_refused(world: World, duskbench: Command) -> None:
    world.work.mkdir()
    with only_one(world.work, "work folder"):
        code, _, errors = duskbench(*world.without_training())
    assert code == 2 and f"process {os.getpid()} on" in " ".join(errors.split())
    assert duskbench(*world.without_training())[0] == 0


def _rows(work: Path) -> int:
    try:
        with closing(sqlite3.connect(work / "results/results.sqlite")) as store:
            return int(store.execute("SELECT count(*) FROM results").fetchone()[0])
    except sqlite3.OperationalError:  # not there yet, or without tables
        return 0


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_stopped_in_the_run_and_the_same_command_goes_on(tmp_path: Path, sent: signal.Signals, code: int) -> None:
    world = make_world(tmp_path)
    (tmp_path / "slow.py").write_text("import time\ndef slow(image):\n    time.sleep(1)\n    return image\n")
    options = ("--allow-missing", "--workers", "1")
    arguments = (*world.without_training(f"['input', '{tmp_path / 'slow.py'}:slow']"), *options)
    command = [sys.executable, "-m", "duskbench", *map(str, arguments)]
    # A process in the background of a script ignores Ctrl-C, and its children with it.
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, earlier)
    try:
        deadline = time.monotonic() + 120
        while _rows(world.work) < 1 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(sent)
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == code and "Traceback" not in errors, errors
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert states_in(done.stderr) == {"verify-ExDark": "done", "check-weights": "done", "run": "started"}
    assert "rows are there already" in done.stderr and "Tiny" in done.stdout


@pytest.mark.slow
def test_a_real_training_from_the_command_line(
    tmp_path: Path, duskbench: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DUSKBENCH_WEIGHTS", raising=False)
    world = make_world(tmp_path)
    arguments = (
        *world.without_training("['input', 'guided']")[:-1], "--allow-missing",
        "--train", "small", "--methods", "guided", "--cfg-options", "train_dataloader.dataset.crop=32",
        "train_dataloader.batch_size=2", "train_dataloader.num_workers=0",
        "train_dataloader.persistent_workers=False", "schedule.constant=3", "schedule.decay=2",
    )  # fmt: skip
    code, text, _ = duskbench(*arguments, "--dry-run")
    assert code == 0 and not world.work.exists()
    [row] = [line for line in text.splitlines() if "train-guided" in line]
    assert re.search(r"\d+ s|min", row) and "MB" in row
    code, text, errors = duskbench(*arguments)
    assert code == 0, errors
    assert "Ours" in text and "3 of 3 images" in " ".join(text.split())
    [folder] = (world.work / "training").iterdir()
    assert (folder / "iter_5.pth").is_file()
    code, again, errors = duskbench(*arguments)
    assert code == 0 and again == text and "All 6 steps are done already" in errors


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


def test_the_table_has_the_methods_that_were_asked_for(world: World) -> None:
    world.without_training("['input', 'guided', 'zero_dce', dict(type='cyclegan', label='CG'), 'lime']")
    config, data = world.config.with_name("untrained.py"), find_released_data(world.data)
    options = Table2Options(world.work, RunOptions(world.work / "results"), config=config, methods=("zero_dce",))
    assert benchmark_of(options, data).enhancers == ("input", "zero_dce", "lime")
    assert len(benchmark_of(replace(options, methods=METHODS), data).enhancers) == 5


def test_sizes() -> None:
    assert [size(b) for b in (0, 4096, 2.5e6, 3e9, 4e12)] == ["", "4 kB", "2.5 MB", "3 GB", "4 TB"]
