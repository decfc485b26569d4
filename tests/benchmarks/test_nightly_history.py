"""The history: what is put is there, what is damaged is noticed, and nothing is ever half written."""

from __future__ import annotations

import hashlib
import resource
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks.evidence import EnhancerEvidence, RunEvidence
from duskbench.benchmarks.metrics.base import Ranked, Ranking
from duskbench.benchmarks.nightly.history import History, read_history
from duskbench.benchmarks.nightly.night import GateFinding, Night, NightEnhancer, from_json, to_json
from duskbench.benchmarks.record import EnhancerEntry
from duskbench.benchmarks.rows import ImageState
from duskbench.benchmarks.statistics import Interval, Sample
from duskbench.data_tools.errors import DataError
from tests.benchmarks.fabricate import make_night

ROOT = Path(__file__).resolve().parents[2]
LABELS = ("LIME", "Ours")


def night(number: int, config: str = "table2") -> Night:
    """A night with everything in it."""
    made = make_night(number)
    return replace(
        made,
        record=replace(
            made.record,
            name=config,
            enhancers=(
                EnhancerEntry("LIME", "lime", "abc"),
                EnhancerEntry("Ours", {"type": "guided"}, "", "no weights"),
            ),
        ),
        enhancers=(*made.enhancers, NightEnhancer("Ours", 0, 0, error="no weights")),
        findings=(GateFinding("LIME", "mAP", "failed", "worse", Interval(-0.02, -0.03, -0.01), "map"),),
        notes=("a note", "\u00fcn\u00efcode"),
    )


def evidence(of: Night, noise: int = 5) -> RunEvidence:
    """What a night measured; `noise` random times, which do not compress."""
    states = tuple(ImageState(f"{n}", f"sha{n}", "truth") for n in range(5))
    images = np.array([3, 0, 4, 3])
    ranked = Ranked({name: (Ranking(images, images % 2 > 0),) for name in ("person", "car")}, "area")
    sample = Sample("LIME", np.ones(5, bool), {"niqe": np.array([4.25, np.nan, 1, 2, 3])}, {"map": ranked})
    empty = Sample("Ours", np.zeros(5, bool), {"niqe": np.full(5, np.nan)})
    lime, ours = of.record.enhancers
    times = {"enhance": np.random.default_rng(int(of.id[8:10])).random(noise)}
    return RunEvidence(
        record=of.record,
        images=states,
        objects={"car": np.arange(5), "person": np.ones(5, int)},
        enhancers={
            "LIME": EnhancerEvidence(lime, sample, {"2": "\u00fc\n"}, times),
            "Ours": EnhancerEvidence(ours, empty),
        },
    )


def put(path: Path, number: int, config: str = "table2", *, joins: tuple[str, ...] = (), noise: int = 5) -> None:
    made = night(number, config)
    History(path).put(made, evidence(made, noise), joins=joins)


def has_evidence(path: Path, number: int) -> bool:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        names = db.execute("SELECT name FROM evidence WHERE night=? ORDER BY name", (night(number).id,)).fetchall()
    db.close()
    assert names in ([], [("enhancer:LIME",), ("enhancer:Ours",), ("images",)])
    return bool(names)


def test_a_night_survives_its_json() -> None:
    assert from_json(to_json(night(3))) == night(3)


def test_nights_come_back_in_order_with_their_baseline(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "history.sqlite"
    assert History(path).nights() == [] and not path.exists()
    put(path, 1, joins=LABELS)
    # A clock that was set back changes no order.
    for number in (3, 2):
        put(path, number)
    put(path, 4, "other", joins=LABELS[:1])
    stored = read_history(path)
    assert [each.id[:10] for each in stored] == ["2026-11-01", "2026-11-03", "2026-11-02", "2026-11-04"]
    assert [each.is_baseline for each in stored] == [True, False, False, True]
    assert replace(stored[1], is_baseline=False) == night(3)
    assert [each.id[:10] for each in History(path).nights("other")] == ["2026-11-04"]
    assert History(path).baseline("table2") == {"LIME": night(1).id, "Ours": night(1).id}
    # Only the baseline's and the newest night's evidence is kept.
    assert [has_evidence(path, number) for number in (1, 2, 3, 4)] == [True, True, False, True]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_link_leads_to_the_history(tmp_path: Path) -> None:
    link, path = tmp_path / "history.sqlite", tmp_path / "shared" / "nights.sqlite"
    link.symlink_to(path)
    for number in (1, 2):
        put(link, number, joins=LABELS)
    assert link.is_symlink() and len(read_history(path)) == 2


def test_a_baseline_is_what_was_measured(tmp_path: Path) -> None:
    put(tmp_path / "h", 1, joins=("LIME",))
    put(tmp_path / "h", 2, joins=("Ours",))
    first, second = History(tmp_path / "h").baselines("table2")
    assert (first.night.id, list(first.evidence.enhancers)) == (night(1).id, ["LIME"])
    assert (second.night.id, list(second.evidence.enhancers)) == (night(2).id, ["Ours"])
    want, got = evidence(night(1)), first.evidence
    assert got.images == want.images and got.record.image_ids == ("0", "1", "2", "3", "4")
    assert {name: list(counts) for name, counts in got.objects.items()} == {"car": [0, 1, 2, 3, 4], "person": [1] * 5}
    one, expected = got.enhancers["LIME"], want.enhancers["LIME"]
    assert (one.entry, one.failures) == (expected.entry, {"2": "\u00fc\n"})
    assert one.sample.same_numbers(expected.sample) and list(one.sample.ranked["map"].by_class) == ["person", "car"]
    np.testing.assert_array_equal(one.ms["enhance"], expected.ms["enhance"])
    assert second.evidence.enhancers["Ours"].entry.error == "no weights"


def test_a_baseline_of_trainings_comes_back_as_one_row_whatever_it_was_named_by(tmp_path: Path) -> None:
    entries = tuple(EnhancerEntry(f"Ours, training {n}", "ours", f"f{n}", method="Ours") for n in (1, 2))
    made = night(1)
    made = replace(made, record=replace(made.record, enhancers=entries))
    sample = Sample("", np.ones(5, bool), {"niqe": np.arange(5.0)})
    measured = {e.label: EnhancerEvidence(e, replace(sample, label=e.label)) for e in entries}
    # The row as it is today, and each training for itself as it once was.
    for number, joins in enumerate((("Ours",), tuple(measured))):
        path = tmp_path / str(number)
        History(path).put(made, replace(evidence(night(1)), record=made.record, enhancers=measured), joins=joins)
        [baseline] = History(path).baselines("table2")
        assert list(baseline.evidence.rows) == ["Ours"]
        assert [one.entry for one in baseline.evidence.rows["Ours"].each] == list(entries)


def test_accepting_replaces_the_whole_baseline_of_one_configuration(tmp_path: Path) -> None:
    put(tmp_path / "h", 1, joins=("LIME", "gone"))
    put(tmp_path / "h", 2, "other", joins=("LIME",))
    put(tmp_path / "h", 3)
    History(tmp_path / "h").accept(night(3))
    assert History(tmp_path / "h").baseline("table2") == {"LIME": night(3).id, "Ours": night(3).id}
    assert History(tmp_path / "h").baseline("other") == {"LIME": night(2).id}
    assert [has_evidence(tmp_path / "h", number) for number in (1, 3)] == [False, True]


def test_the_same_night_cannot_be_put_twice(tmp_path: Path) -> None:
    put(tmp_path / "h", 1)
    before = (tmp_path / "h").read_bytes()
    with pytest.raises(sqlite3.IntegrityError):
        put(tmp_path / "h", 1)
    assert (tmp_path / "h").read_bytes() == before


def filled(path: Path) -> bytes:
    for number in range(1, 5):
        put(path, number, joins=LABELS, noise=2000)
    return path.read_bytes()


def test_every_truncation_is_noticed_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "h"
    content = filled(path)
    for size in {0, 1, 31, 32, 33, 100, 4096, len(content) // 2, len(content) - 4096, len(content) - 1}:
        path.write_bytes(content[:size])
        with pytest.raises(DataError, match=r"damaged.*left as it is"):
            History(path)
        assert path.read_bytes() == content[:size]


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
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
    put(tmp_path / "h", 1, joins=("LIME",))
    with sqlite3.connect(f"file:{tmp_path}/h?mode=ro", uri=True) as db:
        assert db.execute("SELECT config, label, night FROM baseline").fetchall() == [("table2", "LIME", night(1).id)]
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def test_a_newer_schema_is_an_error(tmp_path: Path) -> None:
    put(tmp_path / "h", 1)
    edited(tmp_path / "h", "PRAGMA user_version=99")
    with pytest.raises(DataError, match="another version"):
        History(tmp_path / "h")


def test_reading_asks_for_a_file() -> None:
    with pytest.raises(DataError, match="no history here"):
        read_history("nowhere/h")


def test_a_file_that_may_not_grow_keeps_the_history(tmp_path: Path) -> None:
    """The kernel itself refuses the write, at a size that only the new night exceeds."""
    path = tmp_path / "h"
    put(path, 1, joins=LABELS)
    before = path.read_bytes()
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 4096, limits[1]))
        with pytest.raises(OSError, match="File too large"):
            put(path, 2, noise=12_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["h"]


def test_killed_while_it_writes_the_history_is_the_old_or_the_new(tmp_path: Path) -> None:
    """`kill -9` at whatever moment: each time the file is whole, and has the nights up to some number."""
    path = tmp_path / "h"
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.benchmarks.test_nightly_history import put\n"
        "for n in range(1, 29):\n"
        "    put(Path(sys.argv[1]), n, joins=('LIME',), noise=250_000)\n"
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
    [baseline] = History(path).baselines("table2")
    assert baseline.night.id == nights[-1].id and len(baseline.evidence.enhancers["LIME"].ms["enhance"]) == 250_000
