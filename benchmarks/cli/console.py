"""The two consoles of the command line: results go to standard output, everything else to standard error."""

from __future__ import annotations

import sys

from rich.console import Console

# A file or a pipe has no width; this is wide enough that no table is cut there.
out_console = Console(width=None if sys.stdout.isatty() else 160)
err_console = Console(stderr=True)
