"""The paper's method: a generator guided by features and darkness."""

from __future__ import annotations

from typing import ClassVar

from pipeline.enhancers.generator import GeneratorEnhancer


class Guided(GeneratorEnhancer):
    """Multi-scale feature guided low-light enhancement ("Ours" in the paper's tables).

    Arguments are those of `GeneratorEnhancer`.

    Source: Guo et al., "Multi-Scale Feature Guided Low-Light Image Enhancement".
    """

    name = "guided"
    default_weights: ClassVar[str] = "guided"
    stride: ClassVar[int] = 16
    # Half the receptive field: 90 pixels of the U-Net and 80 of an extractor like VGG's conv5_1, rounded up.
    overlap: ClassVar[int | None] = 176
