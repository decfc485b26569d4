"""Whole nights through the command: green, red, refused, accepted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks.evaluate import evaluate
from duskbench.benchmarks.nightly import speed
from duskbench.benchmarks.nightly.history import History, read_history
from duskbench.benchmarks.nightly.night import Night
from duskbench.benchmarks.report.history import history_charts
from duskbench.benchmarks.store import ResultStore
from tests.benchmarks.conftest import Bench, make_bench, weight_files

Nightly = Callable[..., tuple[int, str]]

MINE = """
import time
from pathlib import Path
import numpy as np

def brighten(image, gain=2.5):
    gain = float(Path(__file__).with_name("gain.txt").read_text()) if {reads} else gain
    time.sleep({sleep})
    return np.clip(np.rint(image * gain), 0, 255).astype(np.uint8)
"""


@pytest.fixture
def site(tmp_path: Path) -> Bench:
    """20 images, an enhancer of the user's own, and a configuration of it beside `input`."""
    bench = make_bench(tmp_path, n=20, size=(100, 200))
    write_mine(bench)
    configure(bench, "input", mine(bench))
    return bench


def mine(bench: Bench) -> dict[str, str]:
    return {"type": f"{bench.config.parent}/mine.py:brighten", "label": "Mine"}


def write_mine(bench: Bench, *, gain: float = 2.5, sleep: float = 0.0, reads: bool = False) -> None:
    text = MINE.format(sleep=sleep, reads=reads).replace("gain=2.5", f"gain={gain}")
    (bench.config.parent / "mine.py").write_text(text)


def configure(bench: Bench, *enhancers: object) -> None:
    lines = bench.config.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("enhancers")]
    bench.config.write_text("\n".join([*kept, f"enhancers = {list(enhancers)!r}", ""]))


@pytest.fixture
def nightly(site: Bench, duskbench: Callable[..., tuple[int, str, str]]) -> Nightly:
    """Run a night; times are not gated unless a test asks for it, because other tests run beside this one."""
    root = site.config.parent

    def call(*arguments: object) -> tuple[int, str]:
        fixed = ["--history", root / "history", "--out", root / "nights", "--workers", 1]
        limits = [] if "--throughput-ratio" in arguments else ["--throughput-ratio", 0]
        code, out, err = duskbench("nightly", site.config, *fixed, *limits, *arguments)
        return code, " ".join((out + err).split())

    return call


def nights(site: Bench) -> list[Night]:
    return read_history(site.config.parent / "history")


def outcomes(night: Night, gate: str) -> dict[str, str]:
    return {finding.subject: finding.outcome for finding in night.findings if finding.gate == gate}


@pytest.mark.slow
def test_green_red_accepted_green(site: Bench, nightly: Nightly, tmp_path: Path) -> None:
    code, text = nightly()
    assert (code, "the first night; it is the baseline now" in text) == (0, True)
    code, text = nightly("--summary", tmp_path / "s.md", "--junit", tmp_path / "j.xml")
    assert (code, "green, nothing got worse than" in text) == (0, True)
    first, second = nights(site)
    assert first.is_baseline and not second.is_baseline and second.baseline == (first.id,)
    assert second.rows == {"total": 40, "reused": 0, "measured": 40}
    assert [e.scores for e in second.enhancers] == [e.scores for e in first.enhancers]

    write_mine(site, gain=0.2)
    files = ["--summary", tmp_path / "s.md", "--junit", tmp_path / "j.xml", "--json", tmp_path / "n.json"]
    code, text = nightly(*files, "--report", tmp_path / "r.html")
    assert code == 3
    assert "tiny: red" in text and "Mine, mAP: worse: -" in text and "its fingerprint changed" in text
    assert f"duskbench nightly {site.config} --history {tmp_path}/history --accept" in text
    red = nights(site)[-1]
    assert {finding.subject for finding in red.failed} == {"Mine"}
    assert outcomes(red, "mAP") == {"Input": "passed", "Mine": "failed"}
    # The baseline's and tonight's rows are there to be looked at, the night between is gone.
    assert sorted(path.parent.name for path in (tmp_path / "nights").glob("*/results.sqlite")) == [first.id, red.id]
    assert (tmp_path / "s.md").read_text().startswith("## 🔴 red")
    assert 'failures="' in (tmp_path / "j.xml").read_text()
    measures = json.loads((tmp_path / "n.json").read_text())["tiny/Mine"]
    assert measures["mAP"]["value"] == pytest.approx(100 * red.enhancers[1].scores["map"].value)
    assert red.id[:10] in (tmp_path / "r.html").read_text()

    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "nights").rglob("*.sqlite")}
    code, text = nightly("--accept")
    assert (code, f"Night {red.id} (red) is the baseline of tiny now." in text) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "nights").rglob("*.sqlite")} == stamps
    assert [night.is_baseline for night in nights(site)] == [False, False, True]
    assert nightly()[0] == 0


METRIC = """
from duskbench import ImageMetric

class Darkness(ImageMetric):
    key, heading, better, digits, tolerance = "darkness", "Darkness", "lower", 1, 2.0

    def measure(self, image_rgb, **given):
        return 255 - float(image_rgb.mean())
"""


@pytest.mark.slow
def test_trainings_of_a_method_are_one_row_of_a_night(site: Bench, nightly: Nightly, tmp_path: Path) -> None:
    configure(site, "input", {"type": "zero_dce", "weights": weight_files(tmp_path), "label": "Curves"})
    code, _ = nightly("--limit", 2, "--summary", tmp_path / "s.md")
    assert code == 0
    [night] = nights(site)
    assert [one.label for one in night.enhancers] == ["Input", "Curves"]
    curves = night.enhancers[1]
    assert len(curves.trainings["niqe"]) == 2
    assert curves.scores["niqe"].value == pytest.approx(sum(curves.trainings["niqe"]) / 2)
    assert "Curves: mean of 2 trainings; of each: NIQE" in (tmp_path / "s.md").read_text()
    assert outcomes(night, "presence") == dict.fromkeys(("Input", "Curves"), "not gated")


@pytest.mark.slow
def test_a_metric_in_a_file_is_gated_shown_and_charted(site: Bench, nightly: Nightly, tmp_path: Path) -> None:
    (tmp_path / "darkness.py").write_text(METRIC)
    options = ("--metric", f"{tmp_path}/darkness.py:Darkness", "--detector", "none", "--tolerance", "niqe=100")
    assert nightly(*options)[0] == 0
    write_mine(site, gain=2.2)
    code, text = nightly(*options, "--summary", tmp_path / "s.md")
    assert (code, "Mine, Darkness: worse: +" in text, "tolerated 2;" in text) == (3, True, True), text
    assert "| Darkness ↓ | change |" in (tmp_path / "s.md").read_text()
    [of_niqe, of_darkness] = history_charts(nights(site), {"Mine": "s0"})
    assert (of_niqe.heading, of_darkness.heading) == ("NIQE", "Darkness")
    assert len(of_darkness.lines[0].dots) == 2 and of_darkness.lines[0].path.count("L") == 1
    code, text = nightly(*options, "--tolerance", "darkness=50")
    assert code == 0, text
    code, text = nightly(*options, "--tolerance", "darknes=50")
    assert (code, "did you mean darkness?" in text) == (2, True)


@pytest.mark.slow
def test_other_numbers_of_the_same_fingerprint_are_told_apart(site: Bench, nightly: Nightly, tmp_path: Path) -> None:
    write_mine(site, reads=True)
    (tmp_path / "gain.txt").write_text("2.5")
    assert nightly()[0] == 0
    # Better or worse: what moves without a reason is reported.
    (tmp_path / "gain.txt").write_text("2.6")
    code, text = nightly("--tolerance", "niqe=10", "--tolerance", "map=100")
    assert code == 0
    assert "Mine: other numbers than in the baseline; same fingerprint" in text and "not deterministic" in text
    (tmp_path / "gain.txt").write_text("0.2")
    code, text = nightly()
    assert (code, "Mine, mAP: worse" in text, "fingerprint changed" in text) == (3, True, False)


@pytest.mark.slow
def test_what_cannot_be_compared_is_refused_until_accepted(site: Bench, nightly: Nightly) -> None:
    assert nightly()[0] == 0
    baseline = nights(site)[0].id
    options = ("--detector", "none", "--limit", 4, "--cfg-options", "protocol.ap=area")
    code, text = nightly(*options)
    assert (code, "not comparable with the baseline" in text) == (2, True), text
    for named in ("protocol.ap: 11point -> area", "detector.name: colours -> none", "16 images gone (the first:"):
        assert named in text
    assert "--accept makes it the new baseline" in text
    assert [night.is_baseline for night in nights(site)] == [True, False]
    assert nights(site)[1].baseline == (baseline,)
    assert nightly("--accept")[0] == 0
    assert nightly(*options)[0] == 0


ADAPTER = """
from pathlib import Path
from tests.benchmarks.plugins import ColourDetector

class Adapter(ColourDetector):
    identity = "the same weights and thresholds"

    def __init__(self):
        super().__init__()
        self.fingerprint = f"code of {len(Path(__file__).read_text())} letters"

    def detect(self, images):
        return super().detect(images)
"""


@pytest.mark.slow
def test_an_adapter_that_broke_is_red_and_no_other_detector(nightly: Nightly, tmp_path: Path) -> None:
    plugin = tmp_path / "adapter.py"
    plugin.write_text(ADAPTER)
    one = ("--detector", f"{plugin}:Adapter")
    assert nightly(*one)[0] == 0
    plugin.write_text(ADAPTER + "    # an edit that changes nothing\n")
    code, text = nightly(*one)
    assert code == 0, text
    plugin.write_text(ADAPTER.replace("detect(images)\n", "detect([image[:, ::-1].copy() for image in images])\n"))
    code, text = nightly(*one)
    assert (code, "mAP: worse" in text, "detector.colours.fingerprint" in text) == (3, True, True), text


@pytest.mark.slow
def test_a_new_enhancer_joins_and_one_that_is_gone_is_red(site: Bench, nightly: Nightly) -> None:
    assert nightly()[0] == 0
    configure(site, "input", mine(site), "gamma")
    assert nightly()[0] == 0
    new = nights(site)[-1]
    assert outcomes(new, "presence") == {"Gamma": "not gated"}
    assert nightly()[0] == 0
    assert outcomes(nights(site)[-1], "mAP") == {"Input": "passed", "Mine": "passed", "Gamma": "passed"}
    assert nights(site)[-1].baseline == (nights(site)[0].id, new.id)
    configure(site, "input", "gamma")
    code, text = nightly()
    assert (code, "Mine, presence: in the baseline and not in tonight's configuration" in text) == (3, True)
    assert nightly("--accept")[0] == 0
    assert nightly()[0] == 0


@pytest.mark.slow
def test_a_broken_enhancer_among_good_ones(site: Bench, nightly: Nightly, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("def enhance(image):\n    return image\n")
    configure(site, "input", mine(site), {"type": f"{tmp_path}/other.py:enhance", "label": "Other"})
    assert nightly()[0] == 0
    for source, reason in (
        ("def enhance(image:\n", "Other, failures: cannot be built: The plug-in's file fails on import"),
        ("def enhance(image):\n    return image[1:]\n", "Other, failures: 20 images fail:"),
    ):
        (tmp_path / "other.py").write_text(source)
        code, text = nightly()
        assert (code, reason in text) == (3, True), text
        red = nights(site)[-1]
        assert {finding.subject for finding in red.failed} == {"Other"}
        assert outcomes(red, "mAP") == {"Input": "passed", "Mine": "passed", "Other": "not gated"}
    # A real regression beside it is still seen.
    write_mine(site, gain=0.2)
    assert "Mine, mAP: worse" in nightly()[1]


@pytest.mark.slow
def test_a_first_night_with_failures_is_red_and_no_baseline(site: Bench, nightly: Nightly, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("def enhance(image):\n    raise RuntimeError('never')\n")
    configure(site, "input", f"{tmp_path}/other.py:enhance")
    for _ in range(2):
        code, text = nightly()
        assert code == 3
        assert "enhance, failures: 20 images fail" in text and "makes it the baseline as it is" in text
    assert not any(night.is_baseline for night in nights(site))
    assert nightly("--accept")[0] == 0
    # Known failures are no news.
    assert nightly()[0] == 0


def test_missing_images_are_red_in_a_first_night(site: Bench, nightly: Nightly) -> None:
    (site.root / "JPEGImages" / f"{site.ids[0]}.png").unlink()
    code, text = nightly()
    assert (code, "data set, failures: 1 images of the split are not in the tree" in text) == (3, True)
    assert nightly("--allow-missing")[0] == 0


@pytest.mark.slow
def test_slower_code_is_red(site: Bench, nightly: Nightly, monkeypatch: pytest.MonkeyPatch) -> None:
    # The workload after every row, however slow it is here. A tenth of a second of sleep against a fifth of a
    # millisecond: no machine is so uneven.
    monkeypatch.setattr(speed, "_SHARE", 1e9)
    assert nightly()[0] == 0
    write_mine(site, sleep=0.1)
    code, text = nightly("--throughput-ratio", 0.3)
    assert code == 3, [finding.message for finding in nights(site)[-1].findings if finding.gate == "throughput"]
    assert "Mine, throughput: 0." in text and "ms an image slower than the calibration workload explains" in text
    assert ("Input", "throughput") not in {(finding.subject, finding.gate) for finding in nights(site)[-1].failed}


def test_accepting_needs_a_night(site: Bench, nightly: Nightly, tmp_path: Path) -> None:
    code, text = nightly("--accept")
    assert (code, "There is no history here" in text) == (2, True)
    assert not (tmp_path / "history").exists()
    assert nightly()[0] == 0
    site.config.rename(tmp_path / "tiny2.py")
    object.__setattr__(site, "config", tmp_path / "tiny2.py")
    code, text = nightly("--accept")
    assert (code, "nights of tiny" in text) == (2, True)


def test_tonights_numbers_are_those_of_the_rows(site: Bench, nightly: Nightly, tmp_path: Path) -> None:
    """The history's numbers are those of the table, from an independent reading of the stored rows."""
    assert nightly()[0] == 0
    [night] = nights(site)
    with ResultStore(tmp_path / "nights" / night.id / "results.sqlite", reading=True) as store:
        results = {result.label: result for result in evaluate(store, store.last_run())}
    for enhancer in night.enhancers:
        assert set(enhancer.scores) == {"niqe", "map"}
        assert enhancer.scores == results[enhancer.label].spread.scores
    assert np.isfinite([enhancer.ms_enhance for enhancer in night.enhancers]).all()
    record = json.loads((tmp_path / "nights" / night.id / "night.json").read_text())
    assert record["finished"] and History(tmp_path / "history").baseline("tiny") == dict.fromkeys(
        ("Input", "Mine"), night.id
    )


@pytest.mark.parametrize("option", [("--tolerance", "map=-1"), ("--tolerance", "niqe=much")])
def test_tolerances_that_are_none_are_usage_errors(
    nightly: Nightly, tmp_path: Path, option: tuple[str, object]
) -> None:
    code, text = nightly(*option)
    assert (code, "--tolerance" in text) == (2, True)
    assert not (tmp_path / "history").exists()
