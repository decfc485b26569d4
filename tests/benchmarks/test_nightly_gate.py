"""The gates on literal samples: what is red, what is not, and what the message says changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from duskbench.benchmarks.evidence import EnhancerEvidence, RunEvidence
from duskbench.benchmarks.metrics.base import Ranked, Ranking
from duskbench.benchmarks.nightly.gate import GateResult, Limits, gate_night
from duskbench.benchmarks.nightly.history import Baseline
from duskbench.benchmarks.nightly.night import Calibration, GateFinding
from duskbench.benchmarks.nightly.speed import CostChange, cost_change, median_interval, throughput_finding
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.record import EnhancerEntry
from duskbench.benchmarks.rows import ImageState
from duskbench.benchmarks.statistics import BootstrapOptions, Interval, Sample
from duskbench.data_tools.errors import ConfigError
from tests.benchmarks.fabricate import DETECTOR, ENVIRONMENT, make_night, make_record, metric

N = 60
STATES = tuple(ImageState(f"{n}", f"sha{n}", f"truth{n}") for n in range(N))
CALIBRATION = Calibration({"convolution": Interval(10.0, 9.9, 10.1), "FFT": Interval(5.0, 4.9, 5.1)}, 40, 1, 1)
EVERYWHERE = np.ones(N, bool)


def one(
    found: int = N, niqe: float = 4.0, ms: float = 30.0, fingerprint: str = "f1", label: str = "LIME"
) -> EnhancerEvidence:
    """One object in each image; the first `found` are found, each image's best detection otherwise misses."""
    noise = np.linspace(-0.5, 0.5, N)
    ranked = Ranked({"car": (Ranking(np.arange(N), np.arange(N) < found),)}, "area")
    sample = Sample(label, EVERYWHERE, {"niqe": niqe + noise}, {"map": ranked})
    times = {"enhance": np.full(N, ms) + noise, "decode": np.full(N, 2.0)}
    return EnhancerEvidence(EnhancerEntry(label, label.lower(), fingerprint), sample, ms=times)


def with_values(evidence: EnhancerEvidence, **values: Any) -> EnhancerEvidence:
    return replace(evidence, sample=replace(evidence.sample, values={**evidence.sample.values, **values}))


def failing(evidence: EnhancerEvidence, **reasons: str) -> EnhancerEvidence:
    """Images `i3` and so on fail."""
    measured = evidence.sample.measured.copy()
    measured[[int(name[1:]) for name in reasons]] = False
    failures = {name[1:]: reason for name, reason in reasons.items()}
    return replace(evidence, sample=replace(evidence.sample, measured=measured), failures=failures)


def broken(error: str, label: str = "LIME") -> EnhancerEvidence:
    entry = EnhancerEntry(label, label.lower(), "", error)
    return EnhancerEvidence(entry, Sample(label, np.zeros(N, bool), {"niqe": np.full(N, np.nan)}))


def run(*enhancers: EnhancerEvidence, images: Sequence[ImageState] = STATES, **changes: Any) -> RunEvidence:
    record = make_record(
        (),
        (),
        **{
            "enhancers": tuple(each.entry for each in enhancers),
            "bootstrap": BootstrapOptions(500),
            "protocol": Protocol(classes=("car",), ap="area"),
            **changes,
        },
    )
    return RunEvidence(record, tuple(images), {"car": np.ones(N, int)}, {e.sample.label: e for e in enhancers})


def gates(now: RunEvidence, *before: RunEvidence, calibration: Calibration = CALIBRATION, **limits: Any) -> GateResult:
    nights = [make_night(number + 1, calibration=CALIBRATION, record=run.record) for number, run in enumerate(before)]
    baselines = [Baseline(night, run) for night, run in zip(nights, before, strict=True)]
    return gate_night(now, calibration, baselines, Limits(**limits))


def findings(now: EnhancerEvidence, before: EnhancerEvidence, **limits: Any) -> dict[str, GateFinding]:
    """Gate -> what it says of one enhancer in two runs."""
    result = gates(run(now), run(before), **limits)
    return {finding.gate: finding for finding in result.findings if finding.subject == now.sample.label}


def outcomes(result: GateResult) -> dict[tuple[str, str], str]:
    return {(finding.subject, finding.gate): finding.outcome for finding in result.findings}


def test_equal_nights_are_green_to_the_last_digit() -> None:
    found = findings(one(50), one(50))
    assert {gate: finding.outcome for gate, finding in found.items()} == dict.fromkeys(
        ("failures", "mAP", "NIQE", "throughput"), "passed"
    )
    assert found["mAP"].message == found["NIQE"].message == "equal to the last digit"
    assert found["mAP"].change == Interval(0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("now", "before", "tolerances", "gate", "outcome", "text"),
    [
        (one(30), one(50), {}, "mAP", "failed", "worse: -33"),
        (one(59), one(50), {}, "mAP", "passed", "+15"),
        # One object of sixty: more than the tolerance, but another draw of photos would do as much.
        (one(49), one(50), {}, "mAP", "passed", "not beyond its interval"),
        (one(30), one(50), {"map": 40.0}, "mAP", "passed", "tolerated 40"),
        (one(niqe=4.2), one(), {}, "NIQE", "failed", "worse: +0.200"),
        (one(niqe=3.5), one(), {}, "NIQE", "passed", "-0.500"),
        (one(niqe=4.04), one(), {}, "NIQE", "passed", "tolerated 0.05"),
        (one(niqe=4.2), one(), {"niqe": 0.3}, "NIQE", "passed", "tolerated 0.3"),
    ],
)
def test_red_is_worse_than_tolerated_and_beyond_the_interval(
    now: EnhancerEvidence, before: EnhancerEvidence, tolerances: Any, gate: str, outcome: str, text: str
) -> None:
    finding = findings(now, before, tolerances=tolerances)[gate]
    assert (finding.outcome, text in finding.message) == (outcome, True), finding


def test_a_difference_within_the_interval_is_not_red_however_large() -> None:
    noise = np.random.default_rng(0).normal(0, 5, N)
    finding = findings(with_values(one(), niqe=one().sample.values["niqe"] + 0.1 + noise), one())["NIQE"]
    assert finding.change is not None and finding.change.value > 0.05 and finding.change.low < 0  # type: ignore[operator]
    assert (finding.outcome, "not beyond its interval" in finding.message) == ("passed", True)


OTHERS = {
    "lower": replace(metric("niqe"), key="brisque", heading="BRISQUE", fingerprint="b", tolerance=1.0),
    "higher": replace(metric("ssim"), key="sharp", heading="Sharpness", fingerprint="s", tolerance=1.0),
}


@pytest.mark.parametrize(
    ("better", "change", "outcome"),
    [("lower", 2.0, "failed"), ("lower", -2.0, "passed"), ("higher", -2.0, "failed"), ("higher", 0.5, "passed")],
)
def test_every_metric_is_gated_by_its_own_tolerance(better: str, change: float, outcome: str) -> None:
    entry, numbers = OTHERS[better], np.linspace(20, 30, N)
    metrics = (metric("niqe"), metric("voc_ap"), entry)
    before = run(with_values(one(), **{entry.key: numbers}), metrics=metrics)
    now = run(with_values(one(), **{entry.key: numbers + change}), metrics=metrics)
    assert outcomes(gates(now, before))["LIME", entry.heading] == outcome
    free = [replace(each, tolerance=None) if each is entry else each for each in metrics]
    runs = [replace(each, record=replace(each.record, metrics=tuple(free))) for each in (now, before)]
    [finding] = [finding for finding in gates(*runs).findings if finding.gate == entry.heading]
    assert (finding.outcome, finding.change is not None) == ("not gated", True)
    assert outcomes(gates(*runs, tolerances={entry.key: 1.0}))["LIME", entry.heading] == outcome


def test_a_metric_that_is_new_is_shown_and_one_that_is_gone_is_red() -> None:
    more = with_values(one(), brisque=np.linspace(20, 30, N))
    metrics = (metric("niqe"), metric("voc_ap"), OTHERS["lower"])
    with_it, without = run(more, metrics=metrics), run(one())
    [finding] = [finding for finding in gates(with_it, without).findings if finding.gate == "BRISQUE"]
    assert (finding.outcome, "--accept makes tonight the baseline" in finding.message) == ("not gated", True)
    [finding] = [finding for finding in gates(without, with_it).findings if finding.gate == "BRISQUE"]
    assert (finding.outcome, "not measured tonight" in finding.message) == ("failed", True)


def test_each_detector_has_its_gate_and_one_that_is_gone_is_red() -> None:
    other = replace(DETECTOR, label="other", fingerprint="o" * 64)
    good, bad = one(50).sample.ranked["map"], one(20).sample.ranked["map"]

    def both(first: Ranked, second: Ranked) -> RunEvidence:
        sample = replace(one().sample, ranked={"map made": first, "map other": second})
        return run(replace(one(), sample=sample), detectors=(DETECTOR, other))

    result = outcomes(gates(both(good, bad), both(good, good)))
    assert (result["LIME", "mAP made"], result["LIME", "mAP other"]) == ("passed", "failed")
    result = outcomes(gates(run(one(50)), both(good, good)))
    assert (result["LIME", "mAP"], result["LIME", "mAP other"]) == ("passed", "failed")


def test_images_that_lose_their_value_are_red() -> None:
    niqe = one().sample.values["niqe"].copy()
    niqe[:3] = np.nan
    finding = findings(with_values(one(), niqe=niqe), one())["NIQE"]
    assert (finding.outcome, finding.message[:27]) == ("failed", "3 images had a NIQE in the ")


def test_a_score_that_is_gone_is_red_and_one_that_never_was_is_not_gated() -> None:
    bare = replace(one(), sample=replace(one().sample, ranked={}))
    assert findings(bare, one())["mAP"].outcome == "failed"
    assert findings(replace(bare, ms={}), bare)["mAP"].outcome == "not gated"


def test_failures_that_are_new_are_red_and_known_ones_are_not() -> None:
    before = failing(one(), i0="too dark")
    finding = findings(before, before)["failures"]
    assert (finding.outcome, "1 that failed in the baseline too" in finding.message) == ("passed", True)
    now = failing(one(), i0="too dark", i1="boom\nat line 3", i2="boom\nat line 3", i3="bang")
    finding = findings(now, before)["failures"]
    assert finding.outcome == "failed"
    assert finding.message == "3 images fail; 1 that failed in the baseline too: 1 and 1 more: boom at line 3; 3: bang"


def test_images_that_were_not_measured_are_red() -> None:
    lost = failing(one(), i3="x", i4="y")
    finding = findings(replace(lost, failures={"3": "x"}), one())["failures"]
    assert (finding.outcome, finding.message) == ("failed", "1 images were not measured")
    # One that is not in the tree cannot be.
    states = [replace(state, sha256=None) if state.id == "3" else state for state in STATES]
    gone = run(replace(failing(one(), i3=""), failures={}), images=states)
    assert outcomes(gates(gone, gone))["LIME", "failures"] == "passed"


def test_a_night_without_a_result_is_red_however_well_known_its_failures_are() -> None:
    nothing = run(broken("no weights"))
    assert outcomes(gates(nothing, nothing)) == {
        ("night", "presence"): "failed",
        **{("LIME", gate): "not gated" for gate in ("failures", "NIQE", "mAP", "throughput")},
    }
    assert gates(nothing).joins == ()


def test_a_night_without_a_number_is_red_though_nothing_failed() -> None:
    """No object to find, and no image that has a NIQE: nothing could ever get worse."""
    nothing = replace(run(with_values(one(), niqe=np.full(N, np.nan))), objects={"car": np.zeros(N, int)})
    for result in (gates(nothing), gates(nothing, nothing)):
        [finding] = [each for each in result.findings if each.subject == "night"]
        assert (finding.outcome, finding.message) == ("failed", "no image of any enhancer has a number: NIQE, mAP")
        assert result.joins == ()
    # Of one metric alone it may be meant; a first night says so, where nothing else would.
    some = replace(run(one()), objects={"car": np.zeros(N, int)})
    result = gates(some)
    assert result.joins == ("LIME",)
    assert result.notes == ("mAP: no image of any enhancer has it, so nothing can get worse in it",)
    assert gates(run(one())).notes == gates(run(one()), run(one())).notes == ()


def trained(*each: EnhancerEvidence) -> RunEvidence:
    """A run with one method, "Ours"."""
    labels = [f"Ours, training {number}" for number in range(1, 1 + len(each))]
    return run(
        *(
            replace(one, entry=replace(one.entry, label=label, method="Ours"), sample=replace(one.sample, label=label))
            for one, label in zip(each, labels, strict=True)
        )
    )


def test_trainings_have_one_gate_each_for_their_mean() -> None:
    result = gates(trained(one(49), one(50), one(51)), trained(one(50), one(50), one(50)))
    ours = {gate: outcome for (subject, gate), outcome in outcomes(result).items() if subject.startswith("Ours")}
    assert ours == dict.fromkeys(("failures", "NIQE", "mAP", "throughput"), "passed")
    assert ("Ours", "mAP") in outcomes(result)
    [change] = [finding.change for finding in result.findings if finding.gate == "mAP"]
    assert change is not None and change.value == pytest.approx(0)
    assert gates(trained(one(), one())).joins == ("Ours",)


def test_a_training_that_broke_is_red_however_far_trainings_lie_apart() -> None:
    before = trained(one(50), one(50), one(50))
    [finding] = [f for f in gates(trained(one(50), one(50), one(20)), before).findings if f.outcome == "failed"]
    assert (finding.subject, finding.gate) == ("Ours", "mAP")
    # Of 60 objects the third finds 30 less.
    assert finding.change is not None and finding.change.value == pytest.approx(-30 / 60 / 3)


def test_failures_of_trainings_are_named() -> None:
    before = trained(one(), failing(one(), i0="dark"), one())
    now = trained(one(), failing(one(), i0="dark"), failing(one(), i0="dark"))
    [finding] = [f for f in gates(now, before).findings if f.gate == "failures"]
    assert (finding.outcome, finding.message) == ("failed", "Ours, training 3: 1 images fail: 0: dark")
    [finding] = [f for f in gates(before, before).findings if f.gate == "failures"]
    assert finding.outcome == "passed"
    result = gates(trained(one(), one(), broken("no weights")), trained(one(), one(), one()))
    [finding] = [f for f in result.findings if f.gate == "failures"]
    assert (finding.outcome, finding.message) == ("failed", "Ours, training 3: cannot be built: no weights")


def test_a_training_that_is_gone_is_red() -> None:
    result = gates(trained(one(), one()), trained(one(), one(), one()))
    [finding] = [f for f in result.findings if f.outcome == "failed"]
    assert (finding.subject, finding.gate) == ("Ours", "presence")
    assert finding.message.startswith("Ours, training 3: in the baseline and not in tonight's configuration")


def test_an_enhancer_that_cannot_be_built_is_red_and_no_other() -> None:
    before = run(one(), one(label="Ours"))
    result = gates(run(broken("no weights\n  where: x"), one(label="Ours")), before)
    [finding] = [finding for finding in result.findings if finding.outcome == "failed"]
    assert (finding.subject, finding.message) == ("LIME", "cannot be built: no weights where: x")
    # Mended: it was accepted as broken, so it has no number to be compared with, and joins.
    result = gates(before, run(broken("no weights"), one(label="Ours")))
    assert (outcomes(result)["LIME", "presence"], result.joins) == ("not gated", ("LIME",))


def test_what_joins_the_baseline() -> None:
    assert gates(run(one(), one(label="Ours"))).joins == ("LIME", "Ours")
    assert gates(run(failing(one(), i3="boom"), one(label="Ours"))).joins == ()
    assert gates(run(one(), one(label="Ours")), run(one())).joins == ("Ours",)
    result = gates(run(one(), failing(one(label="Ours"), i3="boom")), run(one()))
    assert result.joins == () and outcomes(result)["Ours", "failures"] == "failed"
    assert outcomes(gates(run(one()), run(one(), one(label="Ours"))))["Ours", "presence"] == "failed"


def test_missing_images_are_red_in_a_first_night() -> None:
    result = gate_night(run(one()), CALIBRATION, [], Limits(), missing=["a", "b"])
    assert (outcomes(result)["data set", "failures"], result.joins) == ("failed", ())


def test_enhancers_that_came_later_are_compared_with_their_own_night() -> None:
    torch = replace(ENVIRONMENT, packages={"torch": "1"})
    now = run(one(20), one(20, label="Ours"))
    result = gates(now, run(one(50), environment=torch), run(one(50, label="Ours")))
    of_map = {finding.subject: finding.message for finding in result.findings if finding.gate == "mAP"}
    assert "environment.packages.torch: 1 -> 2" in of_map["LIME"] and "torch" not in of_map["Ours"]
    assert set(outcomes(result).values()) <= {"passed", "failed", "not gated"} and result.differences == ()


@pytest.mark.parametrize(
    ("now", "changed", "text"),
    [
        (one(20, fingerprint="f2"), {}, "its fingerprint changed (code or arguments: f1 -> f2)"),
        (one(20, fingerprint="f2"), {"torch": "3"}, "f1 -> f2); also changed: environment.packages.torch: 2 -> 3"),
        (one(20), {"torch": "3"}, "same fingerprint, so not its code or weights; changed: environment.packages.torch"),
        (one(20), {}, "it is not deterministic"),
    ],
)
def test_the_message_tells_code_from_environment(now: EnhancerEvidence, changed: dict[str, str], text: str) -> None:
    tonight = run(now, environment=replace(ENVIRONMENT, packages={"torch": "2", **changed}))
    result = gates(tonight, run(one(50)))
    assert text in next(finding.message for finding in result.findings if finding.gate == "mAP")
    # What moves without a reason is also said where it moves to the better.
    better = gates(run(replace(now, sample=one(60).sample), environment=tonight.record.environment), run(one(50)))
    assert bool(better.notes) == (now.entry.fingerprint == "f1")
    retrained = replace(now, entry=replace(now.entry, fingerprint="f3", weights={"w": "1"}))
    message = next(f.message for f in gates(run(retrained), run(one(50))).findings if f.gate == "mAP")
    assert "weights, and perhaps code or arguments: f1 -> f3" in message


def test_whatever_blocks_a_comparison_is_named() -> None:
    states = [replace(STATES[0], sha256="other"), *STATES[1:]]
    now = run(failing(one(), i7="boom"), images=states, protocol=Protocol(classes=("car",), ap="11point"))
    result = gates(now, run(one()))
    protocol, images = result.differences
    assert protocol == "protocol.ap: area -> 11point"
    assert images.endswith("1 image with other content (the first: 0)")
    assert outcomes(result) == {("LIME", "failures"): "failed"} and result.joins == ()


def calibration(convolution: float, fft: float, spread: float = 0.01, workers: int = 1) -> Calibration:
    parts = {"convolution": convolution, "FFT": fft}
    return Calibration({k: Interval(v, v * (1 - spread), v * (1 + spread)) for k, v in parts.items()}, 40, workers, 1)


@pytest.mark.parametrize(
    ("now_ms", "tonight", "outcome", "ratio"),
    [
        (30.0, CALIBRATION, "passed", 1.0),
        (60.0, CALIBRATION, "failed", 0.5),
        # Everything takes twice as long: a slower machine.
        (60.0, calibration(20, 10), "passed", 1.0),
        # Code that is as fast as before on a machine twice as fast has become slower.
        (30.0, calibration(5, 2.5), "failed", 0.5),
        # One part explains it: a machine of another balance.
        (60.0, calibration(10, 10), "passed", 1.0),
        # The calibration itself varied so much that it could be the machine.
        (60.0, calibration(10, 5, spread=0.6), "passed", 0.5),
    ],
)
def test_throughput_is_relative_to_the_calibration(
    now_ms: float, tonight: Calibration, outcome: str, ratio: float
) -> None:
    change = cost_change(np.full(N, now_ms), np.full(N, 30.0), tonight, CALIBRATION)
    finding = throughput_finding("LIME", change, 0.7)
    assert finding.outcome == outcome
    assert finding.change is not None and finding.change.value == pytest.approx(ratio)


def only(part: str) -> Calibration:
    return replace(CALIBRATION, parts={part: CALIBRATION.parts[part]})


def test_calibrations_are_compared_by_the_parts_that_both_have() -> None:
    times, other = np.full(N, 30.0), calibration(1, 5)
    for pair in ((only("FFT"), other), (other, only("FFT"))):
        change = cost_change(times, times, *pair)
        assert isinstance(change, CostChange) and change.ratio.value == pytest.approx(1.0)


def test_what_cannot_be_timed_is_not_gated() -> None:
    times = np.full(N, 30.0)
    few = np.where(np.arange(N) < 19, 90.0, np.nan)
    seldom = replace(CALIBRATION, parts={})
    for arguments, text in (
        ((few, times, CALIBRATION, CALIBRATION), "19 images were timed in both nights, fewer than 20"),
        ((times * 9, times, seldom, CALIBRATION), "timed too few times tonight"),
        ((times * 9, times, CALIBRATION, seldom), "timed too few times in the baseline"),
        ((times * 9, times, calibration(1, 1, workers=4), CALIBRATION), "measured by 4 processes with 1 threads"),
        ((None, times, CALIBRATION, CALIBRATION), "no times"),
        ((times * 9, times, only("FFT"), only("convolution")), "is FFT, in the baseline convolution"),
    ):
        change = cost_change(*arguments)  # type: ignore[arg-type]
        assert isinstance(change, str) and text in change
        assert throughput_finding("LIME", change, 0.7).outcome == "not gated"


def test_a_doubled_tenth_of_a_millisecond_is_not_red() -> None:
    change = cost_change(np.full(N, 0.2), np.full(N, 0.1), CALIBRATION, CALIBRATION)
    assert isinstance(change, CostChange) and throughput_finding("Input", change, 0.7).outcome == "passed"


def test_stages_are_gated_apart_and_only_where_they_do_the_same() -> None:
    slow = replace(one(), ms={**one().ms, "decode": np.full(N, 9.0), "metrics": np.full(N, 9.0)})
    fast = replace(one(), ms={**one().ms, "metrics": np.full(N, 2.0)})
    environment = replace(ENVIRONMENT, packages={"torch": "3"})
    result = gates(run(slow, environment=environment), run(fast))
    stages = {f.subject: f for f in result.findings if f.subject != "LIME"}
    assert {name: finding.outcome for name, finding in stages.items()} == {
        "decode": "failed", "detect": "not gated", "metrics": "failed",
    }  # fmt: skip
    assert stages["decode"].message.endswith("changed: environment.packages.torch: 2 -> 3")
    more = (metric("niqe"), metric("voc_ap"), OTHERS["lower"])
    result = gates(run(with_values(slow, brisque=np.ones(N)), metrics=more), run(fast))
    [finding] = [finding for finding in result.findings if finding.subject == "metrics"]
    assert (finding.outcome, finding.message) == ("not gated", "tonight it is BRISQUE, NIQE, in the baseline NIQE")


def test_the_interval_of_a_median_holds_it_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(1000):
        interval = median_interval(rng.exponential(1.0, 41))
        inside += interval.low <= np.log(2) <= interval.high  # type: ignore[operator]
    assert 0.94 <= inside / 1000 <= 0.99


@pytest.mark.parametrize(
    "limits",
    [{"tolerances": {"map": -1.0}}, {"tolerances": {"niqe": float("nan")}}, {"throughput": 1.5}],
)
def test_limits_out_of_range_are_errors(limits: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="cannot be set"):
        Limits(**limits)


def test_other_code_that_puts_numbers_together_is_noted() -> None:
    """A sum in the baseline and a largest number tonight: both nights are compared by tonight's."""
    then = replace(metric("niqe"), is_mean=False)
    now = replace(then, fingerprint="e" * 64)
    before, after = (run(one(), metrics=(each,), detectors=()) for each in (then, now))
    (said,) = gates(after, before).notes
    assert said == "NIQE: of both nights computed by tonight's code, which is not the baseline's"
    assert gates(after, after).notes == ()
