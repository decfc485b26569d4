from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from duskbench.benchmarks.evaluate import EnhancerResult
from duskbench.benchmarks.report.content import ReportContent
from duskbench.benchmarks.report.figures import interval_text, percent, series_classes, verdict_of
from duskbench.benchmarks.report.gallery import choose_images
from duskbench.benchmarks.report.history import history_charts, listed_nights
from duskbench.benchmarks.report.page import build_page
from duskbench.benchmarks.report.pictures import PictureSet
from duskbench.benchmarks.report.render import json_in_html, render_report
from duskbench.benchmarks.statistics import Interval
from duskbench.benchmarks.table import build_table

HOSTILE = "<script>window.hacked=1</script>"


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


def test_the_page_is_well_formed_and_names_nothing_outside(content: ReportContent) -> None:
    page = render_report(content)
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


def test_nothing_of_a_run_becomes_markup(content: ReportContent) -> None:
    page = render_report(content)
    tags = [tag for tag, _ in Tags(page).found]
    # The data, and our own.
    assert tags.count("script") == 2
    assert "b" in tags and "<b>x.pth" not in page and "onerror=alert" in page and "<img src=x" not in page
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
    assert first["net"] == {"Bright": 1, "Dim": 1, HOSTILE: 1}
    assert first["detections"]["Input"] == [
        ["dog", [79.0, 40.0, 120.0, 81.0], 0.9, 0, 1],
        ["person", [100.0, 5.0, 140.0, 30.0], 0.6, 1, -1],
    ]
    assert data["images"][1]["reasons"] == {"Dim": "It <b>failed</b> here."}


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
    assert heads[:5] == ["Enhancer", "mAP", "Δ mAP to Input", "NIQE", "Δ NIQE to Input"]
    assert [head.arrow for head in table.heads[:5]] == ["", "↑", "↑", "↓", "↓"]
    assert [head.first for head in table.heads[1:4]] == ["descending", "descending", "ascending"]
    rows = {row[0].text: row for row in table.rows}
    assert [cell.text for cell in rows["Bright"][1:5]] == ["55.00", "+15.00", "6.250", "−2.250"]
    assert rows["Bright"][1].interval == "50.0 to 60.0"
    assert rows["Dim *"][2].interval == "−15.0 to −2.0"
    verdicts = {name: (row[2].verdict, row[4].verdict) for name, row in rows.items()}
    assert verdicts["Bright"] == ("better", "better")
    assert verdicts["Dim *"] == ("worse", "worse")
    assert verdicts[HOSTILE] == ("unsettled", "worse")
    assert verdicts["Input"] == (None, None)
    assert [name for name, row in rows.items() if row[1].best] == ["Bright"]
    assert rows["Broken †"][1].sort is None and rows["Broken †"][1].text == "–"


def test_the_summary_says_what_the_table_says(content: ReportContent) -> None:
    assert build_page(content).summary == (
        "Highest mAP: Bright with 55.00 %, against 40.00 % of Input (+15.00 points, interval +10.00 to +20.00).",
        "Better than Input: Bright.",
        "Worse than Input: Dim.",
        f"Not settled by these images, better or worse than Input: {HOSTILE}.",
        "Best (lowest) NIQE: Bright with 6.250.",
    )


def test_a_bound_does_not_compete(content: ReportContent) -> None:
    record = json.loads(json.dumps(content.record))
    record["enhancers"][1]["upper_bound"] = True
    page = build_page(replace(content, record=record))
    assert page.summary[0].startswith(f"Highest mAP: {HOSTILE}")
    assert page.forest is not None and [bar.label for bar in page.forest.bars] == [HOSTILE, "Dim"]
    assert {bar.verdict for panel in page.groups[0].panels for bar in panel.bars if bar.label == "Bright"} == {"bound"}
    assert page.viewer is not None and page.viewer["right"] == HOSTILE


def test_panels_share_a_scale_and_mark_what_is_settled(content: ReportContent) -> None:
    page = build_page(content)
    assert [group.key for group in page.groups] == ["class", "lighting"]
    panel = page.groups[0].panels[0]
    assert (panel.title, panel.subtitle) == ("car", "4 objects in 3 images")
    # 0 to 80 % on the axis: the highest end is 65.
    assert [bar.at for bar in panel.bars] == [50.0, 68.75, 38.75, 52.5]
    assert panel.reference == 50.0
    assert [bar.verdict for bar in panel.bars] == ["reference", "better", "worse", "unsettled"]
    assert panel.bars[1].detail == "Bright: 55.0 %, interval 45.0 to 65.0; +15.0 against Input, interval +10.0 to +20.0"


def test_a_run_without_detector_has_a_report(content: ReportContent) -> None:
    record = {**content.record, "detector": {"name": None, "fingerprint": "none"}}
    results = tuple(replace(r, map=None, ap={}, map_interval=None, against={}) for r in content.results)
    bare = ReportContent(record, results, build_table(record, results), content.options, shown=content.shown,
                         pictures=content.pictures)  # fmt: skip
    page = build_page(bare)
    assert (page.forest, page.scatter, page.changes, page.groups, page.curves) == (None, None, None, (), ())
    assert page.summary == ("Best (lowest) NIQE: Bright with 6.250.",)
    assert Tags(render_report(bare)).open == []


def test_a_run_in_which_nothing_could_be_built_has_a_report(content: ReportContent) -> None:
    results = tuple(EnhancerResult(r.label, 0, 6, error="No weights.") for r in content.results)
    shown = tuple(replace(one, views={}) for one in content.shown)
    pictures = tuple(PictureSet(None, {}, {}) for _ in shown)
    bare = ReportContent(content.record, results, build_table(content.record, results), content.options, shown=shown,
                         pictures=pictures)  # fmt: skip
    page = build_page(bare)
    assert (page.viewer, page.summary, len(page.failures)) == (None, (), 5)
    assert Tags(render_report(bare)).open == []


def test_failures_are_listed_with_their_reasons(content: ReportContent) -> None:
    failures = [(f.label, f.image, f.reason) for f in build_page(content).failures]
    assert failures == [
        ("Dim", "2015_00006", "ValueError: <img src=x onerror=alert(1)>"),
        ("Broken", "all", "No weights. where: </table><b>x.pth"),
    ]


def test_many_failures_are_cut_and_counted(content: ReportContent) -> None:
    many = {f"{number:05d}": "x" * 1000 for number in range(70)}
    results = (replace(content.results[0], failures=many), *content.results[1:])
    page = build_page(replace(content, results=results))
    assert (len(page.failures), page.failures_left_out) == (50, 22)
    assert len(page.failures[0].reason) == 400


def test_history_is_drawn_night_by_night(content: ReportContent) -> None:
    series = series_classes(["Input", "Bright"], "Input", frozenset())
    of_map, of_niqe = history_charts(content.history, series)
    assert (of_map.heading, of_niqe.heading) == ("mAP", "NIQE")
    bright = next(line for line in of_map.lines if line.label == "Bright")
    assert [x for x, _, _ in bright.dots] == [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
    assert bright.dots[-1][2] == "Bright, 2026-11-06 03:00: 60.00"
    assert bright.path.count("M") == 1 and bright.path.count("L") == 5
    assert [mark.verdict for mark in of_map.marks] == ["green"] * 5 + ["red"]
    assert of_map.dates[0].text == "11-01" and of_map.dates[-1].text == "11-06"
    newest, *_, oldest = listed_nights(content.history)
    assert newest.reasons == ("Bright, mAP: mAP fell by <2 points",) and oldest.is_baseline


def test_a_line_breaks_where_nights_do_not_compare(content: ReportContent) -> None:
    nights = list(content.history)
    nights[3:] = [replace(night, context={"protocol": "b"}) for night in nights[3:]]
    nights[1] = replace(nights[1], enhancers=tuple(e for e in nights[1].enhancers if e.label != "Bright"))
    [of_map, _] = history_charts(nights, {"Bright": "s0"})
    # Night 1 lacks it and night 3 begins another protocol.
    assert re.sub(r"[0-9. ]", "", of_map.lines[0].path) == "MMMLL"


@pytest.mark.parametrize("n", [0, 1])
def test_one_night_is_no_curve(content: ReportContent, n: int) -> None:
    assert history_charts(content.history[:n], {"Bright": "s0"}) == []
    assert Tags(render_report(replace(content, history=content.history[:n]))).open == []


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (Interval(0.1, 0.05, 0.2), "better"),
        (Interval(-0.1, -0.2, -0.05), "worse"),
        (Interval(0.1, -0.05, 0.2), "unsettled"),
        (Interval(0.1), "unsettled"),
        (None, "unsettled"),
    ],
)
def test_verdicts(change: Interval | None, verdict: str) -> None:
    assert verdict_of("A", change, "Input", frozenset()) == verdict
    assert verdict_of("A", change, "A", frozenset()) == "reference"
    assert verdict_of("A", change, "Input", frozenset({"A"})) == "bound"


def test_numbers_have_a_real_minus() -> None:
    assert percent(-0.0312, 1, sign=True) == "−3.1"
    assert interval_text(Interval(0.0, -1.25, 0.5), 1, sign=True) == "−1.2 to +0.5"
    assert interval_text(Interval(0.0), 1) == ""


def test_series_beyond_the_colours_are_dashed() -> None:
    classes = series_classes([f"e{n}" for n in range(12)], "e3", frozenset({"e4"}))
    assert classes["e3"] == "series s-reference" and classes["e4"] == "series s-bound"
    assert classes["e0"] == "series s0" and classes["e11"] == "series s0 s-dashed"
    assert len(set(classes.values())) == 12


def test_every_enhancer_chooses_its_best_and_worst_in_turn(content: ReportContent) -> None:
    bright, dim, hostile = content.changes
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
