"""What a detector finds in an image does not depend on what it is given beside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from duskbench.data_tools.errors import ConfigError, DetectorError
from duskbench.pipeline.detectors.base import Detections, need_images
from duskbench.pipeline.detectors.checked import CheckedDetector
from duskbench.pipeline.registry import load_detector


@pytest.mark.slow
def test_a_batch_finds_what_single_images_do_to_the_last_bit() -> None:
    torch.set_num_threads(1)
    detector = load_detector("rfb_miniature")
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (height, 150, 3), np.uint8) for height in (100, 130, 160, 190, 220)]
    alone = [found for image in images for found in detector.detect([image])]
    assert detector.batch_size == 4 and all(len(found) for found in alone)
    for size in (2, 4, 5):
        together = [found for at in range(0, 5, size) for found in detector.detect(images[at : at + size])]
        for one, other in zip(alone, together, strict=True):
            for name in ("boxes_xyxy", "scores", "labels"):
                assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), (size, name)


def test_a_batch_is_images_in_a_list_or_an_array() -> None:
    image = np.zeros((3, 4, 3), np.uint8)
    assert all(map(np.array_equal, need_images(np.stack([image, image + 1]), "mine"), (image, image + 1)))
    assert need_images((each for each in (image,)), "mine")[0] is image
    for given in (image, [image / 255], [image[:, :, 0]], [Image.new("RGB", (4, 3))], [image[:0]]):
        with pytest.raises(DetectorError, match=r"(?s)'mine' was given something that is no image.*\(H, W, 3\) uint8"):
            need_images(given, "mine")  # type: ignore[arg-type]


class _Plain:
    classes = ("car",)

    def detect(self, images: list[np.ndarray]) -> list[object]:
        return []


def test_a_plug_in_may_say_how_many_images_it_wants() -> None:
    plain = _Plain()
    assert CheckedDetector(plain, "mine", {}).batch_size == 1
    plain.batch_size = 8  # type: ignore[attr-defined]
    assert CheckedDetector(plain, "mine", {}).batch_size == 8


class _OneBuffer(_Plain):
    boxes, scores, labels = np.zeros((1, 4), np.float32), np.ones(1, np.float32), np.zeros(1, np.int64)

    def detect(self, images: list[np.ndarray]) -> list[object]:
        found: list[object] = []
        for image in images:
            self.boxes[:] = 0, 0, image.shape[1], image.shape[0]
            found.append(Detections(self.boxes, self.scores, self.labels, self.classes))
        return found


def test_detections_on_one_buffer_are_those_of_their_image() -> None:
    images = [np.zeros((height, 8, 3), np.uint8) for height in (3, 4, 5)]
    found = CheckedDetector(_OneBuffer(), "mine", {}).detect(images)
    assert [each.boxes_xyxy.tolist() for each in found] == [[[0, 0, 8, height]] for height in (3, 4, 5)]


@pytest.mark.parametrize("wrong", [0, -1, 2.0, "4", None, True])
def test_a_number_of_images_that_is_none_is_an_error(wrong: object) -> None:
    plain = _Plain()
    plain.batch_size = wrong  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="batch_size is no number of images"):
        CheckedDetector(plain, "mine", {})
