"""Any enhancer before any mmdet detector: a step of its data pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS

from duskbench.data_tools.errors import ConfigError, EnhancerError
from duskbench.data_tools.ids import stem
from duskbench.pipeline.transforms.lazy import LazyEnhancer


@TRANSFORMS.register_module()
class EnhanceImage(BaseTransform):
    """Enhance the image of an mmdet sample: one line after `LoadImageFromFile`, in a test or a train pipeline.

    `custom_imports = dict(imports=["duskbench.transforms"])` in the config makes the name known. The enhancer is built
    at the first image in each worker. For one on a GPU take `num_workers=0`, or workers that are spawned.

    Required key:
        img: (H, W, 3) uint8, or float32 in [0, 255] as `LoadImageFromFile(to_float32=True)` gives it; floats are
            rounded to 8 bits, which is what an enhancer takes.

    Modified key:
        img: The same shape, dtype and colour order. No other key changes, because no pixel moves.

    Args:
        enhancer: What `duskbench.load_enhancer` takes: "guided", "gamma(gamma=2.2)", "file.py:function", ...
        device: Torch device for the enhancers that compute on one.
        channel_order: Colour order of `img`: "bgr", mmdet's, or "rgb" behind a loader of one's own.

    Raises:
        ConfigError: The enhancer is none, or there is no such channel order.
        EnhancerError: `img` is no such image; or the enhancer broke its contract.
    """

    def __init__(
        self,
        enhancer: str | Mapping[str, Any] | Callable[..., Any],
        device: str = "cpu",
        channel_order: str = "bgr",
    ) -> None:
        if channel_order not in ("bgr", "rgb"):
            raise ConfigError(
                "There is no such channel order.", where="EnhanceImage", expected="bgr or rgb", got=repr(channel_order)
            )
        self.enhancer = LazyEnhancer(enhancer, device)
        self.device, self.channel_order = device, channel_order

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Enhance `results["img"]`."""
        path = results.get("img_path")
        # All of the path: images of two folders may share a name.
        image_id = stem(Path(path).as_posix()) if path is not None else results.get("img_id")
        image_id = None if image_id is None else str(image_id)
        image = results.get("img")
        pixels = _eight_bits(image, image_id)
        flip = slice(None, None, -1 if self.channel_order == "bgr" else 1)
        enhanced = self.enhancer(np.ascontiguousarray(pixels[:, :, flip]), image_id)
        results["img"] = np.ascontiguousarray(enhanced[:, :, flip], dtype=image.dtype)  # type: ignore[union-attr]
        return results

    @property
    def fingerprint(self) -> str:
        """The enhancer's."""
        return self.enhancer.get().fingerprint

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(enhancer={self.enhancer!r}, device={self.device!r}, "
            f"channel_order={self.channel_order!r})"
        )


def _eight_bits(image: object, image_id: str | None) -> np.ndarray:
    expected = "img, (H, W, 3) uint8, or floats in [0, 255]"
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or image.dtype.kind not in "uf":
        got = f"{image.shape} {image.dtype}" if isinstance(image, np.ndarray) else type(image).__name__
        raise EnhancerError(
            "EnhanceImage was given something that is no colour image.",
            where=image_id,
            expected=expected,
            got=got,
            todo="put EnhanceImage right after LoadImageFromFile, with its color_type 'color'",
        )
    if image.dtype == np.uint8:
        return image
    # Written so that NaN fails too.
    if not (image.min(initial=0) >= 0 and image.max(initial=0) <= 255):
        raise EnhancerError(
            "EnhanceImage was given values that are no pixels.",
            where=image_id,
            expected=expected,
            got=f"{image.dtype}, {image.min():.4g} to {image.max():.4g}",
            todo="put EnhanceImage before steps that normalise",
        )
    return np.rint(image).astype(np.uint8)
