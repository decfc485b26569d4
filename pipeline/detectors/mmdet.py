"""Any mmdet detector behind the `Detector` contract: its config, its checkpoint, its own test pipeline."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from duskbench.data_tools.classes import class_list
from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.fingerprint import fingerprint, identity
from duskbench.data_tools.plugins import raised_at
from duskbench.data_tools.settings import check_setting, is_whole
from duskbench.pipeline.checkpoint import read_checkpoint
from duskbench.pipeline.detectors.base import Detections, need_images
from duskbench.pipeline.detectors.nan_outputs import refuse_nan
from duskbench.pipeline.mmcv_ops import provide_mmcv_ops
from duskbench.pipeline.mmdet_config import brought_code, load_config


class MMDetDetector:
    """Runs an mmdet model, frozen.

    Args:
        config: An mmdet config: a path, a loaded one, or `mmdet::<path>` for one that mmdet brings along.
        checkpoint: Its weights: `.pth` as mmdet saves and publishes them, or `.safetensors`; a path, a name in the
            catalogue of `duskbench.pipeline.weights`, or the name of weights shipped with the project.
        device: Torch device.
        name: For tables; None takes the config's file name.
        cfg_options: Values to put into the config, `{"model.test_cfg.score_thr": 0.01}`.
        classes: Class names, or `voc`, `coco`, `coco91` or `exdark`; None takes the checkpoint's, or else the config's
            test data set's.
        ends_on_last_pixel: Whether the network was trained on boxes that end on their last pixel, as mmdet's VOC reader
            and RFBNet have it (all four of VOC's 1-based coordinates minus 1). Their ends are then moved one pixel on,
            to the end-exclusive frame of `Detections`.
        batch_size: Images that it is best given at a time. On a CPU small networks are faster with several, large ones
            slower; it finds the same to the last bit either way, with one thread.

    Boxes are otherwise what mmdet returns, mapped back to the image given; only the model itself clips them.

    Raises:
        ConfigError: The config, or its test pipeline, cannot be read or built, or the class names do not fit the model.
        WeightsError: The checkpoint is missing or does not fit the model.
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path,
        device: str = "cpu",
        *,
        name: str | None = None,
        cfg_options: Mapping[str, Any] | None = None,
        classes: str | Sequence[str] | None = None,
        ends_on_last_pixel: bool = False,
        batch_size: int = 1,
    ) -> None:
        check_setting("The detector", "batch_size", batch_size, is_whole(batch_size, 1), "a whole number from 1")
        loaded = load_config(config, cfg_options)
        self.checkpoint = path = checkpoint_file(checkpoint)
        self.ends_on_last_pixel, self.batch_size = ends_on_last_pixel, batch_size
        state_dict, saved_classes = read_checkpoint(path)
        loaded, state_dict = self._adapt(loaded, state_dict, path)
        self.name = name or Path(str(loaded.filename or "mmdet")).stem
        self.config = loaded
        names = class_list(classes or ()) or saved_classes or config_classes(loaded)
        self.classes = _check_classes(names, loaded, path)
        model = build_model(loaded)
        _load(model, state_dict, path)
        # A fifth faster than the default layout on CPUs.
        self.model: Any = self._freeze(model).to(memory_format=torch.channels_last).to(device)
        self.model.cfg = loaded
        refuse_nan(self.model, self.name)
        _convolve_by_onednn(self.model)
        self._pipeline = _test_pipeline(loaded)
        self._to_exclusive = np.array([0, 0, 1, 1] if ends_on_last_pixel else [0, 0, 0, 0], np.float32)
        arguments = {
            "model": loaded.model.to_dict(),
            "pipeline": [dict(step) for step in test_pipeline_config(loaded)],
            "classes": self.classes,
            "ends_on_last_pixel": ends_on_last_pixel,
        }
        self.weights = {"checkpoint": file_sha256(path)}
        self.identity = identity(arguments, self.weights)
        brought = brought_code(loaded, loaded.model, test_pipeline_config(loaded))
        code = {"mmdet": version("onedl-mmdetection"), **self._code(), **brought, **self._said_by_steps()}
        self.fingerprint = fingerprint(type(self), {**arguments, **code}, self.weights)

    def _adapt(self, config: Config, state_dict: dict[str, Tensor], where: Path) -> tuple[Config, dict[str, Tensor]]:
        """For subclasses whose files are not mmdet's: fit config and keys to each other."""
        return config, state_dict

    def _freeze(self, model: torch.nn.Module) -> torch.nn.Module:
        return model.eval().requires_grad_(False)

    def _code(self) -> dict[str, str]:
        """Further code that the result depends on, name -> hash."""
        return {}

    def _said_by_steps(self) -> dict[str, str]:
        """Of steps of the pipeline that say what their work depends on, as an enhancer among them does."""
        said = {f"step {number}": getattr(step, "fingerprint", None) for number, step in enumerate(self._pipeline)}
        return {step: str(each) for step, each in said.items() if each is not None}

    def unmerged_weights(self) -> dict[str, Tensor]:
        """The weights as a training goes on from them, where detecting may have merged convolution and normalisation.

        Returns:
            Keys of the model that `config` builds.

        Raises:
            WeightsError: The checkpoint has gone.
        """
        state_dict, _ = read_checkpoint(self.checkpoint)
        return self._adapt(self.config, state_dict, self.checkpoint)[1]

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Detect in a batch of images.

        Args:
            images: (H, W, 3) uint8 RGB each, of any sizes.

        Returns:
            One `Detections` for each image, in order.

        Raises:
            DetectorError: Something given is no such image, or the network makes NaN of it.
        """
        from mmengine.dataset import pseudo_collate
        from mmengine.registry import DefaultScope

        images = need_images(images, self.name)
        if not images:
            return []
        with DefaultScope.overwrite_default_scope("mmdet"), torch.inference_mode():
            samples = self._test_step(pseudo_collate([self._prepare(image) for image in images]))
        return [self._detections(sample.pred_instances) for sample in samples]

    def _test_step(self, batch: dict[str, Any]) -> list[Any]:
        try:
            found: list[Any] = self.model.test_step(batch)
        except RuntimeError as error:
            # Heads as CenterNet's take views of maps that only torch's default layout allows.
            if "view size is not compatible" not in str(error):
                raise
            self.model.to(memory_format=torch.contiguous_format)
            found = self.model.test_step(batch)
        return found

    def _prepare(self, image_rgb: np.ndarray) -> dict[str, Any]:
        # mmdet's pipelines start from what OpenCV reads: BGR.
        data: dict[str, Any] = {"img": np.ascontiguousarray(image_rgb[:, :, ::-1]), "img_id": 0}
        for transform in self._pipeline:
            data = transform(data)
        return data

    def _detections(self, found: Any) -> Detections:
        scores = found.scores.float().cpu().numpy()
        order = np.argsort(-scores, kind="stable")
        return Detections(
            found.bboxes.float().cpu().numpy().reshape(-1, 4)[order] + self._to_exclusive,
            scores[order],
            found.labels.cpu().numpy().astype(np.int64)[order],
            self.classes,
        )


def _convolve_by_onednn(model: torch.nn.Module) -> None:
    """Have oneDNN do all convolutions on a CPU, so that an image's result does not depend on its batch.

    torch itself takes oneDNN for several images, but for one only where it is large, and another library otherwise,
    whose sums are rounded otherwise.
    """
    if not torch.backends.mkldnn.is_available():
        return
    for module in model.modules():
        # A subclass may do something else, and other kinds of padding are torch's own work.
        if isinstance(module, torch.nn.Conv2d) and type(module)._conv_forward is torch.nn.Conv2d._conv_forward:
            on_cpu = module.weight.device.type == "cpu"
            if on_cpu and module.padding_mode == "zeros" and not isinstance(module.padding, str):
                module._conv_forward = partial(_convolve, module)  # type: ignore[method-assign]


def _convolve(module: torch.nn.Conv2d, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    settings: Any = (module.padding, module.stride, module.dilation, module.groups)
    return torch.mkldnn_convolution(images, weight, bias, *settings)


def build_model(config: Config) -> torch.nn.Module:
    """Build a config's model, without weights.

    mmdet's SSDHead cannot predict (`duskbench.pipeline.networks.ssd_head`), so ours takes its place.

    Raises:
        ConfigError: mmdet cannot build it.
    """
    provide_mmcv_ops()
    import mmdet.models
    from mmdet.registry import MODELS
    from mmengine.model import revert_sync_batchnorm
    from mmengine.registry import DefaultScope

    import duskbench.pipeline.networks.ssd_head  # noqa: F401 - registers our head

    model = copy.deepcopy(config.model)
    head = model.get("bbox_head")
    if isinstance(head, dict) and head.get("type") in ("SSDHead", "mmdet.SSDHead", mmdet.models.SSDHead):
        head["type"] = "PredictingSSDHead"
    if isinstance(model.get("backbone"), dict):
        # The checkpoint brings all weights; pretrained ones would only be downloaded to be overwritten.
        model["backbone"]["init_cfg"] = None
    try:
        with DefaultScope.overwrite_default_scope("mmdet"):
            return revert_sync_batchnorm(MODELS.build(model))
    except Exception as error:
        raise ConfigError("mmdet cannot build the model.", where=config.filename, got=str(error)) from error


def test_pipeline_config(config: Config) -> list[Any]:
    """Steps of a config's test pipeline, for an image that is already decoded and has no annotation.

    Raises:
        ConfigError: The config does not say them.
    """
    from mmdet.utils import get_test_pipeline_cfg

    try:
        load, *others = (dict(step) for step in get_test_pipeline_cfg(config))
    # Whatever mmdet's way to the steps runs into; where there is none, the list cannot be taken apart.
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(
            "The mmdet config does not say how a picture is prepared for the detector.",
            where=config.filename,
            expected="test_dataloader.dataset.pipeline, as mmdet's own configs have it since its version 3",
            got=f"{type(error).__name__}: {error}",
            todo="add test_dataloader = dict(dataset=dict(pipeline=[...])), with the steps that it was tested with",
        ) from error
    as_floats = {"to_float32": True} if load.get("to_float32") else {}
    without_annotation = [step for step in others if "LoadAnnotations" not in str(step["type"])]
    return [{"type": "LoadImageFromNDArray", **as_floats}, *without_annotation]


def _test_pipeline(config: Config) -> list[Any]:
    import mmdet.datasets.transforms  # noqa: F401 - fills the registry
    from mmcv.transforms import TestTimeAug
    from mmdet.registry import TRANSFORMS
    from mmengine.registry import DefaultScope

    steps = test_pipeline_config(config)
    try:
        with DefaultScope.overwrite_default_scope("mmdet"):
            built = [TRANSFORMS.build(step) for step in steps]
    # A step may be anybody's, and may raise anything.
    except Exception as error:
        raise ConfigError(
            "The test pipeline of the mmdet config cannot be built.",
            where=config.filename,
            got=raised_at(error, None),
            todo="correct test_dataloader.dataset.pipeline",
        ) from error
    if any(isinstance(step, TestTimeAug) for step in built):
        raise ConfigError(
            "The test pipeline of the mmdet config makes several pictures of one.",
            where=config.filename,
            expected="steps that make one input of a picture; boxes of several are not merged",
            got="TestTimeAug",
            todo="give test_dataloader.dataset.pipeline the steps of one picture",
        )
    return built


def checkpoint_file(checkpoint: str | Path) -> Path:
    """Find a checkpoint: a file, weights that are shipped with the project, or a name of `duskbench.pipeline.weights`.

    Raises:
        WeightsError: There is none.
        UnknownNameError: It is none of the three; the message has the names.
    """
    from duskbench.pipeline import weights

    path, name = Path(checkpoint).expanduser(), str(checkpoint)
    if path.is_file() or path.is_absolute():
        return weights.find_weights(name, path)
    return weights.bundled(name) if not path.suffix else weights.find_weights(name)


def _load(model: torch.nn.Module, state_dict: dict[str, Tensor], where: Path) -> None:
    from duskbench.pipeline.network_weights import load_into

    load_into(model, state_dict, where=where)


def config_classes(config: Config) -> tuple[str, ...]:
    """Class names of a config's test data set: its `metainfo`, or those of the data set's class; empty if unknown."""
    provide_mmcv_ops()
    import mmdet.datasets  # noqa: F401 - fills the registry
    from mmdet.registry import DATASETS

    dataset = (config.get("test_dataloader") or {}).get("dataset") or {}
    while "dataset" in dataset or "datasets" in dataset:
        dataset = dataset["dataset"] if "dataset" in dataset else dataset["datasets"][0]
    kind = dataset.get("type")
    # What is said replaces what the class knows key by key, and may be a file of names.
    merge = getattr(DATASETS.get(kind) if isinstance(kind, str) else kind, "_load_metainfo", dict)
    classes = merge(dataset.get("metainfo") or {}).get("classes", ())
    return (classes,) if isinstance(classes, str) else tuple(classes)


def _check_classes(classes: Sequence[str], config: Config, where: Path) -> tuple[str, ...]:
    head = config.model.get("bbox_head") or config.model.get("roi_head", {}).get("bbox_head") or {}
    # A cascade has one for each of its stages.
    heads = [head] if isinstance(head, Mapping) else head
    count = next((each["num_classes"] for each in heads if each.get("num_classes") not in (None, len(classes))), None)
    if not classes or count is not None:
        raise ConfigError(
            "The class names do not fit the detector.",
            where=where,
            expected=f"{count or 'its'} names",
            got=f"{len(classes)}: {', '.join(classes)}" if classes else "none in checkpoint or config",
            todo="pass `classes`",
        )
    return tuple(classes)
