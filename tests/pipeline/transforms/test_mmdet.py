"""EnhanceImage inside real mmdet pipelines, and before a real mmdet detector."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.dataset import Compose

from duskbench.data_tools.errors import ConfigError, EnhancerError, UnknownNameError
from duskbench.data_tools.images import read_image, write_image
from duskbench.pipeline import load_detector, load_enhancer
from duskbench.pipeline.mmcv_ops import provide_mmcv_ops
from duskbench.pipeline.transforms import EnhanceImage


@pytest.fixture(scope="module", autouse=True)
def _mmdet() -> None:
    provide_mmcv_ops()
    import mmdet.datasets.transforms  # noqa: F401 - fills the registry


def red_channel(image_rgb: np.ndarray) -> np.ndarray:
    """Keep red alone: what shows whether red arrived as red."""
    return image_rgb * np.array([1, 0, 0], np.uint8)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    write_image(path, np.random.default_rng(0).integers(0, 60, (61, 83, 3), dtype=np.uint8))
    return path


def compose(*steps: dict[str, Any]) -> Compose:
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope("mmdet"):
        return Compose(list(steps))


LOAD = {"type": "LoadImageFromFile"}
RESIZE = {"type": "Resize", "scale": (166, 122), "keep_ratio": True}
PACK = {"type": "PackDetInputs", "meta_keys": ("img_path", "ori_shape", "img_shape", "scale_factor")}


@pytest.mark.parametrize("to_float32", [False, True])
def test_in_an_mmdet_pipeline_it_is_enhance_then_pipeline(photo: Path, tmp_path: Path, to_float32: bool) -> None:
    load = {**LOAD, "to_float32": to_float32}
    got = compose(load, {"type": "EnhanceImage", "enhancer": "gamma(gamma=0.4)"}, RESIZE, PACK)(
        {"img_path": str(photo)}
    )

    enhanced = tmp_path / "enhanced.png"
    write_image(enhanced, load_enhancer("gamma(gamma=0.4)")(read_image(photo)))
    wanted = compose(load, RESIZE, PACK)({"img_path": str(enhanced)})

    assert got["inputs"].dtype == wanted["inputs"].dtype
    assert np.array_equal(got["inputs"], wanted["inputs"])
    plain = compose(load, RESIZE, PACK)({"img_path": str(photo)})
    assert got["data_samples"].metainfo == plain["data_samples"].metainfo
    assert not np.array_equal(got["inputs"], plain["inputs"])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_red_is_red(dtype: type) -> None:
    image_bgr = np.full((4, 5, 3), (10, 20, 30), dtype)
    results = EnhanceImage(red_channel)({"img": image_bgr.copy(), "img_shape": (4, 5), "gt_bboxes": "boxes"})
    assert results["img"].dtype == dtype
    assert results["img"].flags.c_contiguous
    assert np.array_equal(results["img"], np.broadcast_to(np.array([0, 0, 30], dtype), (4, 5, 3)))
    assert (results["img_shape"], results["gt_bboxes"]) == ((4, 5), "boxes")


def test_rgb_loaders_can_say_so() -> None:
    results = EnhanceImage(red_channel, channel_order="rgb")({"img": np.full((2, 2, 3), (10, 20, 30), np.uint8)})
    assert results["img"][0, 0].tolist() == [10, 0, 0]


def test_the_image_is_known_by_its_path(photo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    write_image(folder / "photo.png", np.full((61, 83, 3), (1, 2, 3), np.uint8))
    results = compose(LOAD, {"type": "EnhanceImage", "enhancer": f"dir:{folder}"})({"img_path": str(photo)})
    assert results["img"][0, 0].tolist() == [3, 2, 1]
    with pytest.raises(EnhancerError, match="lacks an image"):
        # That of another folder.
        (folder / "other").mkdir()
        (folder / "photo.png").rename(folder / "other" / "photo.png")
        compose(LOAD, {"type": "EnhanceImage", "enhancer": f"dir:{folder}"})({"img_path": str(photo)})


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4), np.uint8), "no colour image"),
        (np.zeros((4, 4, 4), np.uint8), "no colour image"),
        (np.zeros((4, 4, 3), np.int64), "no colour image"),
        (None, "no colour image"),
        (np.full((4, 4, 3), -1.5, np.float32), "before steps that normalise"),
        (np.full((4, 4, 3), 300, np.float32), "before steps that normalise"),
        (np.full((4, 4, 3), np.nan, np.float32), "before steps that normalise"),
    ],
)
def test_what_is_no_picture_is_refused(image: np.ndarray | None, message: str) -> None:
    with pytest.raises(EnhancerError, match=message) as caught:
        EnhanceImage("input")({"img": image, "img_path": "folder/2015_00001.png"})
    assert caught.value.where == "folder/2015_00001"


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigError, match="no such channel order"):
        EnhanceImage("input", channel_order="hsv")
    with pytest.raises(ConfigError, match="no enhancer"):
        EnhanceImage(3)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="did you mean gamma"):
        EnhanceImage("gama")({"img": np.zeros((4, 4, 3), np.uint8)})


def test_it_depends_on_what_its_enhancer_depends_on() -> None:
    assert EnhanceImage("gamma(gamma=0.4)").fingerprint == load_enhancer("gamma(gamma=0.4)").fingerprint


def test_a_built_one_pickles_as_its_specification(photo: Path) -> None:
    step = EnhanceImage("zero_dce")
    image = read_image(photo)
    first = step({"img": image})["img"]
    pickled = pickle.dumps(step)
    assert len(pickled) < 1000
    assert np.array_equal(pickle.loads(pickled)({"img": image})["img"], first)  # noqa: S301
    assert repr(step) == "EnhanceImage(enhancer='zero_dce', device='cpu', channel_order='bgr')"


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_workers_build_their_own(photo: Path, start: str) -> None:
    from torch.utils.data import DataLoader

    step = EnhanceImage("gamma(gamma=0.4)")
    samples = [{"img": read_image(photo), "number": number} for number in range(3)]
    wanted = step(dict(samples[0]))["img"]
    loader = DataLoader(samples, num_workers=1, batch_size=None, collate_fn=step, multiprocessing_context=start)  # type: ignore[arg-type]
    got = list(loader)
    assert [each["number"] for each in got] == [0, 1, 2]
    assert all(np.array_equal(each["img"], wanted) for each in got)


@pytest.mark.slow
def test_a_detector_finds_what_it_finds_in_the_enhanced_image(tmp_path: Path) -> None:
    import torch
    from mmdet.apis import inference_detector
    from mmengine.registry import DefaultScope

    detector: Any = load_detector("rfb_miniature")
    photo = tmp_path / "night.png"
    write_image(photo, _night_scene())
    step = {"type": "EnhanceImage", "enhancer": "gamma(gamma=0.4)"}
    model = detector.model
    config = copy.deepcopy(model.cfg)
    config.custom_imports["imports"].append("duskbench.pipeline.transforms")
    config.test_dataloader.dataset.pipeline.insert(1, step)
    # mmdet's own function loads annotations only where the file has them.
    config.test_dataloader.dataset.pipeline = [
        each for each in config.test_dataloader.dataset.pipeline if each["type"] != "LoadAnnotations"
    ]
    plain, model.cfg = model.cfg, config
    try:
        with DefaultScope.overwrite_default_scope("mmdet"), torch.inference_mode():
            found = inference_detector(model, str(photo)).pred_instances
            from_array = inference_detector(model, read_image(photo)[:, :, ::-1].copy()).pred_instances
    finally:
        model.cfg = plain

    image = read_image(photo)
    [wanted] = detector.detect([load_enhancer("gamma(gamma=0.4)")(image)])
    [dark] = detector.detect([image])
    assert len(wanted) > 0
    order = np.argsort(-found.scores.numpy(), kind="stable")
    assert np.array_equal(found.bboxes.numpy()[order], wanted.boxes_xyxy)
    assert np.array_equal(found.scores.numpy()[order], wanted.scores)
    assert np.array_equal(from_array.bboxes, found.bboxes)
    assert not np.array_equal(dark.scores, wanted.scores)


def _night_scene() -> np.ndarray:
    rng = np.random.default_rng(3)
    image = rng.integers(0, 30, (120, 160, 3), dtype=np.uint8)
    image[40:80, 50:110] = (70, 40, 30)
    image[20:100, 20:35] = (60, 60, 70)
    return image
