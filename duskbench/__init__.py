"""Low-light pre-processing for object detectors, and the benchmark that says whether it helped.

The names below are what outsiders rely on; everything else may move. They are imported on first use, so that
`import duskbench` costs nothing. In a repository the four parts lie beside this folder, links lead to them; an
installed package holds them itself.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duskbench.benchmarks.metrics.base import DetectionMetric, ImageMetric, Metric, Value
    from duskbench.benchmarks.metrics.niqe import niqe
    from duskbench.benchmarks.metrics.voc_ap import voc_ap
    from duskbench.data_tools.datasets import open_dataset
    from duskbench.data_tools.errors import DuskbenchError
    from duskbench.data_tools.findings import Finding
    from duskbench.data_tools.records import Dataset, ImageRecord, ObjectAnnotation
    from duskbench.pipeline.detectors.base import Detections, Detector
    from duskbench.pipeline.enhancers.base import Enhancer
    from duskbench.pipeline.enhancers.torch_base import TorchEnhancer
    from duskbench.pipeline.registry import load_detector, load_enhancer
    from duskbench.pipeline.transforms.mmdet import EnhanceImage

_ADDRESSES = {
    "load_enhancer": "duskbench.pipeline.registry",
    "load_detector": "duskbench.pipeline.registry",
    "Enhancer": "duskbench.pipeline.enhancers.base",
    "TorchEnhancer": "duskbench.pipeline.enhancers.torch_base",
    "Detector": "duskbench.pipeline.detectors.base",
    "Detections": "duskbench.pipeline.detectors.base",
    "open_dataset": "duskbench.data_tools.datasets",
    "Dataset": "duskbench.data_tools.records",
    "ImageRecord": "duskbench.data_tools.records",
    "ObjectAnnotation": "duskbench.data_tools.records",
    "Finding": "duskbench.data_tools.findings",
    "DuskbenchError": "duskbench.data_tools.errors",
    "EnhanceImage": "duskbench.pipeline.transforms.mmdet",
    "Metric": "duskbench.benchmarks.metrics.base",
    "ImageMetric": "duskbench.benchmarks.metrics.base",
    "DetectionMetric": "duskbench.benchmarks.metrics.base",
    "Value": "duskbench.benchmarks.metrics.base",
    "niqe": "duskbench.benchmarks.metrics.niqe",
    "voc_ap": "duskbench.benchmarks.metrics.voc_ap",
}

__all__ = [
    "Dataset",
    "DetectionMetric",
    "Detections",
    "Detector",
    "DuskbenchError",
    "EnhanceImage",
    "Enhancer",
    "Finding",
    "ImageMetric",
    "ImageRecord",
    "Metric",
    "ObjectAnnotation",
    "TorchEnhancer",
    "Value",
    "__version__",
    "load_detector",
    "load_enhancer",
    "niqe",
    "open_dataset",
    "voc_ap",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("duskbench")
    if name in _ADDRESSES:
        return getattr(importlib.import_module(_ADDRESSES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
