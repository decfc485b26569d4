"""Checks of settings."""

from __future__ import annotations

import math


def is_whole(value: object, least: int | None = None) -> bool:
    """Whether a setting is a whole number of at least `least`; True, which Python counts as 1, is none."""
    return isinstance(value, int) and not isinstance(value, bool) and (least is None or value >= least)


def is_number(value: object) -> bool:
    """Whether a setting is a finite number; True, which Python counts as 1, is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
