"""SGZ with its authors' weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from duskbench.pipeline.enhancers.zero_dce_pp import ZeroDCEpp
from duskbench.pipeline.weight_catalogue import WeightFile, from_github


class SGZ(ZeroDCEpp):
    """Semantic-guided zero-shot enhancement: the network of Zero-DCE++, trained with a segmentation loss besides.

    Takes the arguments of `ZeroDCEpp`, and pads as it does, where the authors crop: on 24 photos of ExDark this moves
    pixels by 0.19 grey levels in the mean and 13 at most.

    Source: Zheng, Gupta, "Semantic-Guided Zero-Shot Learning for Low-Light Image/Video Enhancement", WACV Workshops
    2022; ShenZheng2000/Semantic-Guided-Low-Light-Image-Enhancement @ 94dedc5.
    """

    name = "sgz"
    paper = "Zheng, Gupta: Semantic-Guided Zero-Shot Learning for Low-Light Image/Video Enhancement, WACVW 2022"
    files: ClassVar[Mapping[str, WeightFile]] = {
        "official": from_github(
            "sgz/Epoch99.pth",
            "ShenZheng2000/Semantic-Guided-Low-Light-Image-Enhancement",
            "94dedc53c17989e58bd0b9f236f6abfc72db4c92",
            "weight/Epoch99.pth",
            sha256="54d87f6f3a2b5ee495abec7e714afcdf60eaa8d15370dd500792cd4f45f442f1",
            licence="MIT",
            note="Takes RGB in [0, 1], at a twelfth of the size.",
        )
    }
