"""The two consoles of the command line: results go to standard output, everything else to standard error."""

from __future__ import annotations

import sys

from rich.console import Console

# Names of files and what others wrote are text, never mark-up. A file or a pipe has no width: 160 is enough for every
# table, and a message stays on its line there, so that it can be searched.
out_console = Console(width=None if sys.stdout.isatty() else 160, markup=False)
err_console = Console(stderr=True, markup=False, soft_wrap=not sys.stderr.isatty())
