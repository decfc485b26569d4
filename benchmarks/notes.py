"""The lines under a table: data, detector, protocol, what marks mean, what is missing and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from duskbench.benchmarks.evaluate import EnhancerResult
from duskbench.benchmarks.protocol import Protocol
from duskbench.benchmarks.statistics import BootstrapOptions, Difference

# Behind a value whose difference to the reference the interval does not settle.
UNSETTLED = "~"


def table_notes(record: Mapping[str, Any], results: Sequence[EnhancerResult], bootstrap: BootstrapOptions) -> list[str]:
    """What a reader must know beside the numbers, a line each; what they were made with comes last."""
    return [*_notes(record, results), *interval_notes(results, bootstrap), _made_with(record)]


def _notes(record: Mapping[str, Any], results: Sequence[EnhancerResult]) -> list[str]:
    data, detector, made = record["data"], record["detector"], record["environment"]
    protocol = Protocol.from_config(record["protocol"])
    most = max((result.n_images for result in results), default=0)
    measured = f"{most} of {len(record['image_ids'])} images measured"
    notes = [
        f"Data: {data['name']} in {data['root']}, split {data.get('split', 'test')}, {measured}.",
        f"Detector: {detector['name'] or 'none'}"
        + (f", frozen, fingerprint {detector['fingerprint'][:12]}." if detector["name"] else ": no mAP."),
        *(protocol.describe() if detector["name"] else protocol.describe()[1:]),
        *([protocol.describe_comparison()] if data.get("reference") is not None else []),
        f"ms/image: mean time of the enhancer alone on {made['gpu'] or made['device']}; a dash: not available.",
    ]
    for origin in dict.fromkeys(e["origin"] for e in record["enhancers"] if e.get("origin")):
        labels = [e["label"] for e in record["enhancers"] if e.get("origin") == origin]
        notes.append(f"Weights of {', '.join(labels)}: {origin}.")
    absent = [name for name in protocol.classes if results and all(r.ap.get(name) is None for r in results)]
    if detector["name"] and absent and any(r.ap for r in results):
        notes.append(f"Without ground truth here and so not in the mean: {', '.join(absent)}.")
    for result in results:
        if result.error:
            notes.append(f"† {result.label} could not be built: {' '.join(result.error.split())}")
        elif result.n_images < result.n_expected:
            share = f"over {result.n_images} of {result.n_expected} images"
            notes.append(f"* {result.label}: {share}, {len(result.failures)} failed.")
        for reason, count in result.niqe_reasons.items():
            notes.append(f"{result.label}: {count} images without NIQE ({reason}).")
        notes += [f"{result.label}: {count} images without {why}." for why, count in result.compared_reasons.items()]
    notes += _paper_notes(record["paper"], data["name"], most)
    return notes


def _made_with(record: Mapping[str, Any]) -> str:
    made = record["environment"]
    packages = ", ".join(
        f"{k} {v}" for k, v in made["packages"].items() if k in ("duskbench", "torch", "onedl-mmdetection")
    )
    return f"Made with {packages}, commit {made['git'] or 'unknown'}, {made['started']}."


def interval_notes(results: Sequence[EnhancerResult], options: BootstrapOptions) -> list[str]:
    """What brackets and marks mean; nothing where no result has an interval."""
    made = [i for r in results for i in (r.niqe_interval, r.map_interval) if i is not None and i.low is not None]
    if not made:
        return []
    notes = [bracket_note(options)]
    references = list(dict.fromkeys(label for result in results for label in result.against))
    if references:
        notes.append(mark_note(f"the difference to {references[0]} (under Δ: to that column's reference)"))
    for result in results:
        for reference, difference in result.against.items():
            if difference.n_left_out:
                notes.append(pairing_note(f"{result.label} and {reference}", difference))
    return notes


def bracket_note(options: BootstrapOptions) -> str:
    """What stands in brackets."""
    return (
        f"[low, high]: {100 * options.level:g} % interval, bootstrap over images (bias-corrected; of differences "
        f"percentile), {options.resamples} resamples, seed {options.seed}, the same draws for every row; a class "
        "without an object in a resample leaves that resample's mean."
    )


def mark_note(difference: str) -> str:
    """What the mark means, of the difference named."""
    return (
        f"{UNSETTLED} not settled: the interval of {difference} holds 0, so these images do not say which of the two "
        "is better."
    )


def pairing_note(who: str, difference: Difference) -> str:
    """On which images two are compared where one of them lacks some."""
    return (
        f"{who} are compared on the {difference.n_images} images that both have; {difference.n_left_out} that only "
        "one has are left out."
    )


def _paper_notes(paper: Mapping[str, Any], data: str, measured: int) -> list[str]:
    """The paper's own rows, where the table is the paper's: on its data set, and told apart where images differ."""
    if not paper or data != paper.get("data", data):
        return []
    n_images = paper.get("n_images", measured)
    other = "" if n_images == measured else f", on {n_images} images: not comparable with {measured}"
    lines = [f"The paper's own row ({paper['source']}{other}):"]
    for name, values in paper["rows"].items():
        lines.append(f"{name}: " + ", ".join(f"{column} {value}" for column, value in values.items()))
    return lines
