"""What progress looks like on a console that is a terminal, and on one that is not."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from duskbench.benchmarks.progress import RichProgress, duration


def shown(*, terminal: bool, interval: float = 0.0) -> tuple[io.StringIO, RichProgress]:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=120, color_system=None)
    return text, RichProgress(console, seconds_between_lines=interval)


def test_lines_where_there_is_no_terminal() -> None:
    text, progress = shown(terminal=False)
    with progress:
        for item in progress.track("Verifying", ["a", "b"]):
            progress.message(f"[{item}]")
        progress.update("f.tar, kB", 5, None)
        progress.update("Measuring", 7, 8, "2 failed")
    assert text.getvalue().splitlines() == [
        "[a]",
        "Verifying: 1 of 2, under 1 s left",
        "[b]",
        "Verifying: 2 of 2, under 1 s left",
        "f.tar, kB: 5",
        "Measuring: 7 of 8, under 1 s left 2 failed",
    ]


def test_a_line_is_printed_only_now_and_then() -> None:
    text, progress = shown(terminal=False, interval=3600)
    with progress:
        list(progress.track("Verifying", range(1000)))
    assert text.getvalue() == ""


def test_the_time_left_counts_from_where_an_interrupted_run_was(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 1000, 10))
    monkeypatch.setattr("duskbench.benchmarks.progress.time.monotonic", lambda: float(next(now)))
    text, progress = shown(terminal=False)
    progress.update("Measuring", 900, 1000)
    progress.update("Measuring", 902, 1000)  # 10 s for 2 of them
    assert text.getvalue().splitlines()[1] == "Measuring: 902 of 1000, about 8.17 min left"


@pytest.mark.parametrize("total", [864, 720])
def test_a_later_stage_of_the_same_name_has_an_estimate_of_its_own(monkeypatch: pytest.MonkeyPatch, total: int) -> None:
    """As in `finetune`, which measures after each training; the estimate was hours."""
    now = iter(range(0, 1000, 10))
    monkeypatch.setattr("duskbench.benchmarks.progress.time.monotonic", lambda: float(next(now)))
    text, progress = shown(terminal=False)
    progress.update("Measuring", 863, 864)
    progress.update("Measuring", 864, 864)
    progress.update("Measuring", 600, total)
    progress.update("Measuring", 610, total)  # 10 s for 10 of them
    assert text.getvalue().splitlines()[3].endswith(f"610 of {total}, about {duration(total - 610)} left")


def test_bars_on_a_terminal() -> None:
    text, progress = shown(terminal=True)
    with progress:
        list(progress.track("Verifying", range(3)))
        progress.message("All is well.")
        list(progress.track("Measuring", range(5)))
    said = text.getvalue()
    assert "3/3" in said and "5/5" in said and said.index("3/3") < said.index("All is well.") < said.index("5/5")


def test_an_error_ends_the_bars() -> None:
    text, progress = shown(terminal=True)
    with pytest.raises(KeyboardInterrupt), progress:
        progress.update("Measuring", 1, 5)
        raise KeyboardInterrupt
    assert text.getvalue().endswith("\x1b[?25h"), "the cursor is shown again"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "under 1 s"), (44, "44 s"), (120, "2 min"), (9000, "2.5 h"), (2e7, "231 days")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
