"""A stand-in for mmcv's compiled operators, so that mmdet's SSD runs on an mmcv that was installed without them.

Compiling mmcv takes a quarter of an hour and a compiler; SSD and RFB need one operator of it, non-maximum suppression,
and torchvision has that. `mmcv.ops` asks for `mmcv._ext` at import, so `provide_mmcv_ops` must run before mmdet is
imported; every module of this project that imports mmdet calls it first.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

from duskbench.data_tools.errors import DetectorError
from duskbench.pipeline.lazy_imports import import_when_used

logger = logging.getLogger(__name__)

EXTENSION = "mmcv._ext"

# What mmcv, mmengine and mmdet import at their top for drawing, for reading TIFF, for augmentations, for masks, for
# lane, language and tracking models and for sharded training, some of it only where it is installed. It takes twice as
# long as torch; detecting needs none of it. A package that is missing here, and itself imports one of these, meets a
# stand-in.
_SELDOM_USED = (
    "albumentations", "bitsandbytes", "cityscapesscripts", "fairscale", "faster_coco_eval", "imagecorruptions",
    "imgaug", "lvis", "matplotlib", "mmpretrain", "panopticapi", "pycocoevalcap", "scipy", "shapely", "skimage",
    "sklearn", "tifffile", "torch.distributed.fsdp", "torch.distributed.optim", "trackeval", "transformers",
)  # fmt: skip


def provide_mmcv_ops() -> bool:
    """Make `mmcv._ext` importable, the compiled one if there is one, else the stand-in, and import mmdet.

    Returns:
        True where mmcv's own compiled operators are in use.

    Raises:
        ImportError: mmcv itself is not installed.
    """
    with import_when_used(*_SELDOM_USED):
        extension = _provide_extension()
        if "mmdet.models" not in sys.modules:
            # It prints to standard output that an optional package is missing; there our tables and JSON go.
            with contextlib.redirect_stdout(io.StringIO()):
                importlib.import_module("mmdet.datasets")
                importlib.import_module("mmdet.models")
    return not isinstance(extension, TorchvisionOps)


def _provide_extension() -> Any:
    mmcv: Any = importlib.import_module("mmcv")
    try:
        return importlib.import_module(EXTENSION)
    except ImportError as error:
        logger.debug("%s cannot be imported (%s); torchvision's operators stand in.", EXTENSION, error)
        sys.modules[EXTENSION] = mmcv._ext = TorchvisionOps()
        return mmcv._ext


class TorchvisionOps(ModuleType):
    """The module that stands in for `mmcv._ext`.

    `nms` and `softnms` work; any other operator can be looked up, because mmcv checks at import that they are there,
    and raises DetectorError when it is called.
    """

    def __init__(self) -> None:
        super().__init__(EXTENSION, "Stand-in for mmcv's compiled operators.")
        self.__spec__ = ModuleSpec(EXTENSION, loader=None)

    @staticmethod
    def nms(boxes: Any, scores: Any, iou_threshold: float, offset: int) -> Any:
        """Operator behind `mmcv.ops.nms`; see `duskbench.pipeline.nms.nms`."""
        from duskbench.pipeline.nms import nms

        return nms(boxes, scores, iou_threshold, offset)

    @staticmethod
    def softnms(
        boxes: Any,
        scores: Any,
        dets: Any,
        iou_threshold: float,
        sigma: float,
        min_score: float,
        method: int,
        offset: int,
    ) -> Any:
        """Operator behind `mmcv.ops.soft_nms`: fills the first rows of `dets`, returns the indices of its rows."""
        from duskbench.pipeline.nms import SOFT_NMS_METHODS, soft_nms

        kept, indices = soft_nms(boxes, scores, iou_threshold, sigma, min_score, SOFT_NMS_METHODS[method], offset)
        dets[: len(kept)] = kept
        return indices

    def __getattr__(self, name: str) -> Any:
        # Registries and inspect look modules up by dunder names and must see a module that has none.
        if name.startswith("__"):
            raise AttributeError(f"module {EXTENSION!r} has no attribute {name!r}")

        def missing(*args: object, **kwargs: object) -> NoReturn:
            raise DetectorError(
                f"The detector needs mmcv's compiled operator {name!r}, and this mmcv has no compiled operators.",
                where=EXTENSION,
                expected="a compiled mmcv; without it only nms and softnms are there",
                todo="compile it, with torch and a C++ compiler at hand (takes a quarter of an hour): MMCV_WITH_OPS=1 "
                "pip install --no-build-isolation --no-binary onedl-mmcv --force-reinstall onedl-mmcv",
            )

        missing.__name__ = name
        return missing
