"""The bundled miniature data set: rendered scenes in the real VOC and ExDark layouts, lit and at night."""

from __future__ import annotations

from duskbench.data_tools.miniature.build import VOC_IMAGES, make_miniature
from duskbench.data_tools.miniature.manifest import Manifest, load_manifest

__all__ = ["VOC_IMAGES", "Manifest", "load_manifest", "make_miniature"]
