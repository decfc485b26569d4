"""Sphinx configuration; `make docs` builds the pages into docs/_build/html."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

# The packages are top-level folders of the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

project = "duskbench"
copyright = "The duskbench maintainers"
release = metadata.version("duskbench")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_use_ivar = True
napoleon_custom_sections = [("Source", "notes_style")]

html_theme = "furo"
html_title = f"duskbench {release}"
