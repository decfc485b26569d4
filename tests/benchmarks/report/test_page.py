from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from duskbench.benchmarks.evaluate import EnhancerResult
from duskbench.benchmarks.report.content import ReportContent
from duskbench.benchmarks.report.figures import series_classes, standing_of
from duskbench.benchmarks.report.gallery import choose_images
from duskbench.benchmarks.report.history import history_charts, listed_nights
from duskbench.benchmarks.report.page import build_page
from duskbench.benchmarks.report.pictures import PictureSet
from duskbench.benchmarks.report.render import json_in_html, render_report
from duskbench.benchmarks.report.tables import main_table
from duskbench.benchmarks.report.wording import axis_title, interval_text, number_text
from duskbench.benchmarks.statistics import Interval, Spread
from duskbench.benchmarks.table import build_table, cell_of, difference_key
from tests.benchmarks.report.conftest import HOSTILE, METRICS, make_content


class Tags(HTMLParser):
    """Opening tags with their attributes, and whether every tag that must close does."""

    VOID = frozenset({"meta", "link", "input", "img", "col", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


@pytest.mark.parametrize("detectors", [1, 2])
def test_the_page_is_well_formed_and_names_nothing_outside(detectors: int) -> None:
    page = render_report(make_content(detectors))
    tags = Tags(page)
    assert tags.open == []
    for tag, attributes in tags.found:
        for name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None and "url(" not in style[1] and "@import" not in style[1]
    [policy] = [a["content"] for _, a in tags.found if a.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in (policy or "").split("; "))
    hashes = [rules.pop("script-src"), rules.pop("style-src")]
    assert all(re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", one) for one in hashes)
    assert rules == {"default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}
    ids = [attributes["id"] for _, attributes in tags.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    anchors = {a["href"][1:] for _, a in tags.found if (a.get("href") or "").startswith("#")}  # type: ignore[index]
    assert anchors <= set(ids)


@pytest.mark.parametrize("detectors", [1, 2])
def test_nothing_of_a_run_becomes_markup(detectors: int) -> None:
    page = render_report(make_content(detectors))
    tags = [tag for tag, _ in Tags(page).found]
    # The data, and our own.
    assert tags.count("script") == 2
    assert "b" in tags and "<b>x.pth" not in page and "onerror=alert" in page and "<img src=x" not in page
    # Headings of metrics, detectors, sets of images, and reasons.
    assert {"i", "u"}.isdisjoint(tags) and "Haze &lt;i&gt;" in page and "too &lt;b&gt;small" in page
    assert ("shapes &lt;u&gt;" in page) == (detectors == 2) and "A &lt;b&gt;" in page
    assert "&lt;script&gt;window.hacked=1" in page
    assert HOSTILE not in page


def test_the_data_of_the_pictures_reads_back(content: ReportContent) -> None:
    page = render_report(content)
    blob = re.search(r'<script type="application/json" id="viewer-data">(.*?)</script>', page, re.DOTALL)
    assert blob is not None
    data = json.loads(blob[1])
    assert data == json.loads(json.dumps(build_page(content).viewer))
    assert data["left"] == "Input" and data["right"] == "Bright" and HOSTILE in data["labels"]
    first = data["images"][0]
    assert data["detectors"] == [{"label": "colours", "threshold": 0.4}]
    assert first["net"] == [{"Bright": 1, "Dim": 1, HOSTILE: 1}]
    assert first["detections"][0]["Input"] == [
        ["dog", [79.0, 40.0, 120.0, 81.0], 0.9, 0, 1],
        ["person", [100.0, 5.0, 140.0, 30.0], 0.6, 1, -1],
    ]
    assert data["images"][1]["reasons"] == {"Dim": "It <b>failed</b> here."}
    assert "Dim" not in data["images"][1]["detections"][0]


@pytest.mark.parametrize("text", ["</script>", "<!--", "]]>", "&amp;", "\u2028", 'a"b'])
def test_json_cannot_leave_its_element(text: str) -> None:
    made = json_in_html({"a": text})
    assert not set("<>&") & set(made)
    assert json.loads(made) == {"a": text}


def test_json_is_strict() -> None:
    with pytest.raises(ValueError):
        json_in_html({"a": float("nan")})


def test_the_same_content_gives_the_same_bytes(content: ReportContent) -> None:
    assert render_report(content) == render_report(content)


def test_the_main_table_has_numbers_intervals_and_marks(content: ReportContent) -> None:
    table = build_page(content).main
    heads = [head.text for head in table.heads]
    assert heads == [
        "Enhancer", "mAP", "Δ mAP to Input", "Haze <i>", "Δ Haze <i> to Input", "Clearness", "Δ Clearness to Input",
        "ms/image", "n", "failed",
    ]  # fmt: skip
    assert [head.arrow for head in table.heads[:7]] == ["", "↑", "↑", "↓", "↓", "↑", "↑"]
    assert [head.first for head in table.heads[1:4]] == ["descending", "descending", "ascending"]
    assert table.heads[2].hint == "higher is better, percentage points"
    rows = {row[0].text: row for row in table.rows}
    assert [cell.text for cell in rows["Bright"][1:7]] == ["55.00", "+15.00", "6.250", "−2.250", "0.6250", "+0.1250"]
    assert rows["Bright"][1].interval == "50.0 to 60.0"
    assert rows["Dim *"][2].interval == "−15.0 to −2.0"
    standings = {name: (row[2].standing, row[4].standing, row[6].standing) for name, row in rows.items()}
    assert standings["Bright"] == ("better", "better", "better")
    assert standings["Dim *"] == ("worse", "worse", "worse")
    assert standings[HOSTILE] == ("unsettled", "worse", "better")
    assert standings["Input"] == (None, None, None)
    assert [name for name, row in rows.items() if row[1].best] == ["Bright"]
    assert [name for name, row in rows.items() if row[5].best] == [HOSTILE]
    assert rows["Broken †"][1].sort is None and rows["Broken †"][1].text == "–"


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        # As of an enhancer that leaves each image as it is.
        ((0.0, 0.0, 0.0), (None, None)),
        ((0.1, 0.0, 0.0), (None, None)),
        ((0.1, 0.0, 0.2), ("unsettled", "unsettled")),
        ((0.1, 0.1, 0.1), ("better", "worse")),
    ],
)
def test_a_difference_of_nothing_is_neither_better_nor_worse(
    content: ReportContent, ends: tuple[float, float, float], expected: tuple[str | None, str | None]
) -> None:
    label = content.table.rows[1].label
    keys = [difference_key(score, "Input") for score in content.record.columns()]
    cell = cell_of(Interval(*ends), Interval(*ends))
    rows = [replace(row, cells={**row.cells, **dict.fromkeys(keys, cell)}) for row in content.table.rows]
    table = main_table(replace(content.table, rows=tuple(rows)), content.record.headline_first())
    [row] = [row for row in table.rows if row[0].text == label]
    assert (row[2].standing, row[4].standing) == expected


def test_scores_by_set_and_aps_by_class_stand_in_tables_of_their_own(content: ReportContent) -> None:
    page = build_page(content)
    assert [table.title for table in page.others] == ["Haze <i> by set", "Clearness by set"]
    assert [head.text for head in page.others[0].heads] == ["Enhancer", "Haze <i> A <b>", "Haze <i> B"]
    assert [table.title for table in page.by_class] == ["AP by class, %"]
    assert [head.text for head in page.by_class[0].heads] == ["Enhancer", "car", "person", "dog"]


def test_the_summary_says_what_the_table_says(content: ReportContent) -> None:
    assert build_page(content).summary == (
        "Highest mAP: Bright with 55.00 %, against 40.00 % of Input "
        "(+15.00 percentage points, interval +10.00 to +20.00).",
        "Better than Input by mAP: Bright.",
        "Worse than Input by mAP: Dim.",
        f"Neither clearly better nor clearly worse than Input by mAP: {HOSTILE}.",
        "Lowest Haze <i>: Bright with 6.250, against 8.500 of Input (−2.250, interval −2.650 to −1.850); "
        "lower is better.",
        f"Highest Clearness: {HOSTILE} with 0.7500, against 0.5000 of Input (+0.2500, interval +0.2000 to +0.3000).",
    )


def test_equal_numbers_are_best_together(content: ReportContent) -> None:
    scores = {"map": Interval(0.0)}
    results = tuple(replace(r, spread=replace(r.spread, scores=scores)) for r in content.results[:-1])
    [first, *_] = build_page(replace(content, results=results)).summary
    assert first == f"Highest mAP: Input, Bright, Dim, {HOSTILE} with 0.00 %."


def test_a_row_over_other_images_is_not_the_best_of_the_summary(content: ReportContent) -> None:
    results = tuple(replace(r, lacks=frozenset({0})) if r.label == "Bright" else r for r in content.results)
    summary = build_page(replace(content, results=results)).summary
    assert not any("Bright with" in line for line in summary) and summary[0].startswith("Highest mAP: ")


def test_every_score_has_its_chart_of_differences_the_best_first(content: ReportContent) -> None:
    forests = {chart.heading: chart for chart in build_page(content).forests}
    assert {heading: [bar.label for bar in chart.bars] for heading, chart in forests.items()} == {
        "mAP": ["Bright", HOSTILE, "Dim"],
        "Haze <i>": ["Bright", "Dim", HOSTILE],
        "Clearness": [HOSTILE, "Bright", "Dim"],
    }
    assert [bar.standing for bar in forests["Haze <i>"].bars] == ["better", "worse", "worse"]
    assert forests["mAP"].hint == "percentage points, higher is better"
    assert forests["Haze <i>"].hint == "lower is better"
    assert forests["mAP"].bars[0].detail == "Bright: +15.00 percentage points, interval +10.00 to +20.00"


def test_the_scatter_is_of_the_first_of_each_kind(content: ReportContent) -> None:
    chart = build_page(content).scatter
    assert chart is not None and chart.best == "top left"
    assert (chart.x_axis, chart.y_axis) == ("Haze <i> ↓", "mAP, % ↑")
    assert [point.detail for point in chart.points][:2] == [
        "Input: Haze <i> 8.500, mAP 40.00 %",
        "Bright: Haze <i> 6.250, mAP 55.00 %",
    ]
    metrics = METRICS[::-1]
    other = build_page(replace(content, record=replace(content.record, metrics=metrics))).scatter
    assert other is not None and other.best == "top right" and other.x_heading == "Clearness"


def test_a_bound_does_not_compete(content: ReportContent) -> None:
    enhancers = list(content.record.enhancers)
    enhancers[1] = replace(enhancers[1], upper_bound=True)
    page = build_page(replace(content, record=replace(content.record, enhancers=tuple(enhancers))))
    assert page.summary[0].startswith(f"Highest mAP: {HOSTILE}")
    assert [bar.label for bar in page.forests[0].bars] == [HOSTILE, "Dim"]
    panels = page.groups[0].scores[0].panels
    assert {bar.standing for panel in panels for bar in panel.bars if bar.label == "Bright"} == {"bound"}
    assert page.viewer is not None and page.viewer["right"] == HOSTILE


def test_panels_share_a_scale_and_mark_what_is_settled(content: ReportContent) -> None:
    page = build_page(content)
    assert [group.key for group in page.groups] == ["class", "lighting"]
    assert [score.axis for score in page.groups[0].scores] == ["AP, % ↑"]
    assert [score.axis for score in page.groups[1].scores] == ["mAP, % ↑", "Haze <i> ↓", "Clearness ↑"]
    panel = page.groups[0].scores[0].panels[0]
    assert (panel.title, panel.subtitle) == ("car", "4 objects in 3 images")
    # 0 to 80 % on the axis: the highest end is 65.
    assert [(bar.start, bar.at) for bar in panel.bars] == [(0, 50.0), (0, 68.75), (0, 38.75), (0, 52.5)]
    assert panel.baseline == 50.0
    assert [bar.standing for bar in panel.bars] == ["baseline", "better", "worse", "unsettled"]
    assert panel.bars[1].detail == "Bright: 55.0 %, interval 45.0 to 65.0; +15.0 against Input, interval +10.0 to +20.0"
    haze = page.groups[1].scores[1].panels[0]
    assert haze.subtitle == "3 images"
    assert [bar.standing for bar in haze.bars] == ["baseline", "better", "worse", "worse"]


def test_bars_of_negative_numbers_start_at_zero(content: ReportContent) -> None:
    [_, lighting] = content.breakdowns
    part = lighting.parts[0]
    spreads = {label: Spread({"clear": Interval(value)}) for label, value in {"Input": -0.5, "Bright": 0.5}.items()}
    parts = (replace(part, spreads=spreads, differences={}),)
    page = build_page(replace(content, breakdowns=(replace(lighting, parts=parts, labels=("Input", "Bright")),)))
    [score] = page.groups[0].scores
    assert [(bar.start, bar.at, bar.text) for bar in score.panels[0].bars] == [
        (50.0, 8.33, "−0.500"),
        (50.0, 91.67, "0.500"),
    ]


def test_two_detectors_stand_side_by_side(two: ReportContent) -> None:
    page = build_page(two)
    assert [head.text for head in page.main.heads[1:5:2]] == ["mAP colours", "mAP shapes <u>"]
    assert [chart.heading for chart in page.forests] == ["mAP colours", "mAP shapes <u>", "Haze <i>", "Clearness"]
    assert [(one.detector, one.threshold) for one in page.changes] == [("colours", "0.40"), ("shapes <u>", "0.20")]
    assert [one.detector for one in page.curves] == ["colours", "shapes <u>"]
    assert [score.heading for score in page.groups[0].scores] == ["AP colours", "AP shapes <u>"]
    assert [table.title for table in page.by_class] == ["AP by class of colours, %", "AP by class of shapes <u>, %"]
    assert page.viewer is not None and [d["threshold"] for d in page.viewer["detectors"]] == [0.4, 0.2]
    # Bright, hostile, Input, Dim and Bright, Dim, Input, hostile: three of six pairs agree.
    [agreement] = page.agreements
    assert (agreement.pair, agreement.n_enhancers) == ("mAP colours and mAP shapes <u>", 4)
    assert (agreement.kendall, agreement.kendall_interval) == ("0.00", "0.00 to 0.00")
    assert (agreement.spearman, agreement.spearman_interval) == ("0.20", "0.20 to 0.20")
    assert any("Kendall's tau-b 0.00 [0.00, 0.00]" in note for note in page.notes)


def test_a_run_without_detector_has_a_report() -> None:
    content = make_content(0)
    page = build_page(content)
    assert (page.scatter, page.changes, page.curves, page.agreements, page.by_class) == (None, (), (), (), ())
    assert page.summary[0].startswith("Lowest Haze <i>: Bright with 6.250")
    assert [chart.heading for chart in page.forests] == ["Haze <i>", "Clearness"]
    assert [score.heading for score in page.groups[0].scores] == ["Haze <i>", "Clearness"]
    assert page.viewer is not None and (page.viewer["detectors"], page.viewer["right"]) == ([], "Bright")
    assert Tags(render_report(content)).open == []


def test_a_run_in_which_nothing_could_be_built_has_a_report(content: ReportContent) -> None:
    results = tuple(EnhancerResult(r.label, 0, 6, error="No weights.") for r in content.results)
    shown = tuple(replace(one, views={}) for one in content.shown)
    pictures = tuple(PictureSet(None, {}, {}) for _ in shown)
    bare = ReportContent(content.record, results, build_table(content.record, results), shown=shown,
                         pictures=pictures)  # fmt: skip
    page = build_page(bare)
    assert (page.viewer, page.summary, len(page.failures)) == (None, (), 5)
    assert Tags(render_report(bare)).open == []


def test_the_first_score_of_detections_is_the_headline(content: ReportContent) -> None:
    assert [score.key for score in content.record.headline_first()] == ["map", "haze", "clear"]


def test_failures_are_listed_with_their_reasons(content: ReportContent) -> None:
    failures = [(f.label, f.image, f.reason) for f in build_page(content).failures]
    assert failures == [
        ("Bright", "2 images", "no Haze <i>: too <b>small"),
        ("Dim", "2015_00006", "ValueError: <img src=x onerror=alert(1)>"),
        ("Broken", "all", "No weights. where: </table><b>x.pth"),
    ]
    # A number that an image has not is no failure.
    assert build_page(content).n_failed == 2


def test_many_failures_are_shortened_and_counted(content: ReportContent) -> None:
    many = {f"{number:05d}": "x" * 1000 for number in range(70)}
    results = (replace(content.results[0], failures=many), *content.results[1:])
    page = build_page(replace(content, results=results))
    assert (len(page.failures), page.failures_left_out) == (50, 23)
    assert len(page.failures[0].reason) == 400


def test_history_is_drawn_night_by_night(content: ReportContent) -> None:
    series = series_classes(["Input", "Bright"], "Input", frozenset())
    charts = {chart.heading: chart for chart in history_charts(content.history, series)}
    # A score of which no night has a number is not drawn.
    assert {heading: chart.axis for heading, chart in charts.items()} == {"Haze <i>": "Haze <i> ↓", "mAP": "mAP, % ↑"}
    of_map = charts["mAP"]
    bright = next(line for line in of_map.lines if line.label == "Bright")
    assert [x for x, _, _ in bright.dots] == [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
    assert bright.dots[-1][2] == "Bright, 2026-11-06 03:00: 60.00"
    assert bright.path.count("M") == 1 and bright.path.count("L") == 5
    assert [mark.kind for mark in of_map.marks] == ["green"] * 5 + ["red"]
    assert of_map.x[0].text == "11-01" and of_map.x[-1].text == "11-06"
    newest, *_, oldest = listed_nights(content.history)
    assert newest.reasons == ("Bright, mAP: mAP fell by <2 points",) and oldest.is_baseline


def test_a_line_breaks_where_nights_do_not_compare(content: ReportContent) -> None:
    nights = list(content.history)
    nights[3:] = [replace(night, images_digest="other") for night in nights[3:]]
    nights[1] = replace(nights[1], enhancers=tuple(e for e in nights[1].enhancers if e.label != "Bright"))
    of_map = next(chart for chart in history_charts(nights, {"Bright": "s0"}) if chart.heading == "mAP")
    # Night 1 lacks it and night 3 begins another set of images.
    assert re.sub(r"[0-9. ]", "", of_map.lines[0].path) == "MMMLL"


@pytest.mark.parametrize("n", [0, 1])
def test_one_night_is_no_curve(content: ReportContent, n: int) -> None:
    assert history_charts(content.history[:n], {"Bright": "s0"}) == []
    assert Tags(render_report(replace(content, history=content.history[:n]))).open == []


@pytest.mark.parametrize(
    ("change", "standing"),
    [
        (Interval(0.1, 0.05, 0.2), "better"),
        (Interval(-0.1, -0.2, -0.05), "worse"),
        (Interval(0.1, -0.05, 0.2), "unsettled"),
        (Interval(0.1), "unsettled"),
        (None, "unsettled"),
    ],
)
def test_standings(change: Interval | None, standing: str) -> None:
    higher, lower = (score for score in make_content().record.columns() if score.key in ("map", "haze"))
    if higher.metric.better == "lower":
        higher, lower = lower, higher
    assert standing_of("A", higher, change, "Input", frozenset()) == standing
    other = {"better": "worse", "worse": "better"}.get(standing, standing)
    assert standing_of("A", lower, change, "Input", frozenset()) == other
    assert standing_of("A", higher, change, "A", frozenset()) == "baseline"
    assert standing_of("A", higher, change, "Input", frozenset({"A"})) == "bound"


def test_numbers_have_their_units_and_a_real_minus() -> None:
    haze, share, clear = METRICS
    assert number_text(share, -0.0312, fewer=1, sign=True) == "−3.1"
    assert number_text(clear, 0.12345) == "0.1235" and number_text(replace(haze, digits=0), 3.6, fewer=1) == "4"
    assert interval_text(haze, Interval(0.0, -1.25, 0.5), fewer=1, sign=True) == "−1.25 to +0.50"
    assert interval_text(haze, Interval(0.0)) == ""
    assert (axis_title("mAP", share), axis_title("Haze", haze)) == ("mAP, % ↑", "Haze ↓")


def test_series_beyond_the_colours_are_dashed() -> None:
    classes = series_classes([f"e{n}" for n in range(12)], "e3", frozenset({"e4"}))
    assert classes["e3"] == "series s-baseline" and classes["e4"] == "series s-bound"
    assert classes["e0"] == "series s0" and classes["e11"] == "series s0 s-dashed"
    assert len(set(classes.values())) == 12


def test_every_enhancer_chooses_its_best_and_worst_in_turn(content: ReportContent) -> None:
    bright, dim, hostile = content.detectors[0].changes
    first = replace(dim.images[0], image_id="c")
    dim = replace(dim, images=(first, replace(dim.images[1], image_id="d")))
    ids = ["a", "b", "c", "d", "2015_00001", "2015_00002"]
    chosen = choose_images([hostile, dim, bright], ["Bright", "Dim", HOSTILE], ids, 5)
    # Bright's best, Dim's best, the third's worst (its best is taken), Dim's worst, and one to fill up.
    assert chosen == ["2015_00001", "c", "2015_00002", "d", "a"]
    assert choose_images([], [], ids, 3) == ["a", "c", "2015_00001"]
    assert choose_images([], [], ids, 99) == ids
    assert choose_images([bright], ["Bright"], ids, 0) == []
    assert len(np.unique(chosen)) == 5
