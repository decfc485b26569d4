"""From numbers to text, in every form."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from duskbench.benchmarks.evaluate import EnhancerResult
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.record import (
    DataEntry,
    DetectorEntry,
    EnhancerEntry,
    Environment,
    MetricEntry,
    RunRecord,
)
from duskbench.benchmarks.statistics import BootstrapOptions, Difference, Draws, Interval, Spread
from duskbench.benchmarks.table import Cell, Column, Table, TableRow, build_table
from duskbench.benchmarks.table_formats import to_csv, to_latex, to_markdown, to_terminal
from duskbench.benchmarks.tracking import table_numbers
from tests.benchmarks.fabricate import metric

DETECTOR = DetectorEntry("rfb", "rfb", "f" * 64, "i" * 64, ("car", "dog"))


def record(**changes: Any) -> RunRecord:
    made = RunRecord(
        name="tiny",
        title="Tiny",
        data=DataEntry("exdark", "data/exdark"),
        detectors=(DETECTOR,),
        enhancers=tuple(
            EnhancerEntry(label, label, label, upper_bound=label == "Lit")
            for label in ("Input", "A|B", "Lit", "Broken")
        ),
        metrics=(metric("niqe"), metric("voc_ap")),
        protocol=Protocol(classes=("car", "dog")),
        environment=Environment(started="today", device="cpu", packages={"torch": "2.15.0"}),
        image_ids=("1", "2", "3"),
    )
    return replace(made, **changes)


def spread(niqe: float, ap: float | None = None) -> Spread:
    """Numbers without intervals; of the classes only `car` has an object."""
    scores = {"niqe": Interval(niqe)} | ({} if ap is None else {"map": Interval(ap)})
    return Spread(scores, {} if ap is None else {"map": {"car": Interval(ap)}})


RESULTS = [
    EnhancerResult("Input", 3, 3, spread=spread(4.92712, 0.5578), ms_enhance=0.01),
    EnhancerResult("A|B", 2, 3, {"3": "too dark"}, spread(4.2, 0.6), {"niqe": {"too small": 1}}),
    EnhancerResult("Lit", 3, 3, spread=spread(3.0, 0.9)),
    EnhancerResult("Broken", 0, 3, error="No weights.\n  where: there"),
]


def test_markdown_shows_numbers_marks_and_the_protocol() -> None:
    text = to_markdown(build_table(record(), RESULTS))
    lines = text.splitlines()
    assert lines[2].startswith("| Enhancer | NIQE ↓ | mAP ↑ | ms/image | n | failed | car ↑ | dog ↑ |")
    assert lines[4] == "| Input | 4.927 | 55.78 | 0.0 | 3 | 0 | 55.8 | – |"
    # The bound is better than both and still not the best; the best of those that compete is bold.
    assert lines[5] == "| A\\|B * | **4.200** | **60.00** | – | 2 | 1 | **60.0** | – |"
    assert lines[6] == "| Lit | 3.000 | 90.00 | – | 3 | 0 | 90.0 | – |"
    assert lines[7].startswith("| Broken † | – | – | – | 0 | 0 | – | – |")
    for note in (
        "IoU > 0.5",
        "\n- \\* A|B: over 2 of 3 images, 1 failed.",
        "† Broken could not be built: No weights. where: there",
        "A|B: 1 image without NIQE (too small).",
        "Without ground truth here and so not in the mean: dog.",
    ):
        assert note in text


def test_a_row_over_other_images_has_no_best_value_and_no_other_is_best_beside_it() -> None:
    two = [RESULTS[0], replace(RESULTS[1], lacks=frozenset({2}))]
    text = to_markdown(build_table(record(), two))
    assert "**" not in text and "1 failed; over other images than the rest, it competes for no best value." in text
    worse = replace(RESULTS[0], label="Lit", spread=spread(5.0, 0.5))
    text = to_markdown(build_table(record(enhancers=record().enhancers[:2]), [*two, worse]))
    assert "| Input | **4.927** | **55.78** |" in text and "| A\\|B * | 4.200 | 60.00 |" in text
    # What all lack keeps nobody from being the best.
    text = to_markdown(build_table(record(), [replace(each, lacks=frozenset({2})) for each in two]))
    assert "| A\\|B * | **4.200** | **60.00** |" in text


def test_a_row_has_one_name_in_all_csv_files_of_a_run() -> None:
    assert [line.split(",")[0] for line in to_csv(build_table(record(), RESULTS)).splitlines()[1:]] == [
        "Input", "A|B", "Lit", "Broken",
    ]  # fmt: skip


def test_reasons_that_differ_in_their_numbers_alone_are_one_line() -> None:
    reasons = {"90x80 holds 0 blocks": 3, "constant": 2, "190x80 holds 1 blocks": 1, "75x8 holds 0 blocks": 1}
    result = replace(RESULTS[0], reasons={"niqe": reasons})
    assert [note for note in build_table(record(), [result]).notes if "images without" in note] == [
        "Input: 5 images without NIQE (such as 90x80 holds 0 blocks).",
        "Input: 2 images without NIQE (constant).",
    ]


def test_csv_is_in_full_precision() -> None:
    frame = pd.read_csv(io.StringIO(to_csv(build_table(record(), RESULTS))))
    assert frame["NIQE"][0] == 4.92712
    assert frame["mAP"].tolist()[:3] == [0.5578, 0.6, 0.9]
    assert frame["dog"].isna().all()


def test_latex_has_one_row_each_and_escapes() -> None:
    text = to_latex(build_table(record(title="a_b"), RESULTS))
    assert text.count(r" \\") == 1 + len(RESULTS)
    assert r"\textbf{60.00}" in text and "–" not in text.split("%")[1]
    assert r"Broken $\dagger$" in text


def test_a_metric_without_digits_behind_the_point_and_with_any_heading() -> None:
    """It ended the table with a traceback; its heading was another column in Markdown and a formula in LaTeX."""
    whole = replace(metric("niqe"), digits=0, heading="a|b {$x^2_}")
    results = [EnhancerResult("Input", 3, 3, spread=Spread({"niqe": Interval(4.4, 3.6, 5.2)}))]
    table = build_table(record(detectors=(), metrics=(whole,)), results)
    assert to_markdown(table).splitlines()[2:5:2] == [
        r"| Enhancer | a\|b {$x^2_} ↓ | ms/image | n | failed |",
        "| Input | 4 [4, 5] | – | 3 | 0 |",
    ]
    assert r" & a|b \{\$x\textasciicircum{}2\_\} $\downarrow$ & " in to_latex(table)


def test_terminal_holds_the_same_numbers() -> None:
    console = Console(width=120, file=io.StringIO(), force_terminal=False)
    console.print(to_terminal(build_table(record(), RESULTS)))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for number in ("4.927", "55.78", "60.00", "AP by class"):
        assert number in text


def test_a_long_title_stays_on_its_line() -> None:
    title = f"results.json on {'/a/long/path' * 12}"
    console = Console(width=120, file=io.StringIO(), force_terminal=True, color_system=None)
    console.print(to_terminal(build_table(record(title=title), RESULTS)), crop=False)
    assert title in console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_groups_and_no_detector() -> None:
    changes = record(
        data=DataEntry("lowlight", "data/lowlight", "all", ("DICM", "MEF")), detectors=(), metrics=(metric("niqe"),)
    )
    results = [EnhancerResult("Input", 3, 3, spread=spread(4.0), by_group={"niqe": {"DICM": 3.5, "MEF": 5.0}})]
    text = to_markdown(build_table(changes, results))
    assert "Detector: none: no mAP." in text
    header, _, row = text.splitlines()[2:5]
    assert header == "| Enhancer | NIQE DICM ↓ | NIQE MEF ↓ | NIQE ↓ | ms/image | n | failed |"
    assert row == "| Input | 3.500 | 5.000 | 4.000 | – | 3 | 0 |"


def test_the_papers_row_stands_below_where_it_is_the_papers() -> None:
    paper = {"source": "the paper", "rows": {"mAP": {"Input": 55.78, "Ours": 56.99}}}
    assert "mAP: Input 55.78, Ours 56.99" in to_markdown(build_table(record(paper=paper), RESULTS))
    short = to_markdown(build_table(record(paper={**paper, "data": "exdark", "n_images": 2563}), RESULTS))
    assert "on 2563 images: not comparable with 3" in short
    assert "55.78, Ours" not in to_markdown(build_table(record(paper={**paper, "data": "VOC2007"}), RESULTS))
    assert "paper" not in to_markdown(build_table(record(), RESULTS))


def test_coco_columns_only_where_computed() -> None:
    assert "COCO" not in to_markdown(build_table(record(), RESULTS)).splitlines()[2]
    metrics = tuple(map(metric, ("niqe", "voc_ap", "coco_ap", "coco_ap75")))
    numbers = replace(spread(4.0, 0.5), scores={"map": Interval(0.5), "coco AP50:95": Interval(0.3)})
    table = build_table(record(metrics=metrics), [EnhancerResult("Input", 3, 3, spread=numbers)])
    header, _, row = to_markdown(table).splitlines()[2:5]
    assert "| COCO AP50:95 ↑ | COCO AP75 ↑ |" in header and "| 30.00 | – |" in row


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ({}, None),
        ({"car": 20, "dog": 400}, None),
        ({"car": 19, "dog": 400}, None),
        ({"car": 19, "dog": 400, "cat": 1}, "2 of 3 classes have fewer than 20 objects"),
        ({"car": 3}, "1 of 1 classes have fewer than 20 objects"),
    ],
)
def test_few_objects_are_said_beside_intervals(objects: dict[str, int], expected: str | None) -> None:
    spread = Spread({"map": Interval(0.5, 0.4, 0.6)}, {"map": {"car": Interval(0.5, 0.4, 0.6)}}, objects=objects)
    notes = build_table(record(), [EnhancerResult("Input", 3, 3, spread=spread)]).notes
    said = [note for note in notes if "objects: intervals of mAP are too narrow" in note]
    assert [note.split(":")[0] for note in said] == ([] if expected is None else [expected])


def test_two_detectors_have_columns_of_their_own() -> None:
    two = record(detectors=(DETECTOR, replace(DETECTOR, label="ssd", fingerprint="e" * 64)))
    results = []
    for label, rfb, ssd in (("Input", 0.2, 0.5), ("A|B", 0.3, 0.4), ("C", 0.4, 0.3), ("Lit", 0.9, 0.9)):
        numbers = {"map rfb": rfb, "map ssd": ssd}
        made = Spread(
            {key: Interval(value) for key, value in numbers.items()},
            {key: {"car": Interval(value)} for key, value in numbers.items()},
            draws={key: Draws(np.full(3, value)) for key, value in numbers.items()},
        )
        results.append(EnhancerResult(label, 3, 3, spread=made))
    text = to_markdown(build_table(two, results))
    header, _, row = text.splitlines()[2:5]
    assert header.startswith("| Enhancer | NIQE ↓ | mAP rfb ↑ | mAP ssd ↑ | ms/image | n | failed | car rfb ↑ |")
    assert "| 20.00 | **50.00** |" in row
    # Without the bound, which both put first.
    assert (
        "Order of the 3 enhancers by mAP rfb and by mAP ssd: Kendall's tau-b -1.00 [-1.00, -1.00], "
        "Spearman's rho -1.00 [-1.00, -1.00]" in text
    )


def test_a_metric_from_outside_is_a_column_like_any_other() -> None:
    haze = MetricEntry("haze", "mine.py:Haze", "h", "i", "image", "Haze", "lower", digits=1, note="Haze: by eye.")
    numbers = {"Input": Interval(4.0, 3.75, 4.25), "A|B": Interval(3.0, 2.75, 3.25)}
    moved = Difference({"haze": Interval(-1.0, -1.5, 0.5)}, baseline="Input", n_images=3)
    results = [
        EnhancerResult(
            label, 3, 3, spread=Spread({"haze": number}), against={} if label == "Input" else {"Input": moved}
        )
        for label, number in numbers.items()
    ]
    text = to_markdown(build_table(record(metrics=(haze,), detectors=()), results))
    assert "| Enhancer | Haze ↓ | ms/image | n | failed | Δ Haze to Input |" in text
    assert "| A\\|B | **3.0**~ [3, 3] | – | 3 | 0 | -1.0~ [-2, +0] |" in text
    assert "- Haze: by eye." in text


def with_intervals(label: str, gain: Interval, left_out: int = 0) -> EnhancerResult:
    scores = {"map": gain, "niqe": Interval(-0.5, -0.7, -0.3)}
    numbers = Spread(
        {"map": Interval(0.612, 0.581, 0.64449), "niqe": Interval(4.4, 4.237, 4.6)},
        {"map": {"car": Interval(0.7, 0.61, 0.8)}},
    )
    against = {"Input": Difference(scores, {}, "Input", 3 - left_out, left_out)}
    return EnhancerResult(label, 3, 3, spread=numbers, against=against)


def test_values_carry_interval_and_mark() -> None:
    settled, unsettled = Interval(0.05, 0.01, 0.09), Interval(0.02, -0.01, 0.05)
    results = [RESULTS[0], with_intervals("A|B", settled), with_intervals("Lit", unsettled, left_out=1)]
    table = build_table(record(bootstrap=BootstrapOptions(500, 7)), results)
    text = to_markdown(table)
    lines = text.splitlines()
    assert lines[2].startswith(
        "| Enhancer | NIQE ↓ | mAP ↑ | ms/image | n | failed | Δ NIQE to Input | Δ mAP to Input | car ↑ | dog ↑ |"
    )
    assert lines[4].startswith("| Input | 4.927 | 55.78 | 0.0 | 3 | 0 | – | – |")
    assert lines[5].startswith("| A\\|B | **4.400** [4.24, 4.60] | **61.20** [58.1, 64.4] |")
    assert "| -0.500 [-0.70, -0.30] | +5.00 [+1.0, +9.0] | **70.0** | – |" in lines[5]
    assert "| 61.20~ [58.1, 64.4] |" in lines[6] and "| +2.00~ [-1.0, +5.0] |" in lines[6]
    assert "95 % interval, bootstrap over images (bias-corrected; of differences percentile)" in text
    assert "500 resamples, seed 7" in text
    assert "~ not settled: the interval of the difference to Input" in text
    assert "Lit and Input are compared on the 2 images that both have; 1 that only one has are left out." in text
    frame = pd.read_csv(io.StringIO(to_csv(table)))
    assert frame[["mAP", "mAP low", "mAP high"]].iloc[1].tolist() == [0.612, 0.581, 0.64449]
    assert frame["Δ mAP to Input unsettled"].tolist()[1:] == [False, True]
    assert frame[["car low", "car high"]].iloc[1].tolist() == [0.61, 0.8]
    latex = to_latex(table)
    assert r"\textbf{61.20} [58.1, 64.4]" in latex and r"61.20$\sim$ [58.1" in latex and r"$\Delta$ mAP" in latex


def test_marks_are_of_the_chosen_baseline() -> None:
    settled, unsettled = Interval(0.05, 0.01, 0.09), Interval(0.02, -0.01, 0.05)

    def to(**against: Interval) -> dict[str, Difference]:
        return {name: Difference({"map": interval}, baseline=name, n_images=3) for name, interval in against.items()}

    numbers = Spread({"map": Interval(0.6, 0.5, 0.7)})
    results = [
        EnhancerResult("Input", 3, 3, spread=numbers, against=to(Lit=settled)),
        EnhancerResult("Lit", 3, 3, spread=numbers, against=to(Input=unsettled)),
        EnhancerResult("A|B", 3, 3, spread=numbers, against=to(Input=unsettled, Lit=settled)),
        EnhancerResult("Broken", 3, 3, spread=numbers, against=to(Input=settled, Lit=unsettled)),
    ]
    enhancers = (EnhancerEntry("Input", "input", "i"), *record().enhancers[1:])
    table = build_table(record(enhancers=enhancers), results)
    assert [row["map",].unsettled for row in table.rows] == [False, None, False, True]
    parts = dict.fromkeys(column.part for column in table.columns)
    assert [part for part in parts if part.startswith("Diff")] == ["Differences to Input", "Differences to Lit"]
    assert "the difference to Lit (under Δ" in "\n".join(table.notes)


def test_nothing_is_said_of_intervals_where_there_are_none() -> None:
    text = to_markdown(build_table(record(), RESULTS))
    assert "[low, high]" not in text and "not settled" not in text and "Δ" not in text


@pytest.mark.parametrize(("images", "said"), [(3, True), (0, False)])
def test_a_note_says_why_there_is_no_ap_at_all(images: int, said: bool) -> None:
    notes = build_table(record(), [EnhancerResult("Input", images, 3, spread=spread(4.9))]).notes
    assert ("Without ground truth here and so not in the mean: car, dog." in notes) == said


def test_no_class_is_said_to_lack_objects_where_all_stand_in_one_list() -> None:
    pooled = Spread({"micro_ap": Interval(0.5)}, {"micro_ap": {}})
    made = record(metrics=(metric("micro_ap"),))
    notes = build_table(made, [EnhancerResult("Input", 3, 3, spread=pooled)]).notes
    assert not any("Without ground truth" in note for note in notes)


def test_a_terminal_of_a_hundred_columns_is_wide_enough() -> None:
    names = ("bicycle", "boat", "bottle", "bus", "car", "cat", "chair", "dog", "motorbike", "person", "diningtable")
    label = "Lit twins (bound)"
    numbers = Spread(
        {
            "niqe": Interval(12.345, 11.11, 13.33), "map": Interval(0.4321, 0.4, 0.5),
            "coco AP50:95": Interval(0.5), "coco AP50": Interval(0.6),
        },
        {"map": {name: Interval(0.5) for name in names}},
    )  # fmt: skip
    moved = {"map": Interval(-0.123, -0.2, 0.111), "niqe": Interval(-1.234, -11.1, 10.0)}
    against = {"Input": Difference(moved, {}, "Input", 1)}
    wide = EnhancerResult(label, 2563, 2563, spread=numbers, ms_enhance=1234.5, against=against)
    changes = record(
        protocol=Protocol(classes=names),
        enhancers=(EnhancerEntry(label, "lit", "lit", upper_bound=True),),
        metrics=tuple(map(metric, ("niqe", "voc_ap", "coco_ap", "coco_ap50", "coco_ap75"))),
    )
    console = Console(width=100, file=io.StringIO())
    console.print(to_terminal(build_table(changes, [wide])))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for cell in ("12.345~ [11.11, 13.33]", "43.21~ [40.0, 50.0]", "1234.5", "-12.30~ [-20.0, +11.1]", "60.00"):
        assert cell in text
    assert text.count(" 50.0 ") >= len(names)


def test_a_set_of_images_called_low_is_no_end_of_an_interval() -> None:
    """The ends that the table showed of the interval were the means of the two sets."""
    sets = record(data=DataEntry("LOL", "lol", "all", ("low", "high")), detectors=(), metrics=(metric("niqe"),))
    number = Spread({"niqe": Interval(4.0, 3.6, 4.5)})
    table = build_table(
        sets, [EnhancerResult("Input", 3, 3, spread=number, by_group={"niqe": {"low": 3.0, "high": 5.0}})]
    )
    assert to_markdown(table).splitlines()[4] == "| Input | 3.000 | 5.000 | 4.000 [3.60, 4.50] | – | 3 | 0 |"
    assert to_csv(table).splitlines() == [
        "Enhancer,NIQE low (NIQE by set),NIQE high (NIQE by set),NIQE,NIQE low,NIQE high,ms/image,n,failed",
        "Input,3.0,5.0,4.0,3.6,4.5,,3,0",
    ]


@pytest.mark.parametrize("key", ["label", "bound", "ms", "n", "failed", "parameters", "gflops", "peak_mb", "trainings"])
def test_a_metric_s_key_is_no_other_column(key: str) -> None:
    mine = replace(metric("niqe"), key=key, heading="Mine")
    results = [EnhancerResult("Input", 2, 3, {"1": "dark"}, Spread({key: Interval(7.0)}), ms_enhance=5.0)]
    text = to_csv(build_table(record(detectors=(), metrics=(mine,)), results))
    assert text == "Enhancer,Mine,ms/image,n,failed\nInput,7.0,5.0,2,1\n"


def test_every_name_of_the_csv_is_another() -> None:
    """Of results whose metrics have the heading of another column, as none may have that is measured today."""
    named = {"a": "n", "b": "NIQE", "c": "NIQE", "d": "NIQE low"}
    metrics = tuple(replace(metric("niqe"), key=key, heading=heading) for key, heading in named.items())
    scores = {"a": Interval(1.0), "b": Interval(2.0, 1.5, 2.5), "c": Interval(3.0), "d": Interval(4.0)}
    table = build_table(record(detectors=(), metrics=metrics), [EnhancerResult("Input", 3, 3, spread=Spread(scores))])
    header, row = csv.reader(to_csv(table).splitlines())
    assert dict(zip(header, row, strict=True)) == {
        "Enhancer": "Input", "n (2)": "1.0", "NIQE": "2.0", "NIQE low": "1.5", "NIQE high": "2.5", "NIQE (2)": "3.0",
        "NIQE low (2)": "4.0", "ms/image": "", "n": "3", "failed": "0",
    }  # fmt: skip
    assert table_numbers(table)["Input/n"] == 3 and table_numbers(table)["Input/n (2)"] == 1


HOSTILE = "one\ntwo <script>alert(1)</script>\r\nthree & 50%_"


def hostile_table() -> Table:
    """Whatever others write into a table, in each place where it may stand."""
    columns = (Column("label", "Enhancer"), Column(("a",), HOSTILE, digits=1))
    return Table(HOSTILE, columns, (TableRow(HOSTILE, {("a",): Cell(1.0)}),), (HOSTILE,))


def test_what_others_wrote_stays_on_its_line_and_is_no_html() -> None:
    said = r"one two \<script>alert(1)\</script> three & 50%_"
    assert to_markdown(hostile_table()).splitlines() == [
        f"## {said}", "", f"| Enhancer | {said} |", "|---|---:|", f"| {said} | 1.0 |", "", f"- {said}",
    ]  # fmt: skip


def test_a_note_or_title_of_two_lines_is_a_comment_in_latex() -> None:
    """Its second line stood as text after the table, with an alignment tab that stops LaTeX."""
    first, *table, last = to_latex(hostile_table()).splitlines()
    assert first == last == "% one two <script>alert(1)</script> three & 50%_"
    escaped = r"one two <script>alert(1)</script> three \& 50\%\_"
    assert table[2] == rf"  Enhancer & {escaped} \\" and table[4] == rf"  {escaped} & 1.0 \\"
    assert len(table) == 7
