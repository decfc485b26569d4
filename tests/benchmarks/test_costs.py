"""What enhancers cost apart from time, and the configuration that runs all of them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from duskbench.benchmarks import plan
from duskbench.benchmarks.config import load_benchmark_config
from duskbench.benchmarks.costs import COSTS_NOTE, HEIGHT, WIDTH, Costs, costs_here, measure_costs
from duskbench.benchmarks.evidence import EnhancerEvidence
from duskbench.benchmarks.evidence_archive import pack, unpack
from duskbench.benchmarks.record import EnhancerEntry, RunRecord
from duskbench.benchmarks.results import read_table
from duskbench.benchmarks.run_plan import RunOptions
from duskbench.benchmarks.runner import run
from duskbench.benchmarks.statistics import Sample
from duskbench.benchmarks.table_formats import to_csv, to_markdown
from duskbench.data_tools.errors import EnhancerError
from duskbench.pipeline.allocator import keep_freed_memory
from duskbench.pipeline.enhancers.base import FunctionEnhancer
from duskbench.pipeline.registry import describe_enhancers, load_enhancer
from tests.benchmarks.conftest import PLUGINS, Bench
from tests.benchmarks.test_table import RESULTS, build_table, record

COSTS = Costs(parameters=79416, gflops=48.693, peak_mb=512.4)


@pytest.mark.slow
def test_a_networks_parameters_and_arithmetic_are_those_of_its_layers() -> None:
    costs = costs_here(load_enhancer("zero_dce"), "cpu")
    # Seven 3x3 convolutions at full size: 3 to 32 channels, 32 to 32 three times, 64 to 32 twice, 64 to 24.
    weights = 9 * (3 * 32 + 3 * 32 * 32 + 2 * 64 * 32 + 64 * 24)
    assert costs.parameters == weights + 6 * 32 + 24 == 79416
    assert costs.gflops == pytest.approx(2 * weights * WIDTH * HEIGHT / 1e9, rel=1e-12)
    assert costs.error is None


@pytest.mark.slow
@pytest.mark.parametrize("megabytes", [100, 400])
def test_peak_memory_is_what_the_picture_takes(megabytes: int) -> None:
    def greedy(image: np.ndarray) -> np.ndarray:
        # Freed before it returns: only the peak shows it.
        if image.shape[:2] == (HEIGHT, WIDTH):
            np.ones(megabytes * 1_000_000, np.uint8)
        return image.copy()

    # As in a worker that has measured before: what was freed lies ready, and must not hide what is taken.
    keep_freed_memory()
    np.ones(50_000_000, np.uint8)
    costs = costs_here(FunctionEnhancer(greedy, "greedy"), "cpu")
    assert (costs.parameters, costs.gflops) == (None, None)
    assert costs.peak_mb == pytest.approx(megabytes, abs=15)


def test_what_is_done_elsewhere_has_no_costs(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    assert costs_here(load_enhancer(f"dir:{tmp_path}"), "cpu") == Costs()


@pytest.mark.slow
def test_costs_are_measured_in_a_process_of_their_own() -> None:
    costs = measure_costs("gamma(gamma=2.0)", "cpu")
    assert costs.peak_mb is not None and costs.peak_mb < 100
    with pytest.raises(EnhancerError, match="Unknown enhancer 'gama'"):
        measure_costs("gama", "cpu")


def test_the_zoo_names_all_that_run_without_a_users_file() -> None:
    config = load_benchmark_config("zoo")
    named = [spec if isinstance(spec, str) else spec["type"] for spec in config.enhancers]
    unseen = {"retinexformer", "cidnet"}
    usable = [each.name for each in describe_enhancers() if each.weights != "to be trained" and each.name not in unseen]
    assert named == usable
    assert config.costs and not load_benchmark_config("miniature").costs


def test_a_missing_weight_file_is_a_row_with_its_reason(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUSKBENCH_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("duskbench.pipeline.weights.download", refused)
    measured = iter([COSTS, EnhancerError("Too large.", where="mine")])
    monkeypatch.setattr(plan, "measure_costs", lambda spec, device: given(next(measured)))
    config = load_benchmark_config(bench.config, overrides={"costs": True, "detector": "none"})
    config = replace(config, enhancers=("input", "sgz", {"type": f"{PLUGINS}:brighten", "gain": 2.0, "label": "Mine"}))
    options = RunOptions(tmp_path / "out", limit=2)

    summary = run(config, options)
    assert [entry.label for entry in summary.broken] == ["SGZ"] and summary.without_costs == ["Mine"]
    assert not summary.ok and "Costs not measured: Mine; the notes" in "\n".join(summary.shortfalls())
    text = to_markdown(read_table(options.out))
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in text.splitlines() if line[:2] == "| "}
    heading = [cell.split(" ")[0] for cell in rows["Enhancer"]]
    first = heading.index("parameters")
    assert heading[first : first + 4] == ["parameters", "GFLOPs", "peak", "n"]
    assert rows["Input"][first : first + 4] == ["79416", "48.69", "512", "2"]
    assert rows["SGZ †"][first : first + 4] == ["–", "–", "–", "0"]
    assert rows["Mine"][first : first + 4] == ["–", "–", "–", "2"]
    assert "† SGZ could not be built: " in text and "Mine: costs not measured: Too large. where: mine" in text

    # What is known is not measured again; what failed is.
    measured = iter([COSTS])
    summary = run(config, options)
    assert (summary.measured, summary.without_costs) == (0, [])


def test_costs_are_kept_as_soon_as_each_is_known(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def interrupted(spec: object, device: str) -> Costs:
        asked.append(spec)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return COSTS

    monkeypatch.setattr(plan, "measure_costs", interrupted)
    overrides = {"costs": True, "detector": "none", "enhancers": ["input", "gamma", "he"]}
    config, options = load_benchmark_config(bench.config, overrides=overrides), RunOptions(tmp_path / "out", limit=1)
    with pytest.raises(KeyboardInterrupt):
        run(config, options)
    assert run(config, options).ok
    assert asked == ["input", "gamma", "gamma", "he"]


def refused(*args: object, **options: object) -> None:
    raise OSError("no network")


def given(costs: Costs | EnhancerError) -> Costs:
    if isinstance(costs, EnhancerError):
        raise costs
    return costs


def test_columns_stand_only_where_costs_were_asked_for() -> None:
    plain = record()
    assert "GFLOPs" not in to_csv(build_table(plain, RESULTS))
    entries = (replace(plain.enhancers[0], costs=COSTS), *plain.enhancers[1:])
    table = build_table(replace(plain, enhancers=entries), RESULTS)
    assert COSTS_NOTE in table.notes
    header, row, *_ = to_csv(table).splitlines()
    values = dict(zip(header.split(","), row.split(","), strict=True))
    assert [values[name] for name in ("parameters", "GFLOPs", "peak MB")] == ["79416", "48.693", "512.4"]


def test_records_and_nights_keep_costs_and_those_without_are_read() -> None:
    entry = EnhancerEntry("Gamma", "gamma", "g", costs=COSTS)
    made = record(enhancers=(entry,))
    assert RunRecord.from_json(made.to_json()) == made
    earlier = json.loads(made.to_json())
    del earlier["enhancers"][0]["costs"]
    assert RunRecord.from_json(json.dumps(earlier)).enhancers == (replace(entry, costs=None),)
    evidence = EnhancerEvidence(entry, Sample("Gamma", np.ones(1, bool), {}, {}), {}, {})
    assert unpack(pack(evidence), made).entry == entry
    assert asdict(entry)["costs"]["peak_mb"] == 512.4
