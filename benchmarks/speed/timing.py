"""Calls timed in turns, so that a busy machine is busy for all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Times:
    """Seconds of each turn: on the clock, and of the processor."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def time_in_turns(
    calls: Mapping[str, Callable[[], object]], turns: int, before: Callable[[str], object] = lambda _: None
) -> dict[str, Times]:
    """Name -> times of each call, after one that is not counted; `before` is called before each, and not timed."""
    times = {name: Times() for name in calls}
    for turn in range(turns + 1):
        for name, call in calls.items():
            before(name)
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            if turn:
                times[name].wall.append(time.perf_counter() - wall)
                times[name].cpu.append(time.process_time() - cpu)
    return times


def table(times: Mapping[str, Times], reference: str | None = None, images: Mapping[str, int] | None = None) -> str:
    """Medians in milliseconds, and how often the median of the reference, the first call if None, they are.

    Args:
        times: From `time_in_turns`.
        reference: Name of a call.
        images: Name -> what a call's times are divided by; 1 where a name is absent.
    """
    lines = [f"{'':40}{'median ms':>11}{'least ms':>10}{'CPU ms':>10}{'ratio':>8}"]
    each = {name: (images or {}).get(name, 1) for name in times}
    base = reference or next(iter(times))
    for name, of in times.items():
        wall, least, cpu = (1e3 * value / each[name] for value in (median(of.wall), min(of.wall), median(of.cpu)))
        ratio = wall / (1e3 * median(times[base].wall) / each[base])
        lines.append(f"{name:40}{wall:11.2f}{least:10.2f}{cpu:10.2f}{ratio:8.2f}")
    return "\n".join(lines)
