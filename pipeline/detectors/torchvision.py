"""Any detector of torchvision by its name there, with the weights that torchvision publishes or a file of others."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from duskbench.data_tools.classes import class_list, class_positions
from duskbench.data_tools.errors import ConfigError, UnknownNameError, WeightsError
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.fingerprint import fingerprint, identity
from duskbench.data_tools.settings import check_keys, check_setting, is_share, is_whole
from duskbench.pipeline.detectors.base import Detections, need_images
from duskbench.pipeline.detectors.nan_outputs import refuse_nan
from duskbench.pipeline.network_weights import load_file

RANDOM = "random"


class TorchvisionDetector:
    """Runs a detector of `torchvision.models.detection`, frozen; resizing and suppression are torchvision's.

    Args:
        model: Its name in torchvision, `ssdlite320_mobilenet_v3_large`.
        device: Torch device.
        weights: None takes those that torchvision publishes (its `DEFAULT`), which it downloads once into torch's own
            cache and checks; or a file of such a network's state dict; or `random`, for tests: they find nothing.
        classes: Class names without background, for weights trained on other classes than the published ones; their
            labels then start at 1. `voc`, `exdark` and `coco` stand for lists.
        options: Further arguments of torchvision's builder, `{"box_score_thresh": 0.01}`.

    Raises:
        UnknownNameError: No such model, or no such argument of it.
        WeightsError: The weights cannot be had or do not fit.
        ConfigError: torchvision cannot build it.
    """

    batch_size = 1

    def __init__(
        self,
        model: str,
        device: str = "cpu",
        *,
        weights: str | Path | None = None,
        classes: str | Sequence[str] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        published = _published(model)
        categories = tuple(published.meta["categories"]) if classes is None else ("background", *class_list(classes))
        self.name = model
        _check_options(model, options or {})
        # Label 0 is background in all of them, whatever it is called.
        self.classes, positions = class_positions(categories[1:])
        self._positions = np.array([-1, *positions])
        self.model = _build(model, len(categories), options or {})
        path = None if weights == RANDOM else _weight_file(published, weights)
        if path is not None:
            load_file(self.model, path)
        self.model.to(device)
        refuse_nan(self.model, self.name)
        self._transform = published.transforms()
        self._device = device
        arguments = {"model": model, "classes": self.classes, "options": dict(options or {})}
        self.weights = {"weights": file_sha256(path) if path else RANDOM}
        self.identity = identity(arguments, self.weights)
        code = {"torchvision": version("torchvision")}
        self.fingerprint = fingerprint(type(self), {**arguments, **code}, self.weights)

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Detect in a batch of images.

        Args:
            images: (H, W, 3) uint8 RGB each, of any sizes.

        Returns:
            One `Detections` for each image, boxes clipped to it.

        Raises:
            DetectorError: Something given is no such image, or the network makes NaN of it.
        """
        images = need_images(images, self.name)
        if not images:
            return []
        with torch.inference_mode():
            found = self.model([self._prepare(image) for image in images])
        return [self._detections(each) for each in found]

    def _prepare(self, image_rgb: np.ndarray) -> Tensor:
        planes = torch.from_numpy(np.ascontiguousarray(image_rgb.transpose(2, 0, 1)))
        return cast(Tensor, self._transform(planes)).to(self._device)

    def _detections(self, found: Mapping[str, Tensor]) -> Detections:
        boxes, scores, labels = (found[key].cpu().numpy() for key in ("boxes", "scores", "labels"))
        labels = self._positions[labels]
        order = np.argsort(-scores, kind="stable")
        order = order[labels[order] >= 0]
        return Detections(boxes[order].astype(np.float32), scores[order], labels[order], self.classes)


# What options would overwrite, and what sets it.
_OWN = {"weights": "weights", "weights_backbone": "weights", "num_classes": "classes"}


def _check_options(model: str, options: Mapping[str, Any]) -> None:
    if not isinstance(options, Mapping):
        raise ConfigError(
            "The torchvision detector cannot be set so.", where=model, expected="options: a dict", got=repr(options)
        )
    for key, value in options.items():
        if key in _OWN:
            raise ConfigError(
                f"{key!r} is not set among the options.", where=model, todo=f"give {_OWN[key]}=... beside `options`"
            )
        is_threshold = key.endswith("_thresh")
        is_count = key.endswith(("detections_per_img", "topk_candidates")) or "_top_n_" in key
        if is_threshold:
            check_setting(model, key, value, is_share(value), "a number from 0 to 1")
        if is_count:
            check_setting(model, key, value, is_whole(value, 1), "a whole number from 1")


def _published(model: str) -> Any:
    """The weights that torchvision publishes for a detector, an entry of its enumeration."""
    from torchvision.models import detection, get_model_weights, list_models

    known = list_models(module=detection)
    if model not in known:
        raise UnknownNameError("torchvision detector", model, known)
    return cast(Any, get_model_weights(model)).DEFAULT


def _build(model: str, outputs: int, options: Mapping[str, Any]) -> torch.nn.Module:
    """The network with random weights, always the same ones."""
    from torchvision.models import get_model, get_model_builder

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            built = get_model(model, weights=None, weights_backbone=None, num_classes=outputs, **options)
        except (TypeError, ValueError) as error:
            raise ConfigError("torchvision cannot build the detector.", where=model, got=str(error)) from error
    # Some of torchvision's constructors take any argument and forget it.
    places = [
        get_model_builder(model),
        *(vars(each)["__init__"] for each in type(built).__mro__ if "__init__" in vars(each)),
    ]
    known = {name for place in places for name in inspect.signature(place).parameters}
    check_keys(options, known - {"self", "args", "kwargs"}, "argument", where=model)
    return built.eval().requires_grad_(False)


def _weight_file(published: Any, given: str | Path | None) -> Path:
    if given is not None:
        path = Path(given).expanduser()
        if not path.is_file():
            raise WeightsError(
                "The detector's weights do not exist.",
                where=path,
                todo=f"leave `weights` out for torchvision's own, {published.url}, or say weights='{RANDOM}'",
            )
        return path
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(published.url).name
    if path.is_file():
        return path
    try:
        published.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            "torchvision cannot download the detector's weights.",
            where=published.url,
            got=str(error),
            todo=f"put the file at {path}, or name one: weights='FILE'",
        ) from error
    return path
