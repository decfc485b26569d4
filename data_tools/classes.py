"""Class names of PASCAL VOC and ExDark, and the map between them.

Sources: the VOC devkit (20 classes, alphabetical) and the ExDark ground-truth README (12 classes).
"""

from __future__ import annotations

VOC_CLASSES: tuple[str, ...] = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip

EXDARK_CLASSES: tuple[str, ...] = (
    "Bicycle", "Boat", "Bottle", "Bus", "Car", "Cat", "Chair", "Cup", "Dog", "Motorbike", "People", "Table",
)  # fmt: skip

# VOC has no cup: a detector trained on VOC cannot find one, so the paper leaves it out of its mean (section 4.3).
# Cup boxes keep their name in converted annotations and are dropped by the protocol, not by the data tools.
EXDARK_TO_VOC: dict[str, str] = {
    "Bicycle": "bicycle",
    "Boat": "boat",
    "Bottle": "bottle",
    "Bus": "bus",
    "Car": "car",
    "Cat": "cat",
    "Chair": "chair",
    "Cup": "cup",
    "Dog": "dog",
    "Motorbike": "motorbike",
    "People": "person",
    "Table": "diningtable",
}

OUTSIDE_VOC: tuple[str, ...] = ("cup",)

# The eleven classes over which Table 2 takes its mean, in ExDark's order.
SHARED_CLASSES: tuple[str, ...] = tuple(name for name in EXDARK_TO_VOC.values() if name in VOC_CLASSES)

# Columns 3 and 4 of imageclasslist.txt are numbers; these are their names, in the order of the numbers from 1.
LIGHTING_TYPES: tuple[str, ...] = (
    "Low", "Ambient", "Object", "Single", "Weak", "Strong", "Screen", "Window", "Shadow", "Twilight",
)  # fmt: skip
INDOOR_OUTDOOR: tuple[str, ...] = ("Indoor", "Outdoor")
SPLITS: tuple[str, ...] = ("train", "val", "test")
