"""The two consoles of the command line: results go to standard output, everything else to standard error."""

from __future__ import annotations

import sys
from typing import TextIO

from rich.console import Console


def _is_terminal(stream: TextIO | None) -> bool:
    """There is no stream at all where whoever started the command has closed it."""
    return stream is not None and stream.isatty()


# Names of files and what others wrote are text, never mark-up. A file or a pipe has no width: 160 is enough for every
# table, and a message stays on its line there, so that it can be searched.
out_console = Console(width=None if _is_terminal(sys.stdout) else 160, markup=False)
err_console = Console(stderr=True, markup=False, soft_wrap=not _is_terminal(sys.stderr))
