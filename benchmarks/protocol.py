"""Everything that changes a number, in one frozen dataclass that is printed beside every number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from duskbench.data_tools.classes import CLASS_LISTS, SHARED_CLASSES, canonical, class_key
from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.settings import check_keys, is_whole

ApMode = Literal["11point", "area"]
IouMatch = Literal[">", ">="]
CupImages = Literal["keep", "drop"]
NiqeLuma = Literal["rgb2gray", "ycbcr_y"]
SsimChannels = Literal["rgb", "grey"]


@dataclass(frozen=True)
class Protocol:
    """How detections become a mAP and images a NIQE.

    Attributes:
        classes: Classes whose AP enters the mean. Ground truth and detections of every other class are dropped before
            matching: Cup, which VOC lacks, and the nine VOC classes that ExDark lacks. A configuration may also say
            `exdark` (its twelve, Cup among them, for detectors that know it), `voc` or `coco`.
        iou_threshold: IoU at which a detection finds an object.
        iou_match: Whether the IoU must exceed the threshold (`>`, the VOC devkit's code) or reach it (`>=`, mmdet).
        plus_one: Whether detections end at their last pixel, so that widths are x2 - x1 + 1, as in the code of the VOC
            devkit, RFBNet and mmdet's VOC metric. Ground truth then ends one pixel earlier too; detections stay as they
            are. Off, because adapters return end-exclusive boxes whatever their network was trained on: with both
            sides exclusive, x2 - x1 is the same overlap that the devkit computes with both sides inclusive.
        ap: `11point` (VOC 2007) or `area` (exact area under the monotone envelope, VOC 2010 on).
        cup_images: Whether ExDark images of the folder Cup stay in the set (`keep`: 2563 test images) or not (2444).
        max_detections: At most so many detections of an image are measured, best first; None for all.
        niqe_luma: Grey rule of NIQE: `rgb2gray` (official release) or `ycbcr_y`.
        ssim_channels: SSIM of a data set with references: the mean over `rgb`, or of the luma, `grey`.
    """

    classes: tuple[str, ...] = SHARED_CLASSES
    iou_threshold: float = 0.5
    iou_match: IouMatch = ">"
    plus_one: bool = False
    ap: ApMode = "11point"
    cup_images: CupImages = "keep"
    max_detections: int | None = None
    niqe_luma: NiqeLuma = "rgb2gray"
    ssim_channels: SsimChannels = "rgb"

    def __post_init__(self) -> None:
        self._check_kinds()
        choices = {"iou_match": IouMatch, "ap": ApMode, "cup_images": CupImages}
        choices |= {"niqe_luma": NiqeLuma, "ssim_channels": SsimChannels}
        for key, kind in choices.items():
            if getattr(self, key) not in get_args(kind):
                raise ConfigError(
                    "A protocol field has no such value.",
                    where=f"protocol.{key}",
                    expected=" or ".join(map(repr, get_args(kind))),
                    got=repr(getattr(self, key)),
                )
        if not 0 < self.iou_threshold <= 1:
            raise ConfigError(
                "The IoU threshold is out of range.",
                where="protocol.iou_threshold",
                expected="0 < t <= 1",
                got=repr(self.iou_threshold),
            )
        if self.max_detections is not None and self.max_detections < 1:
            raise ConfigError(
                "No detection would be left.",
                where="protocol.max_detections",
                expected="1 or more, or None for all",
                got=repr(self.max_detections),
            )

    def _check_kinds(self) -> None:
        """A word where a number or a switch belongs would count as true."""
        named = isinstance(self.classes, tuple) and self.classes and all(isinstance(c, str) for c in self.classes)
        different = named and len(set(map(class_key, self.classes))) == len(self.classes)
        limit, threshold = self.max_detections, self.iou_threshold
        for key, is_right, expected in (
            ("classes", different, "a list of one or more names, each of another class"),
            ("plus_one", isinstance(self.plus_one, bool), "True or False"),
            ("max_detections", limit is None or is_whole(limit), "a whole number, or None for all"),
            ("iou_threshold", is_whole(threshold) or isinstance(threshold, float), "a number, 0 < t <= 1"),
        ):
            if not is_right:
                raise ConfigError(
                    "A protocol field is of another kind.",
                    where=f"protocol.{key}",
                    expected=expected,
                    got=repr(getattr(self, key)),
                )

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> Protocol:
        """Build from a configuration's dict; an unknown key is an error with the nearest ones."""
        check_keys(values, {field.name for field in fields(cls)}, "protocol field")
        values = dict(values)
        if "classes" in values:
            given = values["classes"]
            # One name on a command line is a name, not a list of letters.
            if isinstance(given, str):
                values["classes"] = tuple(map(canonical, CLASS_LISTS[given])) if given in CLASS_LISTS else (given,)
            elif isinstance(given, list):
                values["classes"] = tuple(given)
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "classes": list(self.classes)}

    def ap_rules(self) -> str:
        """How an AP comes about, in a line."""
        widths = "x2-x1+1 on last pixels" if self.plus_one else "x2-x1, ends exclusive"
        match = f"IoU {self.iou_match} {self.iou_threshold:g}"
        return f"VOC {self.ap} AP, {match}, widths {widths}, difficult objects ignored"
