"""The bundled miniature data set: rendered scenes in the real VOC and ExDark layouts, lit and at night."""

from __future__ import annotations

from duskbench.data_tools.miniature.build import VOC_IMAGES, Miniature, make_miniature

__all__ = ["VOC_IMAGES", "Miniature", "make_miniature"]
