"""Night curves: shifts and areas where they are known, the ladder on a tiny tree, the page."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from duskbench.benchmarks.cli import app
from duskbench.benchmarks.config import load_benchmark_config
from duskbench.benchmarks.evidence import RunEvidence, open_evidence
from duskbench.benchmarks.night_curve import area, night_curves, stops_gained
from duskbench.benchmarks.night_curve_table import build_curve_table, measured_night_curves, write_night_curves
from duskbench.benchmarks.night_ladder import Ladder, measure_ladder, measured_ladders
from duskbench.benchmarks.record import RunRecord
from duskbench.benchmarks.report.tables import main_table
from duskbench.benchmarks.report.write import write_report
from duskbench.benchmarks.run_plan import RunOptions
from duskbench.benchmarks.runner import run
from duskbench.benchmarks.statistics import Interval
from duskbench.benchmarks.store import ResultStore
from duskbench.data_tools.darken import Camera, darken, srgb_to_linear
from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError
from duskbench.data_tools.images import read_image
from tests.benchmarks.conftest import Bench, make_bench, stored_rows
from tests.benchmarks.fabricate import make_images, make_run, results_of

EV = np.array([0.0, -1.0, -2.0, -4.0, -6.0])


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, None]


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        # The score of one stop more light, on a straight line: reached with one stop less.
        (column(0.66, 0.56, 0.46, 0.26, 0.06), 1.0),
        (column(0.60, 0.50, 0.40, 0.20, 0.00), 0.4),
        # The same curve, and one below it.
        (column(0.56, 0.46, 0.36, 0.16, -0.04), 0.0),
        (column(0.51, 0.41, 0.31, 0.11, -0.09), -0.5),
        # Always better than Input at its best: no score is reached by both.
        (column(0.9, 0.8, 0.7, 0.6, 0.57), np.nan),
    ],
)  # fmt: skip
def test_stops_gained_of_straight_lines(drawn: np.ndarray, expected: float) -> None:
    got = stops_gained(column(0.56, 0.46, 0.36, 0.16, -0.04), drawn, EV)
    assert got == pytest.approx([expected], nan_ok=True)


def test_a_shift_by_a_level_is_that_many_stops_whatever_the_shape() -> None:
    ev = np.arange(0.0, -8.0, -1.0)
    worth = np.array([0.70, 0.69, 0.65, 0.50, 0.30, 0.12, 0.05, 0.02, 0.01])
    got = stops_gained(worth[1:, None], worth[:-1, None], ev)
    assert got == pytest.approx([1.0])


def test_a_score_counts_as_reached_where_it_is_reached_darker() -> None:
    ev = np.array([0.0, -1.0, -2.0])
    # Dips at -1, back at -2: what is reached at -2 is reached at -1 too.
    assert stops_gained(column(0.6, 0.2, 0.0), column(0.6, 0.1, 0.3), ev) == pytest.approx(
        stops_gained(column(0.6, 0.2, 0.0), column(0.6, 0.3, 0.3), ev)
    )


def test_area_is_that_of_trapezoids() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.random((5, 7))
    expected = [np.trapezoid(drawn[::-1, r], EV[::-1]) / 6 for r in range(7)]
    assert area(drawn, EV) == pytest.approx(expected)
    assert area(np.full((5, 1), 0.4), EV) == pytest.approx([0.4])


def fabricated(folder: Path, skills: dict[float, dict[str, float]]) -> dict[float, RunEvidence]:
    images = make_images(60)
    levels = {}
    for number, (ev, of) in enumerate(skills.items()):
        make_run(folder / str(number), images, of, seed=7)
        levels[ev] = open_evidence(folder / str(number))
    return levels


def test_curves_of_runs(tmp_path: Path) -> None:
    levels = fabricated(
        tmp_path,
        {
            -4.0: {"Input": 0.1, "Better": 0.5},
            0.0: {"Input": 0.9, "Better": 0.9},
            -2.0: {"Input": 0.5, "Better": 0.8},
        },
    )
    score = next(c for c in levels[0.0].record.columns() if c.detector)
    got = night_curves(levels, score)
    assert got.exposures == (0.0, -2.0, -4.0)
    assert (got.baseline, got.n_images, got.n_left_out) == ("Input", 60, 0)
    base, better = got.curves
    assert (base.stops, base.area_difference) == (None, None)
    for number, ev in enumerate(got.exposures):
        results = results_of(tmp_path / str([-4.0, 0.0, -2.0].index(ev)))
        for curve in got.curves:
            assert curve.points[number] == results[curve.label].spread.scores["map"]
    assert better.stops is not None and better.stops.settled and 1 < better.stops.value < 3.5
    assert better.area_difference is not None and better.area_difference.settled
    assert better.area_difference.value == pytest.approx(better.area.value - base.area.value)


def test_the_page_colours_a_change_as_the_metric_has_it(tmp_path: Path) -> None:
    levels = fabricated(tmp_path, {0.0: {"Input": 0.5, "A": 0.5}, -1.0: {"Input": 0.4, "A": 0.4}})
    for score in levels[0.0].record.columns():
        made = night_curves(levels, score)
        more = tuple(replace(curve, area_difference=Interval(0.5, 0.4, 0.6)) for curve in made.curves)
        table = build_curve_table("Title", {"none": replace(made, curves=more)})
        # Label, stops, area, and what it is more than Input's.
        standing = "better" if score.metric.better == "higher" else "worse"
        assert [row[3].standing for row in main_table(table, ()).rows] == [standing, standing]


def test_what_has_no_curve_is_named(tmp_path: Path) -> None:
    levels = fabricated(tmp_path, {0.0: {"A": 0.9, "Gone": 0.9}, -1.0: {"A": 0.5}})
    score = next(c for c in levels[0.0].record.columns() if c.detector)
    got = night_curves(levels, score)
    assert ([curve.label for curve in got.curves], got.without, got.baseline) == (["A"], ("Gone",), None)
    notes = build_curve_table("Title", {"none": got}).notes
    assert "Without mAP at some exposure, and so not here: Gone." in notes
    assert not any("None" in note for note in notes)


def test_other_images_or_one_exposure_make_no_curve(tmp_path: Path) -> None:
    levels = fabricated(tmp_path, {0.0: {"Input": 0.5}, -1.0: {"Input": 0.4}})
    score = levels[0.0].record.columns()[0]
    with pytest.raises(DataError, match="do not make a curve"):
        night_curves({0.0: levels[0.0]}, score)
    fewer = replace(levels[-1.0], images=levels[-1.0].images[1:])
    with pytest.raises(DataError, match="59 images"):
        night_curves({0.0: levels[0.0], -1.0: fewer}, score)
    turned = replace(levels[-1.0], images=levels[-1.0].images[::-1])
    with pytest.raises(DataError, match="another order"):
        night_curves({0.0: levels[0.0], -1.0: turned}, score)


def of_another(record: RunRecord, what: str) -> RunRecord:
    if what == "detector":
        return replace(record, detectors=tuple(replace(each, label="other") for each in record.detectors))
    if what == "detectors":
        return replace(record, detectors=(*record.detectors, replace(record.detectors[0], label="other")))
    if what == "protocol":
        return replace(record, protocol=replace(record.protocol, iou_threshold=0.6))
    return replace(record, enhancers=tuple(replace(each, fingerprint="f" * 64) for each in record.enhancers))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("detector", "detector.name"),
        # The key of a mAP has the detector's name where there are several.
        ("detectors", "scores: niqe, map ->"),
        ("protocol", "protocol.iou_threshold"),
        ("weights", "enhancers.Input.fingerprint"),
    ],
)
def test_levels_that_were_measured_otherwise_make_no_curve(tmp_path: Path, what: str, said: str) -> None:
    levels = fabricated(tmp_path, {0.0: {"Input": 0.5}, -1.0: {"Input": 0.4}, -2.0: {"Input": 0.3}})
    levels[-1.0] = replace(levels[-1.0], record=of_another(levels[-1.0].record, what))
    with pytest.raises(DataError, match=f"-1 stops: {said}"):
        night_curves(levels, levels[0.0].record.columns()[0])


def test_a_report_draws_what_was_measured_as_the_lit_photos_were(tmp_path: Path) -> None:
    images = make_images(30)
    for folder, skill in (("lit", 0.9), ("noise_low/-1ev", 0.7), ("noise_low/-2ev", 0.5), ("noise_high/-1ev", 0.2)):
        # The ladder of the high noise is of fewer photos.
        make_run(tmp_path / "runs" / folder, images[:20] if "high" in folder else images, {"Input": skill})
    with ResultStore(tmp_path / "runs/noise_low/-1ev/results.sqlite") as store:
        store.put_run(of_another(store.last_run(), "protocol"))
    made, left_out = measured_night_curves(tmp_path)
    assert {noise: curves.exposures for noise, curves in made.items()} == {"low": (0.0, -2.0)}
    assert len(left_out) == 2
    assert left_out[0].startswith("Noise low, -1 stops: not in the curves") and "protocol.iou_threshold" in left_out[0]
    assert left_out[1].startswith("Noise high, -1 stops: not in the curves") and "10 images gone" in left_out[1]
    page = write_report(tmp_path, images=0).read_text(encoding="utf-8")
    assert page.count('data-charts="night"') == 1 and "Noise low, -1 stops: not in the curves" in page


def test_ladders() -> None:
    assert Ladder((-2.0, -1.0, -2.0)).exposures == (0.0, -1.0, -2.0)
    assert [Ladder().folder("low", ev) for ev in (0.0, -1.0, -2.5)] == ["lit", "noise_low/-1ev", "noise_low/-2.5ev"]
    # Else two levels would lie in one folder.
    assert Ladder((-1.0, -1.0000001, -0.00001)).exposures == (0.0, -1.0)
    for exposures in ((), (1.0,), (-17.0,), (float("nan"), -1.0), (-1.0, float("nan"))):
        with pytest.raises(ConfigError, match="--exposures"):
            Ladder(exposures)
    with pytest.raises(UnknownNameError, match="low"):
        Ladder(noise=("lov",))


def linear_to_srgb(values: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1, section 5.2."""
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("ev", [-0.5, -1.0, -2.0, -3.0])
def test_an_exposure_without_noise_is_undone_to_the_8_bit_limit(ev: float) -> None:
    levels = np.arange(256, dtype=np.uint8)
    image = np.repeat(levels[None, :, None], 3, axis=2)
    dark = darken(image, Camera(ev), np.random.default_rng(0))
    linear = srgb_to_linear(dark / 255.0) * 2.0**-ev
    undone = np.rint(255 * linear_to_srgb(np.minimum(linear, 1.0))).astype(int)
    # No better than that: levels that the dark image cannot tell apart lie as far apart as half a dark level is wide.
    edges = srgb_to_linear(np.clip((dark + np.array([-0.5, 0.5])[:, None, None, None]) / 255.0, 0, 1)) * 2.0**-ev
    low, high = 255 * linear_to_srgb(np.minimum(edges, 1.0))
    assert ((undone >= np.floor(low)) & (undone <= np.ceil(high))).all()
    assert ((image >= np.floor(low)) & (image <= np.ceil(high))).all()
    # Photographed again it is the same dark picture.
    again = darken(undone.astype(np.uint8), Camera(ev), np.random.default_rng(0))
    assert np.array_equal(again, dark)
    assert np.abs(undone - image).max() <= np.ceil((high - low).max() / 2 + 0.5)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, Path]:
    root = tmp_path_factory.mktemp("curve")
    made = make_bench(root)
    config = load_benchmark_config(made.config, overrides={"metrics": ["voc_ap"]})
    ladder = Ladder((-1.0, -3.0), ("none", "high"))
    summaries = measure_ladder(config, RunOptions(root / "out", workers=1), ladder)
    assert [folder for folder, _ in summaries] == [
        "lit", "noise_none/-1ev", "noise_none/-3ev", "noise_high/-1ev", "noise_high/-3ev",
    ]  # fmt: skip
    assert all(summary.ok and summary.measured == 12 for _, summary in summaries)
    return made, root / "out"


@pytest.mark.slow
def test_no_stop_less_is_the_lit_photo(measured: tuple[Bench, Path]) -> None:
    made, out = measured
    for image_id in made.ids:
        lit = read_image(made.root / "JPEGImages" / f"{image_id}.png")
        assert np.array_equal(read_image(out / "levels/lit/JPEGImages" / f"{image_id}.png"), lit)
    config = load_benchmark_config(made.config, overrides={"metrics": ["voc_ap"]})
    run(config, RunOptions(out.parent / "lit", workers=1))
    assert stored_rows(out / "runs/lit") == stored_rows(out.parent / "lit")


@pytest.mark.slow
def test_the_levels_are_what_the_camera_makes_of_them(measured: tuple[Bench, Path]) -> None:
    made, out = measured
    image_id = made.ids[0]
    lit = read_image(made.root / "JPEGImages" / f"{image_id}.png")
    dark = read_image(out / "levels/noise_none/-3ev/JPEGImages" / f"{image_id}.png")
    assert np.array_equal(dark, darken(lit, Camera(-3.0), np.random.default_rng(0)))
    noisy = read_image(out / "levels/noise_high/-3ev/JPEGImages" / f"{image_id}.png")
    assert not np.array_equal(noisy, dark) and abs(float(noisy.mean()) - float(dark.mean())) < 3


@pytest.mark.slow
def test_table_and_report(measured: tuple[Bench, Path]) -> None:
    _, out = measured
    table = write_night_curves(out, Ladder((-1.0, -3.0), ("none", "high")), "Curve <b>")
    assert [row.label for row in table.rows] == ["Input", "Brighten"]
    for noise in ("none", "high"):
        assert table.rows[0][f"{noise} 0"] == table.rows[0]["none 0"]
        assert table.rows[0][f"{noise} -3"].value <= table.rows[0][f"{noise} 0"].value
    assert list(measured_ladders(out)) == [Ladder((-1.0, -3.0), (noise,)) for noise in ("none", "high")]
    page = write_report(out, images=0).read_text(encoding="utf-8")
    assert page.count('data-charts="night"') == 2 and "Brighten at -3 stops" in page
    assert "Stops gained and area, noise high" in page and "electrons at full scale" in page
    # A folder with a run of its own has both, and one without a curve no such section.
    shutil.copy(out / "runs/noise_none/-1ev/results.sqlite", out)
    page = write_report(out, images=0).read_text(encoding="utf-8")
    assert page.count('data-charts="night"') == 2 and str(out / "levels/noise_none/-1ev") in page
    assert 'id="night"' not in write_report(out / "runs/lit", images=0).read_text(encoding="utf-8")
    (out / "results.sqlite").unlink()
    assert len({column.heading for column in table.columns}) == len(table.columns)
    for name in ("curve.md", "curve.csv", "curve.tex"):
        assert "stops gained" in (out / name).read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_command_resumes(measured: tuple[Bench, Path]) -> None:
    made, out = measured
    arguments = ["night-curve", str(made.config), "--exposures", "-1,-3", "--noise", "high", "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--workers", "1", "--cfg-options", "title=Again"])
    assert result.exit_code == 0, result.output
    assert "stops gained" in result.output
    wrong = CliRunner().invoke(app, ["night-curve", str(made.config), "--exposures", "one"])
    assert wrong.exit_code == 2 and "--exposures" in wrong.output
