"""Enhancers and detectors that run in a process of their own, as those who use them see them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from duskbench.data_tools.errors import EnhancerError
from duskbench.data_tools.host.host import Host
from duskbench.data_tools.host.plugin import Plugin
from duskbench.pipeline.detectors.base import Detections, need_images
from duskbench.pipeline.enhancers.base import Enhancer


class _Hosted:
    """A plug-in in a process of its own; see `Host`.

    Args:
        plugin: What to run.

    Raises:
        DuskbenchError: It cannot be built.
    """

    def __init__(self, plugin: Plugin) -> None:
        self._host = Host(plugin)

    def close(self) -> None:
        """End its process."""
        self._host.close()


class HostedEnhancer(_Hosted, Enhancer):
    """An enhancer of that kind."""

    def __init__(self, plugin: Plugin) -> None:
        super().__init__(plugin)
        about = self._host.about
        self.arguments, self.weights = about["arguments"], about["weights"]
        self.name, self.origin, self.batch_size = about["name"], about["origin"], about["batch_size"]

    def enhance(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        """Enhance one image; see `Enhancer.__call__`."""
        reply = self._host.ask({"ids": [image_id], "together": False}, [image_rgb], image_id)
        result: np.ndarray = reply["arrays"][0]
        return result

    def enhance_many(
        self, images_rgb: Sequence[np.ndarray], image_ids: Sequence[str | None]
    ) -> list[np.ndarray | EnhancerError]:
        """Enhance several images at once; one by one where that fails as a whole, so that the culprit is known."""
        try:
            return self._together(images_rgb, image_ids)
        except EnhancerError as error:
            if len(images_rgb) == 1:
                return [error]
        pairs = zip(images_rgb, image_ids, strict=True)
        return [result for image, image_id in pairs for result in self.enhance_many([image], [image_id])]

    @property
    def fingerprint(self) -> str:
        """Hash of the plug-in's code, arguments and weights; keys every stored result."""
        fingerprint: str = self._host.about["fingerprint"]
        return fingerprint

    def _together(
        self, images_rgb: Sequence[np.ndarray], image_ids: Sequence[str | None]
    ) -> list[np.ndarray | EnhancerError]:
        where = image_ids[0] if len(image_ids) == 1 else None
        reply = self._host.ask({"ids": list(image_ids), "together": True}, images_rgb, where, images=len(images_rgb))
        made = iter(reply["arrays"])
        return [next(made) if error is None else EnhancerError(**error) for error in reply["errors"]]


class HostedDetector(_Hosted):
    """A detector of that kind; see `Detector`."""

    def __init__(self, plugin: Plugin) -> None:
        super().__init__(plugin)
        about = self._host.about
        self.name: str = about["name"]
        self.classes: tuple[str, ...] = tuple(about["classes"])
        self.fingerprint: str = about["fingerprint"]
        self.identity: str = about["identity"]
        self.batch_size: int = about["batch_size"]
        self.weights: dict[str, str] = about["weights"]

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Detect in a batch of (H, W, 3) uint8 RGB images.

        Raises:
            DetectorError: Something given is no such image; what the plug-in raised, a broken contract, or how its
                process ended.
        """
        images = need_images(images, self.name)
        arrays = self._host.ask({}, images, images=len(images))["arrays"]
        return [
            Detections(boxes, scores, labels, self.classes)
            for boxes, scores, labels in zip(arrays[::3], arrays[1::3], arrays[2::3], strict=True)
        ]
