"""KinD: decompose, restore the reflectance, adjust the illumination, and put both together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

from duskbench.data_tools.settings import check_setting, is_number
from duskbench.pipeline.enhancers.torch_base import TorchEnhancer, count_parameters
from duskbench.pipeline.kind_weights import load_kind, restoration_of
from duskbench.pipeline.networks.kind import KinDAdjustment, KinDDecomposition, KinDRestoration, stretch
from duskbench.pipeline.weight_catalogue import CATALOGUE, WeightFile

# scikit-image's rgb2gray, and its Gaussian of sigma 3 cut at four standard deviations.
GREY = (0.2125, 0.7154, 0.0721)
SIGMA, REACH = 3.0, 12


class KinD(TorchEnhancer):
    """Kindling the Darkness. The picture is stretched to its own minimum and maximum first, as in training.

    The authors' decomposition and adjustment are taken where nothing else is named. Their restoration network cannot be
    had (31 MB, no licence): train it with `configs/training/kind_restoration.py`, or leave it out by
    `restoration=False`, which keeps the noise. The network sees the whole picture, so there are no tiles.

    Args:
        ratio: How much brighter the illumination is to be, 0 to 5 in the authors' words; 5 is theirs.
        restoration: Weights of the restoration network; None looks `kind_restoration.safetensors` up; False leaves the
            reflectance as it is.
        decomposition: Weights of the decomposition network, see `load_kind`.
        adjustment: Weights of the adjustment network, see `load_kind`.
        device: See `TorchEnhancer`.
        amp: See `TorchEnhancer`.

    Raises:
        ConfigError: The ratio is not a finite number of at least 0.
        WeightsError: A file is missing or does not fit.

    Source: Zhang, Zhang, Guo, "Kindling the Darkness: A Practical Low-light Image Enhancer", ACM MM 2019;
    zhangyhuaee/KinD @ b7d7fcc, evaluate.py, whose last step, against grey and over-exposed places, the paper lacks. Its
    script truncates to 8 bits; this rounds.
    """

    name = "kind"
    paper = "Zhang, Zhang, Guo: Kindling the Darkness: A Practical Low-light Image Enhancer, ACM MM 2019"
    files: ClassVar[Mapping[str, WeightFile]] = {
        part: CATALOGUE[f"kind/{part}.data"] for part in ("decom_net_train", "illumination_adjust_net_train")
    }
    pads_to_stride: ClassVar[bool] = False

    def __init__(
        self,
        ratio: float = 5.0,
        restoration: str | Path | bool | None = None,
        decomposition: str | Path | None = None,
        adjustment: str | Path | None = None,
        device: str | torch.device = "cpu",
        *,
        amp: bool = False,
    ) -> None:
        restored = restoration is not False
        super().__init__(device=device, amp=amp, ratio=ratio, restored=restored)
        check_setting("KinD", "ratio", ratio, is_number(ratio) and ratio >= 0, "a finite number of at least 0")
        check_setting("KinD", "restoration", restoration, restoration is not True, "a file, None or False")
        decompose, adjust = KinDDecomposition(), KinDAdjustment()
        self.weights = dict((load_kind(decompose, decomposition), load_kind(adjust, adjustment)))
        self.decompose, self.adjust = self.prepare(decompose), self.prepare(adjust)
        self.restore: KinDRestoration | None = None
        if restored:
            restore, used = restoration_of(None if isinstance(restoration, bool) else restoration)
            self.weights = dict((*self.weights.items(), used))
            self.restore = self.prepare(restore)
        self.ratio = ratio

    @classmethod
    def parameters(cls) -> int | None:
        """Parameters of the three networks."""
        return count_parameters(KinDDecomposition, KinDAdjustment, KinDRestoration)

    def forward(self, batch: Tensor) -> Tensor:
        """Enhance a batch, (N, 3, H, W) float32 RGB in [0, 1] to the same."""
        batch = stretch(batch)
        reflectance, illumination = self.decompose(batch)
        adjusted = self.adjust(illumination, illumination.new_tensor([self.ratio]))
        restored = reflectance if self.restore is None else self.restore(reflectance, illumination)
        lit = restored * _trust(reflectance) * adjusted
        return illumination * batch + (1 - illumination) * lit


def _trust(reflectance: Tensor) -> Tensor:
    """Less than 1 where the reflectance is dark, which restoration would turn grey; (N, 1, H, W)."""
    grey = (reflectance * reflectance.new_tensor(GREY).view(3, 1, 1)).sum(1, keepdim=True)
    return (2 * _blurred(grey.float())).sqrt().clamp(max=1)


def _blurred(grey: Tensor) -> Tensor:
    kernel = grey.new_tensor([math.exp(-0.5 * (place / SIGMA) ** 2) for place in range(-REACH, REACH + 1)])
    kernel = kernel / kernel.sum()
    # A picture may be smaller than the kernel, and repeating its border is all that "replicate" does.
    padded = F.pad(grey, (REACH,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))
