"""TorchEnhancer: padding, tiling, rounding, devices and what it says about a broken network."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from duskbench.data_tools.errors import ConfigError, EnhancerError
from duskbench.pipeline.enhancers.padding import pad_to_multiple
from duskbench.pipeline.enhancers.tiling import plan_tiles
from duskbench.pipeline.enhancers.torch_base import TorchEnhancer


class Identity(TorchEnhancer):
    name = "identity"
    stride: ClassVar[int] = 8
    overlap: ClassVar[int | None] = 5

    def forward(self, batch: Tensor) -> Tensor:
        assert batch.dtype == torch.float32
        assert batch.shape[2] % self.stride == 0
        assert batch.shape[3] % self.stride == 0
        return batch


class Box(TorchEnhancer):
    """The mean of 9x9 pixels after a shift up by two: sees six above and four below and beside."""

    name = "box"
    overlap: ClassVar[int | None] = 6

    def forward(self, batch: Tensor) -> Tensor:
        shifted = F.pad(batch, (0, 0, 2, 0))[:, :, :-2]
        return F.avg_pool2d(shifted, 9, stride=1, padding=4)


class Shortsighted(Box):
    overlap: ClassVar[int | None] = 2


class Scripted(TorchEnhancer):
    name = "scripted"

    def __init__(self, answer: object, **arguments: object) -> None:
        super().__init__(**arguments)
        self.answer = answer

    def forward(self, batch: Tensor) -> Tensor:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer(batch)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


sizes = st.integers(1, 40)


@settings(deadline=None, max_examples=30)
@given(height=sizes, width=sizes, tile_pixels=st.sampled_from([1, 400, 1000, 10**6]), seed=st.integers(0, 99))
def test_an_identity_network_returns_every_bit(height, width, tile_pixels, seed) -> None:
    image = picture(height, width, seed)
    before = image.copy()
    result = Identity(tile_pixels=tile_pixels)(image)
    np.testing.assert_array_equal(result, image)
    np.testing.assert_array_equal(image, before)


@settings(deadline=None, max_examples=30)
@given(height=sizes, width=sizes, tile_pixels=st.sampled_from([1, 300, 1000]))
def test_tiles_join_without_a_seam(height, width, tile_pixels) -> None:
    image = picture(height, width)
    whole = Box(tile_pixels=10**6)(image).astype(int)
    assert np.abs(Box(tile_pixels=tile_pixels)(image) - whole).max() <= 1


def test_too_small_an_overlap_does_show_a_seam() -> None:
    image = picture(64, 64)
    whole = Shortsighted(tile_pixels=10**6)(image).astype(int)
    assert np.abs(Shortsighted(tile_pixels=400)(image) - whole).max() > 10


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    pixels=st.integers(1, 20000),
    overlap=st.integers(0, 40),
    stride=st.sampled_from([1, 2, 8, 16, 32]),
)
def test_tiles_cover_every_pixel_once_with_their_overlap(height, width, pixels, overlap, stride) -> None:
    covered = np.zeros((height, width), dtype=int)
    for tile in plan_tiles(height, width, pixels=pixels, overlap=overlap, stride=stride):
        covered[tile.core] += 1
        window = np.zeros((height, width), dtype=int)[tile.window]
        assert window[tile.core_in_window].shape == covered[tile.core].shape
        for span, size in ((tile.rows, height), (tile.columns, width)):
            assert span.start % stride == 0
            assert span.stop % stride == 0 or span.stop == size
            assert span.start <= max(span.core_start - overlap, 0)
            assert span.stop >= min(span.core_stop + overlap, size)
            assert 0 <= span.start < span.stop <= size
    assert (covered == 1).all()


@pytest.mark.parametrize(
    ("height", "width", "pixels", "overlap"),
    [(3000, 4000, 2**20, 33), (4000, 6000, 2**17, 7), (1, 24_000_000, 2**20, 33), (24_000_000, 1, 2**17, 7)],
)
def test_windows_stay_within_the_budget(height, width, pixels, overlap) -> None:
    area = sum(
        (t.rows.stop - t.rows.start) * (t.columns.stop - t.columns.start)
        for t in plan_tiles(height, width, pixels=pixels, overlap=overlap, stride=8)
    )
    # Rounding to the stride may exceed it by a few rows.
    for tile in plan_tiles(height, width, pixels=pixels, overlap=overlap, stride=8):
        rows, columns = tile.rows.stop - tile.rows.start, tile.columns.stop - tile.columns.start
        assert rows * columns <= 1.1 * pixels
    assert area < 1.35 * height * width


def test_a_network_that_must_see_all_is_never_tiled() -> None:
    shapes = []

    class Whole(TorchEnhancer):
        name = "whole"

        def forward(self, batch: Tensor) -> Tensor:
            shapes.append(tuple(batch.shape))
            return batch

    Whole(tile_pixels=1)(picture(40, 50))
    assert shapes == [(1, 3, 40, 50)]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (5, [1, 0, 1, 2, 3, 4, 3, 2]),  # three to add: one before, two after
        (2, [0, 0, 0, 0, 1, 1, 1, 1]),  # too small to reflect six
        (1, [0, 0, 0, 0, 0, 0, 0, 0]),
        (8, [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_padding_reflects_or_repeats(size, expected) -> None:
    seen = []

    class Spy(Identity):
        def forward(self, batch: Tensor) -> Tensor:
            seen.append(batch)
            return batch

    image = np.arange(size, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(3, 2)
    Spy()(image)
    assert (seen[0][0, 0, :, 0] * 255).round().int().tolist() == expected
    Spy()(image.transpose(1, 0, 2))
    assert (seen[1][0, 0, 0] * 255).round().int().tolist() == expected


def test_what_a_network_makes_of_the_zeros_around_a_picture_falls_into_the_margin() -> None:
    flat = np.full((21, 30, 3), 90, np.uint8)

    class Framed(Box):
        margin: ClassVar[int] = 6

    assert Box()(flat)[0, 0, 0] < 60
    for tile_pixels in (300, 10**6):
        np.testing.assert_array_equal(Framed(tile_pixels=tile_pixels)(flat), flat)
    # Inside, where the network sees no border, a margin changes nothing.
    image = picture(40, 50)
    inside = (slice(6, -6), slice(6, -6))
    np.testing.assert_array_equal(Framed()(image)[inside], Box()(image)[inside])


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (5, [3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1, 0]),  # three on each side, and one more to a multiple of four
        (2, [0, 0, 0, 0, 1, 1, 1, 1]),
    ],
)
def test_a_margin_is_added_before_the_stride(size, expected) -> None:
    image = np.arange(size, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(3, 2)
    padded, top, left = pad_to_multiple(image, stride=4, margin=3)
    assert padded[:, 0, 0].tolist() == expected
    assert (top, left, padded.shape[1]) == (3, 4, 16)


@pytest.mark.parametrize(
    ("value", "level"),
    [(-0.3, 0), (0.0, 0), (0.0019, 0), (0.0021, 1), (0.5, 128), (0.998, 254), (0.9985, 255), (7, 255)],
)
def test_values_are_rounded_and_clipped(value, level) -> None:
    result = Scripted(lambda batch: torch.full_like(batch, value))(picture(3, 4))
    assert (result == level).all()


def test_channels_keep_their_order() -> None:
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    image[..., 0] = 255
    red = Scripted(lambda batch: batch * torch.tensor([1.0, 0, 0])[None, :, None, None])
    np.testing.assert_array_equal(red(image), image)


def test_odd_memory_is_taken() -> None:
    image = picture(20, 30)[::-1, ::2, ::-1]
    image.flags.writeable = False
    np.testing.assert_array_equal(Identity()(image), image)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_not_finite_names_enhancer_and_image(value) -> None:
    def broken(batch: Tensor) -> Tensor:
        batch = batch.clone()
        batch[0, 1, 2, 3] = value
        return batch

    with pytest.raises(EnhancerError, match="'scripted' returned NaN or infinity") as caught:
        Scripted(broken)(picture(9, 9), image_id="2015_00001")
    assert caught.value.where == "2015_00001"
    assert "1 of 243" in str(caught.value)


def test_large_finite_values_are_not_taken_for_infinity() -> None:
    result = Scripted(lambda batch: torch.full_like(batch, 3e38))(picture(9, 9))
    assert (result == 255).all()


@pytest.mark.parametrize(
    ("answer", "got"),
    [
        (lambda batch: batch[:, :, 1:], r"\(1, 3, 4, 6\) torch.float32"),
        (lambda batch: batch[:, :1], r"\(1, 1, 5, 6\) torch.float32"),
        (lambda batch: batch.int(), r"\(1, 3, 5, 6\) torch.int32"),
        (lambda batch: [batch], "list"),
        (lambda batch: None, "NoneType"),
    ],
)
def test_a_wrong_tensor_is_described(answer, got) -> None:
    with pytest.raises(EnhancerError, match="'scripted' broke its contract") as caught:
        Scripted(answer)(picture(5, 6), image_id="id")
    assert "(1, 3, 5, 6)" in str(caught.value)
    assert caught.match(got)


def test_running_out_of_memory_says_what_to_do() -> None:
    with pytest.raises(EnhancerError, match="ran out of memory on cpu") as caught:
        Scripted(torch.OutOfMemoryError("no"))(picture(5, 6))
    assert "5 x 6" in str(caught.value)


@pytest.mark.parametrize("device", ["nonsense", "cpu:x", "meta", "cuda:99", "mps"])
def test_a_device_that_cannot_be_used_is_an_error(device) -> None:
    with pytest.raises(ConfigError):
        Identity(device=device)


def test_half_precision_needs_a_gpu() -> None:
    with pytest.raises(ConfigError, match="for a GPU"):
        Identity(amp=True)


def test_an_empty_budget_is_an_error() -> None:
    with pytest.raises(ConfigError, match="tile_pixels"):
        Identity(tile_pixels=0)


def test_the_fingerprint_knows_the_networks_and_not_the_device() -> None:
    class One(nn.Linear):
        pass

    def fingerprint(network: nn.Module | None, **arguments: object) -> str:
        enhancer = Scripted(None, **arguments)
        if network is not None:
            enhancer.prepare(network)
        return enhancer.fingerprint

    assert fingerprint(One(1, 1)) == fingerprint(One(1, 1))
    assert fingerprint(One(1, 1), tile_pixels=7) == fingerprint(One(1, 1), device=torch.device("cpu"))
    different = {fingerprint(None), fingerprint(One(1, 1)), fingerprint(nn.Linear(1, 1)), fingerprint(None, gamma=2)}
    assert len(different) == 4


def test_a_prepared_network_is_ready() -> None:
    network = Identity().prepare(nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)))
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())


@pytest.mark.gpu
def test_the_gpu_agrees_with_the_cpu() -> None:
    image = picture(70, 90)
    difference = Box(device="cuda")(image).astype(int) - Box()(image)
    assert np.abs(difference).max() <= 1
    assert Box(device="cuda", amp=True)(image).shape == image.shape
