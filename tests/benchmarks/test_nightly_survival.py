"""Nights that go wrong: killed, without disk, without data, two at once, with a damaged history."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, tzinfo
from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks.config import BenchmarkConfig, load_benchmark_config
from duskbench.benchmarks.nightly import folder as folder_module
from duskbench.benchmarks.nightly import run as run_module
from duskbench.benchmarks.nightly.gate import Limits
from duskbench.benchmarks.nightly.history import History, read_history
from duskbench.benchmarks.nightly.night import Night
from duskbench.benchmarks.nightly.run import NightOptions, accept_newest, run_night
from duskbench.benchmarks.run_plan import RunOptions
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.images import read_image, write_image
from duskbench.data_tools.progress import Progress
from tests.benchmarks.conftest import PLUGINS, Bench, make_bench
from tests.benchmarks.test_nightly_history import edited

ROOT = Path(__file__).resolve().parents[2]


def options(root: Path, **run: object) -> NightOptions:
    return NightOptions(root / "history", RunOptions(root / "nights", workers=1, **run), Limits(throughput=0))  # type: ignore[arg-type]


def config_of(bench: Bench) -> BenchmarkConfig:
    """Nothing in it is a plug-in, which would start a process of its own."""
    return load_benchmark_config(bench.config, overrides={"enhancers": ["input", "gamma"], "detector": "none"})


def night(bench: Bench, given: NightOptions, *enhancers: object) -> Night:
    """A night by the enhancers and the bench's detector, or of `config_of`."""
    config = load_benchmark_config(bench.config, overrides={"enhancers": list(enhancers) or None})
    return run_night(config if enhancers else config_of(bench), given, lambda night, folder: None)


def start(bench: Bench, given: NightOptions) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "duskbench", "nightly", str(bench.config), "--history", str(given.history)]
    command += ["--out", str(given.run.out), "--workers", "1", "--throughput-ratio", "0"]
    command += ["--cfg-options", f"enhancers=input,{PLUGINS}:slow"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def rows(out: Path) -> int:
    try:
        [path] = out.glob("*/results.sqlite")
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            return int(db.execute("SELECT count(*) FROM results").fetchone()[0])
    except (ValueError, sqlite3.OperationalError):
        return 0


def wait_for_rows(process: subprocess.Popen[str], out: Path, number: int) -> None:
    deadline = time.monotonic() + 120
    while rows(out) < number:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)


@pytest.mark.slow
def test_killed_half_way_and_started_again(tmp_path: Path) -> None:
    bench, given = make_bench(tmp_path, n=12), options(tmp_path)
    enhancers = ("input", f"{PLUGINS}:slow")
    night(bench, given, *enhancers)
    before = given.history.read_bytes()
    [baseline] = read_history(given.history)
    shutil.rmtree(given.run.out)

    process = start(bench, given)
    wait_for_rows(process, given.run.out, 6)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert given.history.read_bytes() == before
    done = rows(given.run.out)
    assert 6 <= done < 24

    # The same command line, so that the same versions and the same commit are recorded; it runs to its end.
    process = start(bench, given)
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 0, text
    assert len(read_history(given.history)) == 2
    [first, again] = read_history(given.history)
    assert first.id == baseline.id
    assert again.rows == {"total": 24, "reused": done, "measured": 24 - done}
    assert [e.scores for e in again.enhancers] == [e.scores for e in baseline.enhancers]
    assert f"Night {again.id} was interrupted; it is resumed." in " ".join(text.split())
    # Rows from before the kill may come from another machine: their times do not count.
    accept_newest("tiny", given.history)
    [accepted] = History(given.history).baselines("tiny")
    timed = [int((~np.isnan(one.ms["enhance"])).sum()) for one in accepted.evidence.enhancers.values()]
    assert sum(timed) == 24 - done


class Messages(Progress):
    """Keeps what the user should read."""

    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    def message(self, text: str, *, warning: bool = False) -> None:
        self.seen.append(text)


def interrupted(config: BenchmarkConfig, given: NightOptions) -> Night:
    """A night that is in the history, and was interrupted before its files were written."""

    def interrupt(night: Night, folder: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_night(config, given, interrupt)
    return read_history(given.history)[-1]


def test_interrupted_after_the_history_the_night_is_not_doubled(bench: Bench, tmp_path: Path) -> None:
    given = options(tmp_path)
    config = config_of(bench)
    stored = interrupted(config, given)
    seen: list[str] = []
    progress = Messages(seen)
    again = run_night(config, given, lambda night, folder: seen.append(folder.name), progress)
    assert again == stored and read_history(given.history) == [stored]
    assert seen == [f"Night {stored.id} was interrupted after it was measured; only its files are written.", stored.id]
    # That night is over now: the next call is another night.
    assert run_night(config, given, lambda night, folder: None).id != stored.id
    assert len(read_history(given.history)) == 2


@pytest.mark.parametrize("hours", [-24 * 10, 13])
def test_an_interrupted_night_of_another_day_is_over(bench: Bench, tmp_path: Path, hours: int) -> None:
    """Also one that lies in the future, because the clock was set back: nobody knows how long ago it was."""
    given = options(tmp_path)
    config = config_of(bench)
    stored = interrupted(config, given)
    folder = given.run.out / stored.id
    record = json.loads((folder / "night.json").read_text())
    record["started"] = "2099-01-01T00:00:00+00:00"
    (folder / "night.json").write_text(json.dumps(record))
    os.utime(folder / "results.sqlite", (time.time() - 3600 * hours,) * 2)
    for number in (2, 3):
        assert night(bench, given).rows["measured"] == 12
        assert len(read_history(given.history)) == number


class Stopped(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Stopped:
        return cls(2026, 11, 22, 3, tzinfo=tz)


def test_two_configurations_at_the_same_second_have_two_nights(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the clock was set back; their folders are apart, and only the history knows of both."""
    monkeypatch.setattr(folder_module, "datetime", Stopped)
    config = config_of(bench)
    for name in ("one", "two"):
        given = options(tmp_path)
        given = replace(given, run=replace(given.run, out=tmp_path / name))
        run_night(replace(config, name=name), given, lambda night, folder: None)
    stored = [(each.config, each.id) for each in read_history(tmp_path / "history")]
    assert stored == [("one", "2026-11-22T03-00-00Z"), ("two", "2026-11-22T03-00-00Z-2")]


@pytest.mark.parametrize("other", ["protocol", "tolerance", "commit"])
def test_the_verdict_of_an_interrupted_night_is_no_answer_to_another_question(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    given, config = options(tmp_path), config_of(bench)
    stored = interrupted(config, given)
    if other == "protocol":
        config = replace(config, protocol=replace(config.protocol, plus_one=True))
    elif other == "tolerance":
        given = replace(given, limits=Limits({"niqe": 1.0}, throughput=0))
    else:
        real = run_module.environment
        monkeypatch.setattr(run_module, "environment", lambda device: replace(real(device), git="0123456789ab"))
    tonight = run_night(config, given, lambda night, folder: None)
    assert tonight.id != stored.id and tonight.rows["measured"] == 12
    assert tonight.verdict == ("not comparable" if other == "protocol" else "green")
    assert [each.id for each in read_history(given.history)] == [stored.id, tonight.id]


@pytest.mark.parametrize("edited", ["enhancer", "weights", "broken plug-in", "image", "box"])
def test_the_verdict_of_an_interrupted_night_is_not_that_of_an_edited_plug_in_or_image(
    bench: Bench, tmp_path: Path, edited: str
) -> None:
    """At the same commit, by the same command: only what the run stands on says that something is new."""
    plugin, gain = tmp_path / "mine.py", tmp_path / "gain.npy"
    code = "import numpy as np\ndef mine(image, weights):\n    return (image * np.load(weights)).astype(np.uint8)\n"
    plugin.write_text(code)
    np.save(gain, 0.5)
    enhancers = ["input", {"type": f"{plugin}:mine", "weights": str(gain), "label": "Mine"}]
    config = load_benchmark_config(bench.config, overrides={"enhancers": enhancers})
    given = options(tmp_path)
    stored = interrupted(config, given)
    if edited == "enhancer":
        plugin.write_text(code.replace("image *", "255 - image *"))
    elif edited == "weights":
        np.save(gain, 0.25)
    elif edited == "broken plug-in":
        plugin.write_text("def mine(image\n")
    elif edited == "image":
        write_image(bench.root / "JPEGImages" / "000002.png", np.full((200, 220, 3), 99, np.uint8))
    else:
        box = bench.root / "Annotations" / "000002.xml"
        box.write_text(box.read_text().replace("<ymin>21", "<ymin>31"))
    tonight = run_night(config, given, lambda night, folder: None)
    assert tonight.id != stored.id and [each.id for each in read_history(given.history)] == [stored.id, tonight.id]
    verdicts = {"broken plug-in": "red", "image": "not comparable", "box": "not comparable"}
    assert tonight.verdict == verdicts.get(edited, tonight.verdict)
    assert tonight.rows["measured"] == (6 if edited == "broken plug-in" else 12)


def test_a_verdict_by_other_tolerances_after_two_interruptions(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun with one tolerance, resumed and decided with another: no answer to the first."""
    given, config = options(tmp_path), config_of(bench)
    with monkeypatch.context() as patched:
        patched.setattr(run_module, "gate_night", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run_night(config, given, lambda night, folder: None)
    stored = interrupted(config, replace(given, limits=Limits({"niqe": 1.0}, throughput=0)))
    assert stored.rows["reused"] == 12
    assert run_night(config, given, lambda night, folder: None).id != stored.id


def test_an_interrupted_night_with_other_versions_is_begun_anew(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = options(tmp_path)
    config = config_of(bench)
    with monkeypatch.context() as patched:
        patched.setattr(run_module, "gate_night", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run_night(config, given, lambda night, folder: None)
    assert rows(given.run.out) == 12
    real = run_module.environment
    monkeypatch.setattr(run_module, "environment", lambda device: replace(real(device), packages={"torch": "9.9"}))
    assert night(bench, given).rows == {"total": 12, "reused": 0, "measured": 12}
    assert len(list(given.run.out.glob("*/results.sqlite"))) == 1


@pytest.mark.slow
def test_workers_that_all_die_make_no_green_night(
    tmp_path: Path, duskbench: Callable[..., tuple[int, str, str]]
) -> None:
    bench = make_bench(tmp_path, n=2)
    for number in range(2):
        path = bench.root / "JPEGImages" / f"{bench.ids[number]}.png"
        image = read_image(path).copy()
        image[0, 0] = 255
        write_image(path, image)
    fixed = ["--history", tmp_path / "h", "--out", tmp_path / "n", "--workers", 1]
    fixed += ["--cfg-options", f"enhancers={PLUGINS}:kills_its_process,"]
    code, out, _ = duskbench("nightly", bench.config, *fixed)
    assert (code, "2 images fail: 000001 and 1 more:" in " ".join(out.split())) == (3, True)
    # Also once these failures are accepted: nothing was measured.
    assert duskbench("nightly", bench.config, *fixed, "--accept")[0] == 0
    code, out, _ = duskbench("nightly", bench.config, *fixed)
    assert (code, "no enhancer has a result of any image" in out) == (3, True)


def test_a_missing_data_set_leaves_the_history_alone(bench: Bench, tmp_path: Path) -> None:
    given = options(tmp_path)
    night(bench, given)
    before = given.history.read_bytes()
    bench.root.rename(tmp_path / "elsewhere")
    for _ in range(2):
        with pytest.raises(DataError):
            night(bench, given)
        assert given.history.read_bytes() == before
    (tmp_path / "elsewhere").rename(bench.root)
    assert night(bench, given).verdict == "green"
    assert len(read_history(given.history)) == 2


def test_a_damaged_history_is_noticed_before_anything_is_measured(bench: Bench, tmp_path: Path) -> None:
    given = options(tmp_path)
    given.history.write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with pytest.raises(DataError, match=r"damaged.*left as it is"):
        night(bench, given)
    assert given.history.read_bytes().endswith(b"xxx") and not list(given.run.out.glob("*/*"))


def test_a_baseline_that_is_lost_is_an_error(bench: Bench, tmp_path: Path) -> None:
    given = options(tmp_path)
    night(bench, given)
    edited(given.history, "DELETE FROM evidence")
    before = given.history.read_bytes()
    with pytest.raises(DataError, match="lacks what its baseline needs"):
        night(bench, given)
    assert given.history.read_bytes() == before


@pytest.mark.slow
def test_two_nights_at_once(tmp_path: Path) -> None:
    bench, given = make_bench(tmp_path, n=8), options(tmp_path)
    process = start(bench, given)
    wait_for_rows(process, given.run.out, 2)
    for second, what in (
        (given, "history"),
        (replace(given, run=replace(given.run, out=tmp_path / "elsewhere")), "history"),
        (replace(given, history=tmp_path / "another"), "folder"),
    ):
        with pytest.raises(ConfigError, match=f"(?s)Another process is using this {what}.*process {process.pid} on"):
            night(bench, second)
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 0, text
    [stored] = read_history(given.history)
    assert stored.rows == {"total": 16, "reused": 0, "measured": 16}
    assert night(bench, given, "input", f"{PLUGINS}:slow").baseline == (stored.id,)


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[None]:
    """A file system of its own with so much room; skips where this user may not mount one."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a file system here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


def test_a_disk_that_is_full_of_rows(bench: Bench, tmp_path: Path) -> None:
    given = options(tmp_path)
    night(bench, given)
    before = given.history.read_bytes()
    with small_disk(tmp_path / "disk", "64k"):
        full = replace(given, run=replace(given.run, out=tmp_path / "disk" / "nights"))
        with pytest.raises(DataError, match=r"full|disk I/O|No space"):
            night(bench, full)
        assert given.history.read_bytes() == before
        # With room again, what was measured is not measured again.
        subprocess.run(["mount", "-o", "remount,size=4m", str(tmp_path / "disk")], check=True)
        again = night(bench, full)
        assert again.verdict == "green" and again.rows["measured"] + again.rows["reused"] == 12
    assert len(read_history(given.history)) == 2


def test_a_disk_that_has_no_room_for_the_history(bench: Bench, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "128k"):
        given = replace(options(tmp_path), history=tmp_path / "disk" / "history")
        night(bench, given)
        before = given.history.read_bytes()
        (tmp_path / "disk" / "other").write_bytes(bytes(64 * 1024))
        with pytest.raises(DataError, match="No space left on device"):
            night(bench, given)
        assert given.history.read_bytes() == before
        assert sorted(path.name for path in given.history.parent.iterdir()) == [".history.lock", "history", "other"]
        (tmp_path / "disk" / "other").unlink()
        again = night(bench, given)
        assert again.rows == {"total": 12, "reused": 12, "measured": 0}
        assert len(read_history(given.history)) == 2


def test_files_that_may_not_grow(bench: Bench, tmp_path: Path) -> None:
    """Without a file system of one's own: the kernel refuses to let the results grow."""
    given = options(tmp_path)
    night(bench, given)
    before = given.history.read_bytes()
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (48 * 1024, limits[1]))
        with pytest.raises(DataError, match=r"full|disk I/O|File too large"):
            night(bench, given)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert given.history.read_bytes() == before
    assert night(bench, given).verdict == "green"
    assert len(read_history(given.history)) == 2
