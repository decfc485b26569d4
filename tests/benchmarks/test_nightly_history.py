"""The history: what is put is there, what is damaged is told, and nothing is ever half written."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from duskbench.benchmarks.nightly.history import History, read_history
from duskbench.benchmarks.nightly.night import Finding, Night, NightEnhancer, Reference, from_json, to_json
from duskbench.benchmarks.statistics import Interval
from duskbench.data_tools.errors import DataError

ROOT = Path(__file__).resolve().parents[2]


def night(number: int, config: str = "table2", verdict: str = "green") -> Night:
    return Night(
        id=f"2026-11-{number:02d}T03-00-00Z",
        config=config,
        title="Table 2",
        started=f"2026-11-{number:02d}T03:00:00+00:00",
        finished=f"2026-11-{number:02d}T04:00:00+00:00",
        verdict=verdict,  # type: ignore[arg-type]
        baseline=("2026-11-01T03-00-00Z",),
        context={
            "protocol": {"ap": "11point"},
            "measure": "niqe=rgb2gray",
            "detector": {"name": "rfb", "identity": "f"},
            "data": {"name": "ExDark", "images": 10, "sha256": "s"},
        },
        environment={"packages": {"torch": "2.15.0"}, "git": None, "host": "here", "processor": "EPYC"},
        reference=Reference({"FFT": Interval(2.0, 1.9, 2.2)}, 40, 2, 1),
        enhancers=(
            NightEnhancer("LIME", "abc", "lime", 10, 0, map=Interval(0.5, 0.4, 0.6), niqe=Interval(4.0)),
            NightEnhancer("Ours", "", {"type": "guided"}, 0, 0, error="no weights"),
        ),
        findings=(Finding("LIME", "mAP", "failed", "worse", Interval(-0.02, -0.03, -0.01)),),
        notes=("a note", "ünïcode"),
        rows={"total": 10, "reused": 0},
    )


def test_a_night_survives_its_json() -> None:
    assert from_json(to_json(night(3))) == night(3)


def test_nights_come_back_in_order_with_their_baseline(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "history.sqlite"
    history = History(path)
    assert history.nights() == [] and not path.exists()
    history.put(night(1), {"images": b"i1", "enhancer:LIME": b"e1"}, joins=["LIME", "Ours"])
    # A clock that was set back changes no order.
    for number in (3, 2):
        History(path).put(night(number), {"images": b"i%d" % number, "enhancer:LIME": b"e%d" % number})
    History(path).put(night(4, config="other"), {"images": b"x"}, joins=["LIME"])
    stored = read_history(path)
    assert [each.id[:10] for each in stored] == ["2026-11-01", "2026-11-03", "2026-11-02", "2026-11-04"]
    assert [each.is_baseline for each in stored] == [True, False, False, True]
    assert replace(stored[1], is_baseline=False) == night(3)
    assert [each.id[:10] for each in History(path).nights("other")] == ["2026-11-04"]
    assert History(path).baseline("table2") == {"LIME": night(1).id, "Ours": night(1).id}
    # Only the baseline's and the newest night's evidence is kept.
    kept = {number: History(path).evidence(night(number).id, "images") for number in (1, 2, 3, 4)}
    assert kept == {1: b"i1", 2: b"i2", 3: None, 4: b"x"}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_accepting_replaces_the_whole_baseline_of_one_configuration(tmp_path: Path) -> None:
    history = History(tmp_path / "h")
    history.put(night(1), {"images": b"1"}, joins=["LIME", "gone"])
    history.put(night(2, config="other"), {"images": b"2"}, joins=["LIME"])
    history.put(night(3), {"images": b"3"})
    history.accept(night(3))
    read = History(tmp_path / "h")
    assert read.baseline("table2") == {"LIME": night(3).id, "Ours": night(3).id}
    assert read.baseline("other") == {"LIME": night(2, config="other").id}
    assert (read.evidence(night(1).id, "images"), read.evidence(night(3).id, "images")) == (None, b"3")


def test_the_same_night_cannot_be_put_twice(tmp_path: Path) -> None:
    History(tmp_path / "h").put(night(1), {})
    before = (tmp_path / "h").read_bytes()
    with pytest.raises(sqlite3.IntegrityError):
        History(tmp_path / "h").put(night(1), {})
    assert (tmp_path / "h").read_bytes() == before


def filled(path: Path) -> bytes:
    history = History(path)
    for number in range(1, 8):
        history.put(night(number), {"images": os.urandom(3000), "enhancer:LIME": os.urandom(9000)}, joins=["LIME"])
    return path.read_bytes()


def test_every_truncation_is_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "h"
    content = filled(path)
    for size in {0, 1, 31, 32, 33, 100, 4096, len(content) // 2, len(content) - 4096, len(content) - 1}:
        path.write_bytes(content[:size])
        with pytest.raises(DataError, match=r"damaged.*left as it is"):
            History(path)
        assert path.read_bytes() == content[:size]


def test_a_flipped_bit_is_told(tmp_path: Path) -> None:
    path = tmp_path / "h"
    content = filled(path)
    for position in [*range(0, len(content), 997), *range(len(content) - 40, len(content))]:
        path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        with pytest.raises(DataError, match="damaged"):
            History(path)


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be taken for one" * 20, None])
def test_other_files_are_no_history(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "h"
    if content is None:
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE results (a)")
        db.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(DataError, match="no history of nights"):
        History(path)
    assert path.read_bytes() == before


def edited(path: Path, statement: str) -> None:
    """Change a history behind its back, with the hash made to fit."""
    path.write_bytes(path.read_bytes()[:-32])
    with sqlite3.connect(path) as db:
        db.execute(statement)
    db.close()
    content = path.read_bytes()
    path.write_bytes(content + hashlib.sha256(content).digest())


def test_any_sqlite_can_read_it(tmp_path: Path) -> None:
    History(tmp_path / "h").put(night(1), {}, joins=["LIME"])
    with sqlite3.connect(f"file:{tmp_path}/h?mode=ro", uri=True) as db:
        assert db.execute("SELECT config, label, night FROM baseline").fetchall() == [("table2", "LIME", night(1).id)]
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def test_a_newer_schema_is_told(tmp_path: Path) -> None:
    History(tmp_path / "h").put(night(1), {})
    edited(tmp_path / "h", "PRAGMA user_version=99")
    with pytest.raises(DataError, match="another version"):
        History(tmp_path / "h")


def test_reading_asks_for_a_file() -> None:
    with pytest.raises(DataError, match="no history here"):
        read_history("nowhere/h")


def test_a_file_that_may_not_grow_keeps_the_history(tmp_path: Path) -> None:
    """The kernel itself refuses the write, at a size that only the new night exceeds."""
    path = tmp_path / "h"
    History(path).put(night(1), {"images": b"x" * 1000}, joins=["LIME"])
    before = path.read_bytes()
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 4096, limits[1]))
        with pytest.raises(OSError, match="File too large"):
            History(path).put(night(2), {"images": os.urandom(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["h"]


def test_killed_while_it_writes_the_history_is_the_old_or_the_new(tmp_path: Path) -> None:
    """`kill -9` at whatever moment: each time the file is whole, and has the nights up to some number."""
    path = tmp_path / "h"
    code = (
        "import sys; from pathlib import Path; from duskbench.benchmarks.nightly.history import History\n"
        "from tests.benchmarks.test_nightly_history import night\n"
        "for n in range(1, 29):\n"
        "    History(sys.argv[1]).put(night(n), {'images': b'x' * 2_000_000}, joins=['LIME'])\n"
        "    print(n, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) == 3:
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    process.stdout.close()
    nights = read_history(path)
    assert 3 <= len(nights) < 28 and [each.id for each in nights] == [night(n + 1).id for n in range(len(nights))]
    assert History(path).evidence(nights[-1].id, "images") == b"x" * 2_000_000
