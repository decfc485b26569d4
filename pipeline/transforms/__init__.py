"""Any enhancer inside other people's data pipelines: mmdet's (this import registers it) and torchvision's v2."""

from __future__ import annotations

from duskbench.pipeline.transforms.mmdet import EnhanceImage

__all__ = ["EnhanceImage"]
