"""Enhance inside torchvision's v2 pipelines."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import tv_tensors
from torchvision.transforms import v2

from duskbench.data_tools.errors import EnhancerError
from duskbench.pipeline import load_enhancer
from duskbench.pipeline.transforms.torchvision import Enhance

GAMMA = "gamma(gamma=0.4)"


def dark(*shape: int) -> Tensor:
    return torch.randint(0, 60, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def enhanced(picture: Tensor) -> Tensor:
    """What the enhancer makes of a (3, H, W) uint8 picture, by the numpy API."""
    result = load_enhancer(GAMMA)(np.ascontiguousarray(picture.permute(1, 2, 0).numpy()))
    return torch.from_numpy(result.copy()).permute(2, 0, 1)


def test_a_sample_keeps_what_is_no_image() -> None:
    picture = dark(3, 20, 30)
    sample = {
        "image": tv_tensors.Image(picture),
        "boxes": tv_tensors.BoundingBoxes([[1, 2, 10, 12]], format="XYXY", canvas_size=(20, 30)),
        "masks": tv_tensors.Mask(torch.ones(1, 20, 30, dtype=torch.bool)),
        "labels": torch.tensor([3]),
        "features": torch.rand(3, 4, 5),
        "name": "photo",
    }
    got = Enhance(GAMMA)(sample)
    assert type(got["image"]) is tv_tensors.Image
    assert torch.equal(got["image"], enhanced(picture))
    for key in ("boxes", "masks", "labels", "features", "name"):
        assert got[key] is sample[key]


@pytest.mark.parametrize("shape", [(3, 7, 9), (1, 3, 7, 9), (4, 3, 7, 9), (2, 5, 3, 7, 9), (0, 3, 7, 9)])
def test_every_picture_of_a_batch_is_enhanced_by_itself(shape: tuple[int, ...]) -> None:
    pictures = dark(*shape)
    got = Enhance(GAMMA)(pictures)
    assert type(got) is Tensor
    assert (got.shape, got.dtype) == (pictures.shape, torch.uint8)
    for one, wanted in zip(got.reshape(-1, 3, 7, 9), pictures.reshape(-1, 3, 7, 9), strict=True):
        assert torch.equal(one, enhanced(wanted))


def test_a_video_is_a_batch_of_frames() -> None:
    video = tv_tensors.Video(dark(4, 3, 7, 9))
    got = Enhance(GAMMA)(video)
    assert type(got) is tv_tensors.Video
    assert torch.equal(got[2], enhanced(video[2]))


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float32, 1e-7), (torch.float64, 1e-7), (torch.float16, 1e-3), (torch.bfloat16, 4e-3)],
)
def test_floats_are_the_same_picture(dtype: torch.dtype, tolerance: float) -> None:
    picture = dark(3, 20, 30)
    got = Enhance("input")((picture / 255).to(dtype))
    assert got.dtype == dtype
    assert torch.allclose(got.float(), picture / 255, atol=tolerance)


def test_pil_in_pil_out_and_red_is_red() -> None:
    image = PIL.Image.new("RGB", (9, 7), (40, 20, 10))
    got = Enhance(lambda array: array * np.array([1, 0, 0], np.uint8))(image)
    assert isinstance(got, PIL.Image.Image)
    assert (got.size, got.mode, got.getpixel((3, 3))) == ((9, 7), "RGB", (40, 0, 0))


def test_in_a_compose_and_a_loader() -> None:
    steps = v2.Compose([Enhance(GAMMA), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)])
    pictures = dark(4, 3, 12, 10)
    loader = DataLoader(
        list(pictures), batch_size=None, num_workers=1, collate_fn=steps, multiprocessing_context="fork"
    )  # type: ignore[arg-type]
    for got, picture in zip(loader, pictures, strict=True):
        assert torch.allclose(got, enhanced(picture) / 255 * 2 - 1, atol=1e-6)


def test_it_pickles_as_its_specification() -> None:
    step = Enhance("zero_dce")
    picture = dark(3, 20, 30)
    first = step(picture)
    pickled = pickle.dumps(step)
    assert len(pickled) < 5000
    assert torch.equal(pickle.loads(pickled)(picture), first)  # noqa: S301
    assert repr(step) == "Enhance(enhancer='zero_dce', device='cpu')"


def test_inputs_are_not_changed_and_gradients_end() -> None:
    picture = (dark(3, 20, 30) / 255).requires_grad_()
    before = picture.detach().clone()
    got = Enhance(GAMMA)(picture)
    assert torch.equal(picture, before)
    assert not got.requires_grad


@pytest.mark.parametrize(
    ("inpt", "message"),
    [
        (torch.zeros(1, 4, 4), "ToImage"),
        (torch.zeros(4, 4), "ToImage"),
        (torch.zeros(3, 4, 4, dtype=torch.int32), "ToImage"),
        (torch.full((3, 4, 4), 7.0), "before v2.Normalize"),
        (torch.full((3, 4, 4), -0.5), "before v2.Normalize"),
        (torch.full((3, 4, 4), float("nan")), "before v2.Normalize"),
        (PIL.Image.new("L", (4, 4)), "v2.RGB"),
        (PIL.Image.new("RGBA", (4, 4)), "v2.RGB"),
    ],
)
def test_what_is_no_picture_is_refused(inpt: Any, message: str) -> None:
    with pytest.raises(EnhancerError, match=message):
        Enhance("input")(inpt)
