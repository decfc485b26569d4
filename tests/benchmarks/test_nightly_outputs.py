"""What a CI is given: JUnit XML of the schema's structure, and Markdown that shows each text as it is."""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from defusedxml import ElementTree

from duskbench.benchmarks.nightly.junit import to_junit
from duskbench.benchmarks.nightly.night import GateFinding
from duskbench.benchmarks.nightly.outputs import Outputs
from duskbench.benchmarks.nightly.summary import escape, headline, to_do, to_markdown
from duskbench.benchmarks.statistics import Interval
from duskbench.data_tools.errors import ConfigError
from tests.benchmarks.fabricate import metric
from tests.benchmarks.test_nightly_history import night

NASTY = 'RuntimeError: \x1b[31m<b>|x|</b> `a` & "b" \x00 \ud800 ü\n  line 2'
WORSE = "worse: -3.20 [-5.0, -1.0], tolerated 0.5"

# junit-10.xsd of Jenkins' xUnit plug-in: element -> (children allowed, attributes required, attributes allowed).
SCHEMA: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": ({"testsuite"}, set(), {"name", "time", "tests", "failures", "disabled", "errors", "skipped"}),
    "testsuite": (
        {"properties", "testcase", "system-out", "system-err"},
        {"name", "tests"},
        {
            "name",
            "tests",
            "failures",
            "errors",
            "time",
            "disabled",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
        },
    ),
    "properties": ({"property"}, set(), set()),
    "property": (set(), {"name", "value"}, {"name", "value"}),
    "testcase": (
        {"skipped", "error", "failure", "system-out", "system-err"},
        {"name", "classname"},
        {"name", "classname", "assertions", "time", "status"},
    ),
    "failure": (set(), set(), {"type", "message"}),
    "error": (set(), set(), {"type", "message"}),
    "skipped": (set(), set(), {"message"}),
    "system-out": (set(), set(), set()),
}


def check(element: Element) -> None:
    children, required, allowed = SCHEMA[element.tag]
    assert required <= set(element.attrib) <= allowed, (element.tag, element.attrib)
    assert {child.tag for child in element} <= children, element.tag
    for child in element:
        check(child)


def failing() -> tuple[GateFinding, ...]:
    return (
        GateFinding("LIME", "failures", "passed", "no image fails that did not before"),
        GateFinding("LIME", "NIQE", "not gated", "no image has it in either night", score="niqe"),
        GateFinding("LIME", "mAP", "failed", WORSE, Interval(-0.032, -0.05, -0.01), "map"),
        GateFinding("Ours", "failures", "failed", f"cannot be built: {NASTY}"),
        GateFinding("decode", "throughput", "passed", "1.02 of the baseline's", Interval(1.02, 1.0, 1.1)),
    )


@pytest.mark.parametrize(
    ("made", "counts"),
    [
        (replace(night(3), verdict="red", findings=failing()), ("6", "2", "0", "1")),
        (replace(night(3), verdict="not comparable", findings=failing()[:1], differences=("a", NASTY)),
         ("2", "0", "1", "0")),
        (replace(night(3), findings=failing()[:1], baseline=()), ("2", "0", "0", "1")),
    ],
)  # fmt: skip
def test_junit_has_the_schemas_structure(made: object, counts: tuple[str, ...]) -> None:
    text = to_junit(made)  # type: ignore[arg-type]
    root = ElementTree.fromstring(text.encode())
    check(root)
    [suite] = root
    for element in (root, suite):
        assert tuple(element.attrib[key] for key in ("tests", "failures", "errors", "skipped")) == counts
    cases = suite.findall("testcase")
    assert len(cases) == int(counts[0])
    assert len({(case.attrib["classname"], case.attrib["name"]) for case in cases}) == len(cases)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])
    assert [element.tag for element in suite] == ["properties", *["testcase"] * len(cases), "system-out"]


def test_failures_carry_their_message() -> None:
    root = ElementTree.fromstring(to_junit(replace(night(3), verdict="red", findings=failing())).encode())
    found = {
        case.attrib["classname"]: case.find("failure")
        for case in root.iter("testcase")
        if case.find("failure") is not None
    }
    lime, ours = found["duskbench.table2.LIME"], found["duskbench.table2.Ours"]
    assert lime is not None and lime.attrib == {
        "type": "mAP regression",
        "message": WORSE,
    }
    assert ours is not None and '<b>|x|</b> `a` & "b" \ufffd \ufffd ü' in ours.attrib["message"]


def test_the_summary_says_the_verdict_first() -> None:
    made = replace(night(3), verdict="red", findings=failing())
    text = to_markdown(made, "duskbench nightly x --accept", {"report": "r.html"})
    lines = text.splitlines()
    assert lines[0].startswith("## 🔴 red")
    assert "table2: red, 2 gates failed (LIME, Ours)" in lines[2]
    assert text.index("What got worse") < text.index("mAP**: worse") < text.index("| Enhancer |")
    [row] = [line for line in lines if line.startswith("| LIME")]
    assert row == "| LIME | 4.000 | – | 50.00 [40.0, 60.0] | -3.20 [-5.0, -1.0] | – | 0 | 🔴 |"
    assert "`duskbench nightly x --accept`" in text
    assert "[report](r.html)" in text
    columns = {line.replace("\\|", "").count("|") for line in lines if line.startswith("|")}
    assert len(columns) == 1
    assert "<b>" not in text.replace("\\<b\\>", "")


def test_every_score_is_a_column() -> None:
    other = replace(metric("niqe"), key="brisque", heading="BRISQUE | new", digits=1, tolerance=None)
    made = replace(night(3), record=replace(night(3).record, metrics=(other,)))
    [lime, ours] = made.enhancers
    made = replace(
        made,
        enhancers=(replace(lime, scores={"brisque": Interval(24.26, 20, 30)}), ours),
        findings=(GateFinding("LIME", "BRISQUE | new", "not gated", "it rose", Interval(0.5, 0.2, 0.9), "brisque"),),
    )
    lines = to_markdown(made, "h").splitlines()
    assert "| Enhancer | BRISQUE \\| new ↓ | change | throughput | failed |  |" in lines
    assert "| LIME | 24.3 [20, 30] | +0.5 [+0, +1] | – | 0 | ⚪ |" in lines
    assert "- Without a tolerance, so they decide nothing: BRISQUE \\| new." in lines


def test_a_row_without_a_number_is_never_green() -> None:
    """All of its images fail, or none has a score, as in the baseline that was accepted."""
    passed = [
        GateFinding(label, "failures", "passed", "no image fails that did not before") for label in ("LIME", "Ours")
    ]
    lime = night(3).enhancers[0]
    rows = (replace(lime, scores={}), replace(lime, label="Ours"))
    made = replace(night(3), enhancers=rows, findings=tuple(passed))
    marks = [line.split("|")[-2].strip() for line in to_markdown(made, "h").splitlines() if line.startswith("| ")]
    assert marks[-2:] == ["⚪", "🟢"]


def test_what_is_not_comparable_names_the_fields() -> None:
    made = replace(night(3), verdict="not comparable", findings=(), differences=("protocol.ap: '11point' -> 'area'",))
    text = to_markdown(made, "h")
    assert text.startswith("## 🟠 not comparable") and "- protocol.ap: '11point' -\\> 'area'" in text
    assert "makes it the new baseline" in (to_do(made, "h") or "")


def test_green_asks_for_nothing() -> None:
    made = replace(night(3), findings=failing()[:1])
    assert to_do(made, "h") is None and "--accept" not in to_markdown(made, "--accept")
    assert headline(made).endswith("nothing got worse than 2026-11-01T03-00-00Z")


def test_one_line_of_markdown() -> None:
    assert escape("a\nb | <c> *d*") == r"a b \| \<c\> \*d\*"
    assert len(escape("x" * 5000)) < 700


def test_links_of_a_ci_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "h", "accept", summary=tmp_path / "s.md", report=tmp_path / "deep" / "r.html")
    for key in ("SERVER_URL", "REPOSITORY", "RUN_ID"):
        monkeypatch.delenv(f"GITHUB_{key}", raising=False)
    assert outputs._links(night(3)) == {"report": "deep/r.html"}
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    monkeypatch.setenv("GITHUB_REPOSITORY", "a/b")
    monkeypatch.setenv("GITHUB_RUN_ID", "7")
    assert "https://github.com/a/b/actions/runs/7" in outputs._links(night(3)).values()


@pytest.mark.parametrize("name", ["junit", "summary", "report", "json"])
def test_a_file_that_cannot_be_written_is_refused_before_the_night(tmp_path: Path, name: str) -> None:
    outputs = Outputs(tmp_path / "history.sqlite", "accept")
    (tmp_path / "there").write_text("an earlier night's")
    replace(outputs, **{name: tmp_path / "there"}).check()
    with pytest.raises(ConfigError, match="a folder in the result's place"):
        replace(outputs, **{name: tmp_path}).check()
    with pytest.raises(OSError, match="there"):
        replace(outputs, **{name: tmp_path / "there" / "file"}).check()


@pytest.mark.parametrize(
    ("names", "shared"),
    [
        ({"junit": "a.xml", "summary": "a.xml"}, "a.xml"),
        ({"report": "sub/../history.sqlite"}, "history.sqlite"),
        ({"json": "n.json", "summary": "n.bigger.json"}, "n.bigger.json"),
        ({"junit": "/dev/null", "summary": "/dev/null"}, None),
        ({"junit": "a.xml", "summary": "a.md", "json": "a.json"}, None),
    ],
)
def test_each_file_has_a_name_of_its_own(tmp_path: Path, names: dict[str, str], shared: str | None) -> None:
    outputs = Outputs(tmp_path / "history.sqlite", "accept", **{kind: tmp_path / name for kind, name in names.items()})
    with pytest.raises(ConfigError, match=f"one name.*\n.*{shared}") if shared else nullcontext():
        outputs.check()
