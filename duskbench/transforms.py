"""The enhancers as a step of mmdet's pipelines: `custom_imports = dict(imports=["duskbench.transforms"])`."""

from duskbench.pipeline.transforms import EnhanceImage

__all__ = ["EnhanceImage"]
