"""The paper's method: a generator guided by features and darkness."""

from __future__ import annotations

from typing import ClassVar

from duskbench.pipeline.enhancers.generator import GeneratorEnhancer


class Guided(GeneratorEnhancer):
    """Multi-scale feature guided low-light enhancement ("Ours" in the paper's tables).

    Arguments are those of `GeneratorEnhancer`.

    Source: Guo et al., "Multi-Scale Feature Guided Low-Light Image Enhancement".
    """

    name = "guided"
    paper = "Guo et al.: Multi-Scale Feature Guided Low-Light Image Enhancement, ICIP 2021"
    default_weights: ClassVar[str] = "guided"
    stride: ClassVar[int] = 16
    # Of zeros around the picture the U-Net makes a pale frame some 16 pixels wide.
    margin: ClassVar[int] = 16
    # A result pixel sees 137 pixels to each side through EnlightenGAN's U-Net and 81 more through VGG-16's conv5_1.
    overlap: ClassVar[int | None] = 224
