"""Class names: those of PASCAL VOC, ExDark and COCO, and the one table that says which of them mean the same.

Sources: the VOC devkit (20 classes, alphabetical), the ExDark ground-truth README (12 classes), and COCO's
instances_val2017.json (80 classes).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from duskbench.data_tools.file_states import folded

VOC_CLASSES: tuple[str, ...] = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip

EXDARK_CLASSES: tuple[str, ...] = (
    "Bicycle", "Boat", "Bottle", "Bus", "Car", "Cat", "Chair", "Cup", "Dog", "Motorbike", "People", "Table",
)  # fmt: skip

COCO_CLASSES: tuple[str, ...] = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip

# Detectors of the COCO-91 kind number the classes as COCO's annotations do, 1 to 90: background is 0, and ten
# numbers (street sign, hat, shoe, eye glasses, plate, mirror, window, desk, door, blender) were never annotated.
_NEVER_ANNOTATED: tuple[int, ...] = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
BACKGROUND, NO_CLASS = "__background__", "N/A"
_coco = iter(COCO_CLASSES)
COCO_91_CLASSES: tuple[str, ...] = (
    BACKGROUND,
    *(NO_CLASS if number in _NEVER_ANNOTATED else next(_coco) for number in range(1, 91)),
)

# What other data sets and detectors call a class of VOC, beside the spellings that differ in case, blanks, `_`, `-` or
# `/` alone: ExDark (People, Table), COCO (airplane, motorcycle, couch, tv), and the usual variants of both.
SYNONYMS: dict[str, str] = {
    "airplane": "aeroplane",
    "couch": "sofa",
    "motorcycle": "motorbike",
    "people": "person",
    "persons": "person",
    "table": "diningtable",
    "television": "tvmonitor",
    "tv": "tvmonitor",
}

# Names outside VOC that keep one spelling too. DARK FACE has faces alone.
_OTHERS: tuple[str, ...] = (*COCO_CLASSES, "face")
# The last two are not seen, and come with names that are copied from a web page or a file's beginning.
_SEPARATORS = re.compile(r"[\s_/\u200b\ufeff-]+")


def _squeeze(name: str) -> str:
    return _SEPARATORS.sub("", folded(name))


_CANONICAL: dict[str, str] = {
    **{_squeeze(name): name for name in _OTHERS},
    **{_squeeze(name): name for name in VOC_CLASSES},
    **SYNONYMS,
}


def canonical(name: str) -> str:
    """Bring a class name to the spelling that is shown: VOC's where VOC has the class, else COCO's.

    `People`, `TV Monitor`, `dining table` and `motorcycle` become `person`, `tvmonitor`, `diningtable` and `motorbike`.
    A name of neither, `Pedestrian`, stays as it is but for blanks around it; two spellings of it have one `class_key`.
    """
    return _CANONICAL.get(_squeeze(name), " ".join(name.split()))


def class_key(name: str) -> str:
    """What two names of one class have in common: `Traffic_Cone` and `traffic cone`, `People` and `person`."""
    return _squeeze(canonical(name))


def is_known(name: str) -> bool:
    """Whether VOC, ExDark, COCO or DARK FACE has a class of this name, in any spelling."""
    return _squeeze(name) in _CANONICAL


def is_synonym(name: str) -> bool:
    """Whether a name is another word for a class, not only another spelling of it."""
    return _squeeze(name) in SYNONYMS


@dataclass(frozen=True)
class ClassMatch:
    """How a detector's classes meet a protocol's.

    Attributes:
        to_protocol: Of each class of the detector, the position of the same class in the protocol; None where the
            protocol does not ask for it.
        not_detectable: Classes of the protocol that the detector does not have.
    """

    to_protocol: tuple[int | None, ...]
    not_detectable: tuple[str, ...]


def match_classes(detector_classes: Sequence[str], protocol_classes: Iterable[str]) -> ClassMatch:
    """Match a detector's classes with a protocol's by what they mean; see `class_key`."""
    wanted = tuple(protocol_classes)
    positions = {class_key(name): position for position, name in enumerate(wanted)}
    to_protocol = tuple(positions.get(class_key(name)) for name in detector_classes)
    found = set(to_protocol)
    return ClassMatch(
        to_protocol,
        not_detectable=tuple(name for position, name in enumerate(wanted) if position not in found),
    )


# VOC has no cup: a detector trained on VOC cannot find one, so the paper leaves it out of its mean (section 4.3).
# Cup boxes keep their name in converted annotations and are dropped by the protocol, not by the data tools.
OUTSIDE_VOC: tuple[str, ...] = ("cup",)

# Lists of class names that can be asked for in a word.
CLASS_LISTS: dict[str, tuple[str, ...]] = {
    "voc": VOC_CLASSES,
    "exdark": EXDARK_CLASSES,
    "coco": COCO_CLASSES,
    "coco91": COCO_91_CLASSES,
}


def class_list(names: str | Sequence[str]) -> tuple[str, ...]:
    """Class names as given, or those that `voc`, `exdark`, `coco` or `coco91` stands for; another word is a name."""
    if isinstance(names, str):
        return CLASS_LISTS.get(names, (names,))
    return tuple(names)


def real_classes(names: Sequence[str]) -> tuple[str, ...]:
    """Names of a detector's outputs without background and what stands for nothing, `N/A` or `no-object`."""
    return tuple(
        name for name in names if _squeeze(name) not in ("background", "noobject") and name.upper() != NO_CLASS
    )


def class_positions(names: Sequence[str]) -> tuple[tuple[str, ...], list[int]]:
    """The real classes of a detector's outputs, and of each output the position of its class there, -1 for none."""
    classes = real_classes(names)
    return classes, [classes.index(name) if name in classes else -1 for name in names]


EXDARK_TO_VOC: dict[str, str] = {name: canonical(name) for name in EXDARK_CLASSES}

# The eleven classes over which Table 2 takes its mean, in ExDark's order.
SHARED_CLASSES: tuple[str, ...] = tuple(name for name in EXDARK_TO_VOC.values() if name in VOC_CLASSES)

# Columns 3 and 4 of imageclasslist.txt are numbers; these are their names, in the order of the numbers from 1.
LIGHTING_TYPES: tuple[str, ...] = (
    "Low", "Ambient", "Object", "Single", "Weak", "Strong", "Screen", "Window", "Shadow", "Twilight",
)  # fmt: skip
INDOOR_OUTDOOR: tuple[str, ...] = ("Indoor", "Outdoor")
SPLITS: tuple[str, ...] = ("train", "val", "test")
