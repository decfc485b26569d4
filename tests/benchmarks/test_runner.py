"""A run from configuration to rows: once, resumed, killed, with failures."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks import images, tracking
from duskbench.benchmarks.cli.table import print_run
from duskbench.benchmarks.config import BenchmarkConfig, load_benchmark_config
from duskbench.benchmarks.kept_pictures import folder_name
from duskbench.benchmarks.run_plan import RunOptions
from duskbench.benchmarks.runner import RunSummary, run
from duskbench.data_tools import file_states
from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.images import read_image, write_image
from duskbench.data_tools.records import Dataset, ImageRecord, ObjectAnnotation
from tests.benchmarks.conftest import PLUGINS, Bench, make_bench, stored_rows
from tests.benchmarks.fabricate import results_of

ROOT = Path(__file__).resolve().parents[2]


def configure(bench: Bench, **overrides: object) -> BenchmarkConfig:
    return load_benchmark_config(bench.config, overrides={k.replace("__", "."): v for k, v in overrides.items()})


def test_numbers_are_what_the_scene_says(bench: Bench, tmp_path: Path) -> None:
    summary = run(configure(bench), RunOptions(tmp_path / "out"))
    assert (summary.total, summary.measured, summary.ok) == (12, 12, True)
    found = results_of(tmp_path / "out")
    # Dark images hide their rectangle from the detector; brightening brings it back. Cars: 1 (lit) and 4 (dark).
    assert found["Brighten"].number("map") == 1.0
    assert found["Input"].number("map") == pytest.approx(np.mean([6 / 11, 6 / 11, 6 / 11]))
    assert {name: one.value for name, one in found["Input"].spread.classes["map"].items()} == {
        "car": pytest.approx(6 / 11),
        "person": pytest.approx(6 / 11),
        "dog": pytest.approx(6 / 11),
    }
    assert found["Input"].n_images == 6
    assert found["Input"].number("niqe") is not None


@pytest.mark.slow
def test_workers_and_batches_change_no_number(bench: Bench, tmp_path: Path) -> None:
    # A network whose convolutions torch would choose by the size of the batch.
    config = configure(bench, detector="rfb_miniature", enhancers=["input", "gamma", "he"])
    run(config, RunOptions(tmp_path / "one", workers=1, batch_size=1))
    run(config, RunOptions(tmp_path / "own", workers=1))
    run(config, RunOptions(tmp_path / "many", workers=2, batch_size=3))
    rows = stored_rows(tmp_path / "one")
    assert len(rows) == 18 and sum(len(scores) > 0 for *_, [(_, scores, _, _)] in rows) > 9
    assert rows == stored_rows(tmp_path / "own") == stored_rows(tmp_path / "many")


def test_a_folder_with_one_picture_for_two_images_is_broken(bench: Bench, tmp_path: Path) -> None:
    for number, (image_id, folder) in enumerate(zip(bench.ids, "xxxyyy", strict=True)):
        for path in (bench.root / "JPEGImages" / f"{image_id}.png", bench.root / "Annotations" / f"{image_id}.xml"):
            path.parent.joinpath(folder).mkdir(exist_ok=True)
            path.rename(path.parent / folder / f"{number % 3}{path.suffix}")
    (bench.root / "ImageSets/Main/test.txt").write_text("".join(f"{x}/{n}\n" for x in "xy" for n in range(3)))
    shutil.copytree(bench.root / "JPEGImages/x", tmp_path / "flat")
    shutil.copytree(bench.root / "JPEGImages", tmp_path / "nested")
    config = configure(bench, enhancers=[f"dir:{tmp_path}/{name}" for name in ("flat", "nested")], metrics=[])
    summary = run(config, RunOptions(tmp_path / "out", workers=1))
    [broken] = summary.broken
    assert broken.label == f"dir:{tmp_path}/flat" and "x/0 has 0.png" in str(broken.error)
    assert results_of(tmp_path / "out")[f"dir:{tmp_path}/nested"].n_images == 6


def test_second_run_measures_nothing(bench: Bench, tmp_path: Path) -> None:
    run(configure(bench), RunOptions(tmp_path / "out"))
    again = run(configure(bench), RunOptions(tmp_path / "out"))
    assert (again.reused, again.measured) == (12, 0)


def test_a_run_s_table_is_its_own_though_another_ends_in_the_same_folder(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It printed the table of the other one."""
    out = tmp_path / "out"
    tracked: list[object] = []
    first = run(configure(bench, enhancers=["input"]), RunOptions(out))
    second = run(configure(bench, enhancers=["gamma", "he"]), RunOptions(out))
    table = print_run(first, out)
    assert [row.label for row in table.rows] == ["Input"]
    assert "| Input |" in (out / "table.md").read_text() and "Gamma" not in (out / "table.md").read_text()
    monkeypatch.setattr(tracking, "track", lambda *given, **_: tracked.append(given[2]))
    tracking.track_run("tensorboard", out, table, first.record)
    assert tracked == [first.record]
    assert [row.label for row in print_run(second, out).rows] == ["Gamma", "HE"]


def test_changed_image_and_changed_arguments_are_measured_again(bench: Bench, tmp_path: Path) -> None:
    options = RunOptions(tmp_path / "out")
    run(configure(bench), options)
    first = bench.root / "JPEGImages" / f"{bench.ids[0]}.png"
    write_image(first, 255 - read_image(first))
    assert run(configure(bench), options).measured == 2
    changed = configure(bench, enhancers=["input", f"{PLUGINS}:brighten(gain=3.0)"])
    assert run(changed, options).measured == 6


def test_an_image_of_the_same_size_and_time_is_measured_again(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Archives and copies keep times. What was not touched is not read again."""
    read: list[str] = []

    def reading(path: Path) -> str:
        read.append(path.stem)
        return file_sha256(path)

    monkeypatch.setattr(images, "file_sha256", reading)
    options, path = RunOptions(tmp_path / "out"), bench.root / "JPEGImages" / f"{bench.ids[0]}.png"
    _end_with(path, b"a")
    run(configure(bench), options)
    run(configure(bench), options)
    assert read == bench.ids
    _end_with(path, b"b")
    assert run(configure(bench), options).measured == 2
    assert read == [*bench.ids, bench.ids[0]]


def _end_with(png: Path, byte: bytes) -> None:
    """Change a file and neither its size, if it was changed so before, nor its time nor its picture."""
    content = png.read_bytes()
    png.write_bytes(content[: content.rindex(b"IEND") + 8] + byte)
    os.utime(png, (1, 1))


def test_what_was_wrongly_taken_for_unchanged_is_read_again_by_the_next_start(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a disk that does not tell: an image, and a picture of an enhancer that was described before."""
    for module in (images, file_states):
        monkeypatch.setattr(module, "stamp", lambda state: 1)
    made = tmp_path / "made"
    for image_id in bench.ids:
        write_image(made / f"{image_id}.bmp", read_image(bench.root / "JPEGImages" / f"{image_id}.png"))
    folder = {"type": "dir", "path": str(made), "label": "Made"}
    _end_with(bench.root / "JPEGImages" / f"{bench.ids[0]}.png", b"a")
    # The first, third and fifth.
    assert run(configure(bench, enhancers=[folder]), RunOptions(tmp_path / "out", limit=3)).measured == 3
    _end_with(bench.root / "JPEGImages" / f"{bench.ids[0]}.png", b"b")
    write_image(made / f"{bench.ids[0]}.bmp", read_image(made / f"{bench.ids[0]}.bmp") // 2)
    config = configure(bench, enhancers=[folder, "input"])
    failed = run(config, RunOptions(tmp_path / "out"))
    expected = {("Input", bench.ids[0]), *(("Made", bench.ids[number]) for number in (1, 3, 5))}
    assert {(label, image) for label, image, _ in failed.failures} == expected
    assert all("is not what it was when the run began" in reason for _, _, reason in failed.failures)
    again = run(config, RunOptions(tmp_path / "out"))
    # All pictures of the folder, which is another enhancer now, and the image that failed.
    assert (again.ok, again.measured) == (True, 6 + 1)


@pytest.mark.slow
def test_failures_are_rows_and_are_tried_again(bench: Bench, tmp_path: Path) -> None:
    names = ["input", f"{PLUGINS}:wrong_size", f"{PLUGINS}:as_float", f"{PLUGINS}:FailsOnDark"]
    config = configure(bench, enhancers=names)
    summary = run(config, RunOptions(tmp_path / "out"))
    assert not summary.ok
    assert len(summary.failures) == 6 + 6 + 3
    reasons = {label: reason for label, _, reason in summary.failures}
    assert "(200, 220, 3) uint8" in reasons["wrong_size"] and "(199, 220, 3)" in reasons["wrong_size"]
    assert "float64" in reasons["as_float"]
    assert "RuntimeError: too dark for me" in reasons["FailsOnDark"] and "plugins.py:47" in reasons["FailsOnDark"]
    found = results_of(tmp_path / "out")
    assert (found["Input"].n_images, found["FailsOnDark"].n_images, len(found["FailsOnDark"].failures)) == (6, 3, 3)
    assert run(config, RunOptions(tmp_path / "out")).measured == 15


def test_truncated_image_fails_alone(bench: Bench, tmp_path: Path) -> None:
    path = bench.root / "JPEGImages" / f"{bench.ids[2]}.png"
    path.write_bytes(path.read_bytes()[:2000])
    summary = run(configure(bench), RunOptions(tmp_path / "out"))
    assert {(label, image_id) for label, image_id, _ in summary.failures} == {
        ("Input", bench.ids[2]),
        ("Brighten", bench.ids[2]),
    }


def test_missing_images_are_told_and_may_be_allowed(bench: Bench, tmp_path: Path) -> None:
    (bench.root / "JPEGImages" / f"{bench.ids[0]}.png").unlink()
    summary = run(configure(bench), RunOptions(tmp_path / "out"))
    assert (summary.missing, summary.measured, summary.ok) == ([bench.ids[0]], 10, False)
    assert run(configure(bench, data__allow_missing=True), RunOptions(tmp_path / "out")).ok


def test_no_image_at_all_is_an_error(bench: Bench, tmp_path: Path) -> None:
    shutil.rmtree(bench.root / "JPEGImages")
    with pytest.raises(DataError, match="no image to measure"):
        run(configure(bench), RunOptions(tmp_path / "out"))


def test_limit_takes_an_even_share(bench: Bench, tmp_path: Path) -> None:
    run(configure(bench), RunOptions(tmp_path / "out", limit=3))
    assert {row[0] for row in stored_rows(tmp_path / "out")} == {bench.ids[0], bench.ids[2], bench.ids[4]}
    for image_id in bench.ids[:2]:
        (bench.root / "JPEGImages" / f"{image_id}.png").unlink()
    limited, whole = (run(configure(bench), RunOptions(tmp_path / f"{limit}", limit=limit)) for limit in (3, 4))
    assert (limited.measured, limited.missing) == (6, [])
    # It leaves out no image that is there: those that are not are missing, as without a limit.
    assert (whole.measured, whole.missing) == (8, bench.ids[:2])


class _Reader(Dataset):
    """A user's, which says nothing of images without an object."""

    def image_path(self, image_id: str) -> Path:
        return self.root / f"{image_id}.png"

    def annotation(self, image_id: str) -> ImageRecord:
        objects = (ObjectAnnotation("car", (0, 0, 2, 2)),) if image_id == "a" else None
        return ImageRecord(image_id, self.image_path(image_id), objects)


def test_a_reader_that_says_nothing_of_some_images_is_told(tmp_path: Path) -> None:
    for name in "ab":
        write_image(tmp_path / f"{name}.png", np.zeros((4, 4, 3), np.uint8))
    for ids in ("a", "b", "ac"):
        assert len(images.read_images(_Reader(tmp_path, ids), {})) == len(ids)
    with pytest.raises(DataError, match=r"(?s)no annotation, and others have one.*None for 1 of 2 images: b"):
        images.read_images(_Reader(tmp_path, "ab"), {})


def test_groups_of_a_plain_folder(tmp_path: Path) -> None:
    for name, level in (("DICM/a", 10), ("DICM/b", 20), ("MEF/c", 30), ("other/d", 40)):
        write_image(tmp_path / "data" / f"{name}.png", np.full((40, 30, 3), level, np.uint8))
    options = [f"data.groups={groups}" for groups in ("DICM,MEF", "DICM,NPE")]
    configs = [
        load_benchmark_config(
            "table1", cfg_options=[option], overrides={"data.root": str(tmp_path / "data"), "enhancers": ["input"]}
        )
        for option in options
    ]
    assert run(configs[0], RunOptions(tmp_path / "out")).ok
    [found] = results_of(tmp_path / "out").values()
    assert (found.n_images, found.spread.scores) == (3, {})
    assert sum(found.reasons["niqe"].values()) == 3
    with pytest.raises(ConfigError, match=r"(?s)none in NPE; there are DICM, MEF, other.*data\.groups=DICM$"):
        run(configs[1], RunOptions(tmp_path / "out"))


def test_cup_images_may_be_dropped(tmp_path: Path) -> None:
    from duskbench.data_tools.convert import exdark_to_voc
    from duskbench.data_tools.miniature import make_miniature

    make_miniature(tmp_path / "mini", voc_images=0, night_images=(0, 0, 12), size=(160, 120), workers=1)
    config = load_benchmark_config(
        "miniature", overrides={"data.root": str(tmp_path / "mini"), "enhancers": ["input"], "detector": "none"}
    )
    assert run(config, RunOptions(tmp_path / "keep")).total == 12
    dropped = load_benchmark_config(
        "miniature",
        cfg_options=["protocol.cup_images=drop"],
        overrides={"data.root": str(tmp_path / "mini"), "enhancers": ["input"], "detector": "none"},
    )
    assert run(dropped, RunOptions(tmp_path / "drop")).total == 11
    # Converted, the set has no folders by class; the table would say "drop" over images that stayed.
    exdark_to_voc(tmp_path / "mini", tmp_path / "voc")
    with pytest.raises(ConfigError, match="no images in a folder Cup"):
        run(replace(dropped, data={"root": str(tmp_path / "voc"), "split": "test"}), RunOptions(tmp_path / "voc_drop"))


def test_images_are_saved(bench: Bench, tmp_path: Path) -> None:
    left = tmp_path / "out/images/Brighten/.a.png.4194305.140000000000000"
    left.parent.mkdir(parents=True)
    left.touch()
    run(configure(bench), RunOptions(tmp_path / "out", save_images=True))
    assert not left.exists()  # of a process that was killed
    original = read_image(bench.root / "JPEGImages" / f"{bench.ids[1]}.png")
    saved = read_image(tmp_path / "out" / "images" / "Brighten" / f"{bench.ids[1]}.png")
    assert np.array_equal(saved, np.clip(np.rint(original * 2.5), 0, 255))


def test_saved_images_are_those_of_the_rows(bench: Bench, tmp_path: Path) -> None:
    """Whatever was measured before, with or without them."""
    out = tmp_path / "out"
    path = out / "images" / "Brighten" / f"{bench.ids[1]}.png"
    original = read_image(bench.root / "JPEGImages" / path.name)

    def run_with(gain: float, **options: bool) -> RunSummary:
        spec = {"type": f"{PLUGINS}:brighten", "gain": gain, "label": "Brighten"}
        return run(configure(bench, enhancers=["input", spec]), RunOptions(out, **options))

    run_with(2.5)
    assert not path.exists()
    # The rows of 2.5 are there already; its pictures have to be made, and made again.
    for gain, measured in ((2.5, 12), (1.5, 6), (2.5, 6)):
        assert run_with(gain, save_images=True).measured == measured
        assert np.array_equal(read_image(path), np.clip(np.rint(original * gain), 0, 255))
        assert run_with(gain, save_images=True).measured == 0


def test_rows_that_are_the_same_enhancer_fail_alike_and_are_measured_once(bench: Bench, tmp_path: Path) -> None:
    spec = {"type": f"{PLUGINS}:FailsOnDark"}
    both = [{**spec, "label": "A"}, {**spec, "label": "B" * 300}]
    summary = run(configure(bench, enhancers=both), RunOptions(tmp_path / "out", save_images=True))
    assert (summary.total, summary.measured, summary.lost) == (6, 6, 0)
    dark = [bench.ids[number] for number in (1, 3, 5)]
    assert [(label, i) for label, i, _ in summary.failures] == [(each["label"], i) for i in dark for each in both]
    saved = sorted(path.stem for path in (tmp_path / "out" / "images").glob("*/*.png"))
    assert saved == sorted(2 * [bench.ids[number] for number in (0, 2, 4)])


def test_saved_images_can_be_run_as_an_enhancer(bench: Bench, tmp_path: Path) -> None:
    run(configure(bench), RunOptions(tmp_path / "out", save_images=True))
    run(configure(bench, enhancers=[f"dir:{tmp_path}/out/images/Brighten"]), RunOptions(tmp_path / "again"))
    first, again = results_of(tmp_path / "out")["Brighten"], next(iter(results_of(tmp_path / "again").values()))
    assert first.spread == again.spread


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_plug_in_that_dies_costs_one_image(tmp_path: Path, workers: int) -> None:
    bench = make_bench(tmp_path, n=6)
    path = bench.root / "JPEGImages" / f"{bench.ids[3]}.png"
    image = read_image(path).copy()
    image[0, 0] = 255
    write_image(path, image)
    config = configure(bench, enhancers=[f"{PLUGINS}:kills_its_process"])
    summary = run(config, RunOptions(tmp_path / "out", workers=workers))
    assert [(image_id, "signal 9" in reason) for _, image_id, reason in summary.failures] == [(bench.ids[3], True)]
    assert summary.measured == 6


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_run_is_resumed(tmp_path: Path, workers: int) -> None:
    bench = make_bench(tmp_path, n=12)
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "duskbench",
        "run",
        str(bench.config),
        "--out",
        str(out),
        "--workers",
        str(workers),
    ]
    command += ["--enhancer", f"{PLUGINS}:slow"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 90
    while not (out / "results.sqlite").exists() or len(_rows_or_none(out)) < 3:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(0.5)
    kept = len(stored_rows(out))
    assert 3 <= kept < 12
    summary: RunSummary = run(configure(bench, enhancers=[f"{PLUGINS}:slow"]), RunOptions(out))
    assert (summary.reused, summary.measured) == (kept, 12 - kept)
    run(configure(bench, enhancers=[f"{PLUGINS}:slow"]), RunOptions(tmp_path / "fresh"))
    assert stored_rows(out) == stored_rows(tmp_path / "fresh")


@pytest.mark.slow
def test_ctrl_c_keeps_the_rows_and_says_so(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, n=30)
    out = tmp_path / "out"
    # A shell that starts the tests in the background has its children ignore Ctrl-C.
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    start += "from duskbench.benchmarks.cli import main; main()"
    command = [sys.executable, "-c", start, "run", str(bench.config), "--out", str(out), "--workers", "1"]
    process = subprocess.Popen(
        [*command, "--enhancer", f"{PLUGINS}:slow"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 90
    while not (out / "results.sqlite").exists() or len(_rows_or_none(out)) < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command resumes" in errors and "Traceback" not in errors
    assert 2 <= len(stored_rows(out)) < 30


def _rows_or_none(out: Path) -> list[tuple[object, ...]]:
    try:
        return stored_rows(out)
    except DataError:
        return []


def test_wrong_names_stop_before_anything_is_measured(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean clahe"):
        run(configure(bench, enhancers=["clahee"]), RunOptions(tmp_path / "out"))
    with pytest.raises(UnknownNameError, match="brighten"):
        run(configure(bench, enhancers=[f"{PLUGINS}:brigten"]), RunOptions(tmp_path / "out"))
    with pytest.raises(ConfigError, match="device"):
        run(configure(bench), RunOptions(tmp_path / "out", device="cuda:77"))
    with pytest.raises(ConfigError, match="same label"):
        run(configure(bench, enhancers=["input", "input"]), RunOptions(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_no_two_labels_share_a_folder() -> None:
    labels = ["Zero-DCE", "Zero-DCE++", "Zero-DCE_", "gamma(gamma=2)", "gamma(gamma=2.)", "+", "++", "a/b", "a:b"]
    names = [folder_name(label) for label in labels]
    assert names[0] == "Zero-DCE"
    assert len(set(names)) == len(labels)
    assert all(re.fullmatch(r"[\w.-]+", name) and name not in (".", "..") for name in names)
