"""The errors a user can meet, each with what, where, expected, got and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class DuskbenchError(Exception):
    """Base of every error that is the input's fault and not a bug.

    Args:
        what: One sentence that says what is wrong.
        where: File, image id or option it was found in.
        expected: What was expected there.
        got: What was found instead.
        todo: What the user can do about it.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | Path | None = None,
        expected: str | None = None,
        got: str | None = None,
        todo: str | None = None,
    ) -> None:
        self.what, self.where, self.expected, self.got, self.todo = what, where, expected, got, todo
        named = (("where", where), ("expected", expected), ("got", got), ("what to do", todo))
        super().__init__("\n".join([what, *(f"  {name}: {text}" for name, text in named if text is not None)]))

    @property
    def one_line(self) -> str:
        """What is wrong, where, and what was found there, in one line."""
        parts = [self.what, *(f"{name} {text}" for name, text in (("at", self.where), ("got", self.got)) if text)]
        return " ".join(" ".join(map(str, parts)).split())

    def at(self, where: str | Path | None) -> DuskbenchError:
        """The error with a place, where it does not name one itself."""
        return self if self.where is not None else _rebuild(type(self), {**self.__dict__, "where": where})

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by keyword, so that the error survives the way back from a worker process."""
        return _rebuild, (type(self), dict(self.__dict__))


def _rebuild(cls: type[DuskbenchError], state: dict[str, object]) -> DuskbenchError:
    error = cls.__new__(cls)
    DuskbenchError.__init__(error, **{k: state[k] for k in ("what", "where", "expected", "got", "todo")})  # type: ignore[arg-type]
    error.__dict__.update(state)
    return error


class DataError(DuskbenchError):
    """A data set or an image file is missing, damaged or not in the layout it should have."""


class ConfigError(DuskbenchError):
    """An option, a configuration file or a name is wrong."""


class WeightsError(DuskbenchError):
    """A weight file is missing, is not the file it should be, or does not fit the network."""


class EnhancerError(DuskbenchError):
    """An enhancer broke its contract: other shape, other dtype, NaN, or an exception."""


class DetectorError(DuskbenchError):
    """A detector broke its contract."""


class MetricError(DuskbenchError):
    """A metric broke its contract."""


class TrainingError(DuskbenchError):
    """A training run that went wrong while it ran."""


class UnknownNameError(ConfigError):
    """A name that is not in a list, with the nearest names and the list itself."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, where: str | Path | None = None) -> None:
        known = sorted(set(known))
        near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
        super().__init__(
            f"Unknown {kind} {name!r}.",
            where=where,
            expected=f"one of {', '.join(known)}" if known else f"a registered {kind}; there are none",
            got=repr(name),
            todo=f"did you mean {' or '.join(near)}?" if near else None,
        )
