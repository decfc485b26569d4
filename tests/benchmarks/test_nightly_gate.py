"""The gates on literal samples: what is red, what is not, and what the message says changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from duskbench.benchmarks.nightly.comparable import cause, changed_versions, differences
from duskbench.benchmarks.nightly.gate import Earlier, Limits, failures_finding, judge_enhancer
from duskbench.benchmarks.nightly.kept import ImageState, Kept, images_sha256, pack, pack_images, unpack, unpack_images
from duskbench.benchmarks.nightly.night import Finding, Gate, Reference
from duskbench.benchmarks.nightly.reference import median_interval
from duskbench.benchmarks.nightly.speed import cost_change, stage_findings, throughput_finding
from duskbench.benchmarks.statistics import Bootstrap, BootstrapOptions, Interval, Ranking, Sample
from duskbench.data_tools.errors import ConfigError

N = 60
REFERENCE = Reference({"convolution": Interval(10.0, 9.9, 10.1), "FFT": Interval(5.0, 4.9, 5.1)}, 40, 1, 2)
MEASURED = np.ones(N, bool)


def kept(found: int = N, niqe: float = 4.0, ms: float = 30.0, fingerprint: str = "f1", label: str = "LIME") -> Kept:
    """One object of one class in each image; the first `found` are found, each image's best detection otherwise not."""
    noise = np.linspace(-0.5, 0.5, N)
    ranking = Ranking(np.arange(N), np.arange(N) < found)
    sample = Sample(label, MEASURED, niqe + noise, {"car": ranking})
    return Kept(fingerprint, sample, ms={"enhance": np.full(N, ms) + noise, "decode": np.full(N, 2.0)})


def bootstrap() -> Bootstrap:
    return Bootstrap({"car": np.ones(N, int)}, BootstrapOptions(resamples=500), "area", within=MEASURED)


def judge(now: Kept, before: Kept | None, versions: tuple[str, ...] = (), **limits: float) -> dict[Gate, Finding]:
    earlier = None if before is None else Earlier(before, REFERENCE, versions)
    findings = judge_enhancer(now, earlier, REFERENCE, bootstrap(), Limits(**limits))
    assert {finding.subject for finding in findings} == {now.sample.label}
    return {finding.gate: finding for finding in findings}


def test_equal_nights_are_green_to_the_last_digit() -> None:
    found = judge(kept(50), kept(50))
    assert {gate: finding.outcome for gate, finding in found.items()} == dict.fromkeys(
        ("failures", "mAP", "NIQE", "throughput"), "passed"
    )
    assert found["mAP"].message == found["NIQE"].message == "equal to the last digit"
    assert found["mAP"].change == Interval(0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("found_now", "limits", "outcome", "text"),
    [
        (30, {}, "failed", "worse: -33"),
        (59, {}, "passed", "+15"),
        # One object of sixty: more than the tolerance, but another draw of photos would do as much.
        (49, {}, "passed", "not beyond its interval"),
        (30, {"map": 40.0}, "passed", "tolerated 40"),
    ],
)
def test_map_is_red_beyond_interval_and_tolerance(
    found_now: int, limits: dict[str, float], outcome: str, text: str
) -> None:
    finding = judge(kept(found_now), kept(50), **limits)["mAP"]
    assert (finding.outcome, text in finding.message) == (outcome, True), finding


@pytest.mark.parametrize(
    ("niqe", "limits", "outcome"),
    [(4.2, {}, "failed"), (3.5, {}, "passed"), (4.04, {}, "passed"), (4.2, {"niqe": 0.3}, "passed")],
)
def test_niqe_is_red_where_it_rises(niqe: float, limits: dict[str, float], outcome: str) -> None:
    finding = judge(kept(niqe=niqe), kept(niqe=4.0), **limits)["NIQE"]
    assert finding.outcome == outcome
    assert finding.change is not None and finding.change.value == pytest.approx(niqe - 4.0)


def test_a_difference_within_the_interval_is_not_red_however_large() -> None:
    rng = np.random.default_rng(0)
    now = kept()
    noisy = replace(now, sample=replace(now.sample, niqe=now.sample.niqe + 0.1 + rng.normal(0, 5, N)))
    finding = judge(noisy, kept())["NIQE"]
    assert finding.change is not None and finding.change.value > 0.05 and finding.change.low < 0  # type: ignore[operator]
    assert (finding.outcome, "not beyond its interval" in finding.message) == ("passed", True)


def test_images_that_lose_their_niqe_are_red() -> None:
    now = kept()
    niqe = now.sample.niqe.copy()
    niqe[:3] = np.nan
    finding = judge(replace(now, sample=replace(now.sample, niqe=niqe)), kept())["NIQE"]
    assert (finding.outcome, finding.message[:27]) == ("failed", "3 images had a NIQE in the ")


def test_a_map_that_is_gone_is_red_and_one_that_never_was_is_not_judged() -> None:
    bare = replace(kept(), sample=replace(kept().sample, rankings={}))
    assert judge(bare, kept())["mAP"].outcome == "failed"
    assert judge(replace(bare, ms={}), bare)["mAP"].outcome == "not judged"


def test_failures_that_are_new_are_red_and_known_ones_are_not() -> None:
    before = replace(kept(), failures={"a": "too dark"})
    assert failures_finding(before, before).outcome == "passed"
    assert "1 that failed in the baseline too" in failures_finding(before, before).message
    now = replace(kept(), failures={"a": "too dark", "b": "boom\nat line 3", "c": "boom\nat line 3", "d": "bang"})
    finding = failures_finding(now, before)
    assert finding.outcome == "failed"
    assert finding.message == "3 images fail; 1 that failed in the baseline too: b and 1 more: boom at line 3; d: bang"
    assert failures_finding(now, None).message.startswith("4 images fail: a: too dark")


def test_an_enhancer_that_cannot_be_built_is_red_and_the_rest_is_not_judged() -> None:
    empty = Sample("LIME", np.zeros(N, bool), np.full(N, np.nan))
    broken = Kept("", empty, error="no weights\n  where: x")
    found = judge(broken, kept())
    assert (found["failures"].outcome, found["failures"].message) == ("failed", "cannot be built: no weights where: x")
    assert {found[gate].outcome for gate in ("mAP", "NIQE", "throughput")} == {"not judged"}
    assert failures_finding(broken, broken).outcome == "not judged"
    # Mended: it was accepted as broken, so it has no number to be compared with.
    assert judge(kept(), broken)["presence"].message.startswith("not in the baseline yet")


def test_a_new_enhancer_is_not_judged() -> None:
    found = judge(kept(), None)
    assert (found["failures"].outcome, found["presence"].outcome) == ("passed", "not judged")
    failing = judge(replace(kept(), failures={"a": "boom"}), None)
    assert failing["failures"].outcome == "failed" and "does not become part of it" in failing["presence"].message


@pytest.mark.parametrize(
    ("fingerprint", "versions", "text"),
    [
        ("f2", (), "its fingerprint changed (code or arguments: f1 -> f2)"),
        ("f2", ("torch 2.14 -> 2.15",), "f1 -> f2); also changed: torch 2.14 -> 2.15"),
        ("f1", ("torch 2.14 -> 2.15",), "same fingerprint, so not its code or weights; changed: torch 2.14 -> 2.15"),
        ("f1", (), "it is not deterministic"),
    ],
)
def test_the_message_tells_code_from_environment(fingerprint: str, versions: tuple[str, ...], text: str) -> None:
    message = judge(kept(20, fingerprint=fingerprint), kept(50), versions)["mAP"].message
    assert message.endswith(text) or text in message
    retrained = replace(kept(20, fingerprint="f2"), weights={"guided.safetensors": "abc"})
    assert "weights, and perhaps code or arguments: f1 -> f2" in cause(retrained, kept(50), versions)


def test_versions_that_changed() -> None:
    before = {
        "packages": {"torch": "2.14", "numpy": "2.4", "gone": "1"}, "python": "3.11.7", "git": "abc", "device": "cpu",
        "gpu": None, "processor": "EPYC", "cores": 2, "host": "a", "detector_code": "abc",
    }  # fmt: skip
    now = {
        **before, "packages": {"torch": "2.15", "numpy": "2.4", "new": "2"},
        "processor": "Xeon", "host": "b", "detector_code": "def",
    }  # fmt: skip
    assert changed_versions(now, before) == [
        "torch 2.14 -> 2.15",
        "new None -> 2",
        "processor EPYC -> Xeon",
        "detector's code abc -> def",
        "gone 1 -> None",
    ]
    assert changed_versions(before, before) == []


STATES = [ImageState(f"{n}", f"sha{n}", f"truth{n}") for n in range(5)]
PROTOCOL = {"ap": "11point", "iou_threshold": 0.5}


def context(
    states: list[ImageState], detector: str = "d1", measure: str = "m", **protocol: object
) -> dict[str, object]:
    return {
        "protocol": {**PROTOCOL, **protocol},
        "measure": measure,
        "detector": {"name": "rfb", "identity": detector},
        "data": {"name": "ExDark", "images": len(states), "sha256": images_sha256(states)},
    }


@pytest.mark.parametrize(
    ("now", "states", "lines"),
    [
        (context(STATES), STATES, []),
        # A field that came with a later version has its default in an older history.
        (context(STATES, cup_images="keep"), STATES, []),
        (context(STATES, ap="area"), STATES, ["protocol.ap: '11point' -> 'area'"]),
        (context(STATES, measure="m2"), STATES, ["measure: 'm' -> 'm2'"]),
        (context(STATES, detector="d2"), STATES, ["detector: rfb d1 -> rfb d2"]),
    ],
)
def test_differing_fields_are_named(now: dict[str, object], states: list[ImageState], lines: list[str]) -> None:
    assert differences(now, context(STATES), states, STATES) == lines


@pytest.mark.parametrize(
    ("states", "line"),
    [
        (STATES[:-1], "1 image gone (the first: 4)"),
        ([*STATES, ImageState("9", "s", "t")], "1 image new (the first: 9)"),
        ([replace(STATES[0], sha256=None), *STATES[1:]], "1 image missing from the tree (the first: 0)"),
        ([replace(s, sha256="x") for s in STATES], "5 images with other content (the first: 0, 1, 2)"),
        ([*STATES[:4], replace(STATES[4], truth="x")], "1 image with other ground truth (the first: 4)"),
        (STATES[::-1], "the same images in another order"),
    ],
)
def test_differing_images_are_named(states: list[ImageState], line: str) -> None:
    assert differences(context(states), context(STATES), states, STATES) == [f"data set: {line}"]


def test_what_is_kept_comes_back() -> None:
    images = np.array([5, 0, 59, 3, 3])
    sample = Sample(
        "LIME", np.arange(N) % 3 > 0, np.where(np.arange(N) % 2, np.nan, 4.25),
        {"car": Ranking(images, images % 2 > 0), "dog": Ranking(images[:0], images[:0] > 0)},
    )  # fmt: skip
    whole = Kept("abc", sample, {"a": "ü\n"}, None, {"w": "1"}, {"enhance": np.linspace(0, 1, N)})
    again = unpack(pack(whole))
    assert (again.fingerprint, again.failures, again.error, again.sample.label) == ("abc", {"a": "ü\n"}, None, "LIME")
    assert again.weights == whole.weights
    for name in ("measured", "niqe"):
        np.testing.assert_array_equal(getattr(again.sample, name), getattr(sample, name))
    for name in ("car", "dog"):
        np.testing.assert_array_equal(again.sample.rankings[name].images, sample.rankings[name].images)
        np.testing.assert_array_equal(again.sample.rankings[name].tp, sample.rankings[name].tp)
    np.testing.assert_array_equal(again.ms["enhance"], whole.ms["enhance"])
    assert unpack_images(pack_images(STATES)) == STATES


def reference(convolution: float, fft: float, spread: float = 0.01, workers: int = 1) -> Reference:
    parts = {"convolution": convolution, "FFT": fft}
    return Reference({k: Interval(v, v * (1 - spread), v * (1 + spread)) for k, v in parts.items()}, 40, workers, 2)


@pytest.mark.parametrize(
    ("now_ms", "tonight", "outcome", "ratio"),
    [
        (30.0, REFERENCE, "passed", 1.0),
        (60.0, REFERENCE, "failed", 0.5),
        # Everything takes twice as long: a slower machine.
        (60.0, reference(20, 10), "passed", 1.0),
        # Code that is as fast as before on a machine twice as fast has become slower.
        (30.0, reference(5, 2.5), "failed", 0.5),
        # One part explains it: a machine of another balance.
        (60.0, reference(10, 10), "passed", 1.0),
        # The reference itself varied so much that it could be the machine.
        (60.0, reference(10, 5, spread=0.6), "passed", 0.5),
    ],
)
def test_throughput_is_relative_to_the_reference(now_ms: float, tonight: Reference, outcome: str, ratio: float) -> None:
    change = cost_change(np.full(N, now_ms), np.full(N, 30.0), tonight, REFERENCE)
    finding = throughput_finding("LIME", change, 0.7)
    assert finding.outcome == outcome
    assert finding.change is not None and finding.change.value == pytest.approx(ratio)


def test_what_cannot_be_timed_is_not_judged() -> None:
    times = np.full(N, 30.0)
    few = np.where(np.arange(N) < 19, 90.0, np.nan)
    seldom = replace(REFERENCE, parts={})
    for arguments, text in (
        ((few, times, REFERENCE, REFERENCE), "19 images were timed in both nights, fewer than 20"),
        ((times * 9, times, seldom, REFERENCE), "timed too seldom tonight"),
        ((times * 9, times, REFERENCE, seldom), "timed too seldom in the baseline"),
        ((times * 9, times, reference(1, 1, workers=4), REFERENCE), "measured by 4 processes with 2 threads"),
        ((None, times, REFERENCE, REFERENCE), "no times"),
    ):
        change = cost_change(*arguments)  # type: ignore[arg-type]
        assert isinstance(change, str) and text in change
        assert throughput_finding("LIME", change, 0.7).outcome == "not judged"


def test_a_doubled_tenth_of_a_millisecond_is_not_red() -> None:
    change = cost_change(np.full(N, 0.2), np.full(N, 0.1), REFERENCE, REFERENCE)
    assert throughput_finding("Input", change, 0.7).outcome == "passed"


def test_stages_are_judged_apart() -> None:
    before = kept()
    slow = replace(before, ms={**before.ms, "decode": np.full(N, 9.0)})
    found = {f.subject: f for f in stage_findings([(slow, before)] * 2, REFERENCE, REFERENCE, 0.7, ["pillow 11 -> 12"])}
    assert {name: finding.outcome for name, finding in found.items()} == {
        "decode": "failed", "detect": "not judged", "NIQE": "not judged",
    }  # fmt: skip
    assert found["decode"].message.endswith("changed: pillow 11 -> 12")


def test_the_interval_of_a_median_holds_it_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(1000):
        interval = median_interval(rng.exponential(1.0, 41))
        inside += interval.low <= np.log(2) <= interval.high  # type: ignore[operator]
    assert 0.94 <= inside / 1000 <= 0.99


@pytest.mark.parametrize("limits", [{"map": -1.0}, {"niqe": -0.1}, {"throughput": 1.5}, {"map": float("nan")}])
def test_limits_out_of_range_are_told(limits: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="cannot be set"):
        Limits(**limits)
