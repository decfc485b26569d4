"""One thing that the doctor looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "missing", "broken"]


@dataclass(frozen=True)
class Fact:
    """One thing that was looked at.

    Attributes:
        section: Heading it stands under.
        name: What was looked at.
        state: `missing` is fine unless it is wanted; `broken` is something that a command needs and that does not work.
        found: What is there, in one line.
        todo: What to do where it is not `ok`.
    """

    section: str
    name: str
    state: State
    found: str
    todo: str | None = None
