"""An image becomes an enhanced image becomes detections; enhancers and detectors are trained here.

`load_enhancer` and `load_detector` are the two names outsiders rely on. They are imported on first use, so that
`import pipeline` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duskbench.pipeline.registry import load_detector, load_enhancer

__all__ = ["load_detector", "load_enhancer"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from duskbench.pipeline import registry

        return getattr(registry, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
