"""HDRNet, with weights trained here."""

from __future__ import annotations

from typing import ClassVar

from duskbench.pipeline.enhancers.generator import GeneratorEnhancer


class HDRNet(GeneratorEnhancer):
    """Deep bilateral learning; see `GeneratorEnhancer` for the arguments. No weights ship: train them on pairs.

    The whole picture is reduced to 256x256 for the grid, so there are no tiles; the memory at full size is about that
    of 30 pictures in float32.

    Source: Gharbi, Chen, Barron, Hasinoff, Durand, "Deep Bilateral Learning for Real-Time Image Enhancement", SIGGRAPH
    2017. The authors' script truncates to 8 bits; this rounds.
    """

    name = "hdrnet"
    paper = "Gharbi et al.: Deep Bilateral Learning for Real-Time Image Enhancement, SIGGRAPH 2017"
    default_weights = "hdrnet"
    pads_to_stride: ClassVar[bool] = False
