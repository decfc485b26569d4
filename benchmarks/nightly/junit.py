"""A night as JUnit XML: a test case for each enhancer and gate, so that a CI shows what failed and since when.

Source: the schema that Jenkins' xUnit plug-in validates against (`junit-10.xsd`); GitLab, Azure and GitHub's actions
read the same.
"""

from __future__ import annotations

import re
from datetime import datetime
from xml.etree import ElementTree as Tree

from duskbench.benchmarks.nightly.night import GateFinding, Night

# XML 1.0 has no way to write these; an enhancer's error message may well hold a terminal's colour codes.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_junit(night: Night) -> str:
    """The XML of a night; names of test cases do not depend on its outcome, so that a CI follows them over nights."""
    cases = [_comparison_case(night), *(_case(night, finding) for finding in night.findings)]
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
        "skipped": str(sum(case.find("skipped") is not None for case in cases)),
    }
    seconds = datetime.fromisoformat(night.finished) - datetime.fromisoformat(night.started)
    time = f"{max(0.0, seconds.total_seconds()):.0f}"
    name = _clean(f"duskbench nightly {night.config}")
    root = Tree.Element("testsuites", {"name": name, **counts, "time": time})
    host = night.record.environment.host
    # The schema's timestamp has no time zone.
    started = night.started[:19]
    about = {"name": name, **counts, "time": time, "timestamp": started, "hostname": _clean(host)}
    suite = Tree.SubElement(root, "testsuite", about)
    properties = Tree.SubElement(suite, "properties")
    for key, value in _properties(night).items():
        Tree.SubElement(properties, "property", {"name": key, "value": _clean(value)})
    suite.extend(cases)
    if night.notes:
        Tree.SubElement(suite, "system-out").text = _clean("\n".join(night.notes))
    Tree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{Tree.tostring(root, encoding="unicode")}\n'


def _properties(night: Night) -> dict[str, str]:
    return {
        "night": night.id,
        "verdict": night.verdict,
        "baseline": ", ".join(night.baseline) or "none",
        "commit": str(night.record.environment.git),
        **{f"version {name}": version for name, version in sorted(night.record.environment.packages.items())},
    }


def _comparison_case(night: Night) -> Tree.Element:
    case = _empty_case(night, "night", "comparable with the baseline")
    if night.differences:
        message = "; ".join(night.differences)
        error = Tree.SubElement(case, "error", {"type": "NotComparable", "message": _clean(message)})
        error.text = _clean("\n".join(night.differences))
    elif not night.baseline:
        Tree.SubElement(case, "skipped", {"message": "there is no baseline yet"})
    return case


def _case(night: Night, finding: GateFinding) -> Tree.Element:
    case = _empty_case(night, finding.subject, finding.gate)
    if finding.outcome == "failed":
        about = {"type": f"{finding.gate} regression", "message": _clean(finding.message)}
        Tree.SubElement(case, "failure", about).text = _clean(f"{finding.subject}, {finding.gate}: {finding.message}")
    elif finding.outcome == "not gated":
        Tree.SubElement(case, "skipped", {"message": _clean(finding.message)})
    else:
        Tree.SubElement(case, "system-out").text = _clean(finding.message)
    return case


def _empty_case(night: Night, subject: str, gate: str) -> Tree.Element:
    # A dot separates packages in most viewers; a label may hold one.
    classname = f"duskbench.{night.config}.{subject.replace('.', '_')}"
    return Tree.Element("testcase", {"classname": _clean(classname), "name": gate, "time": "0"})


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
