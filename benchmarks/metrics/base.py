"""The contract of a metric: a number of one enhanced image, or of all detections of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np

from duskbench.benchmarks.metrics.boxes import Boxes
from duskbench.data_tools.fingerprint import argument_files, fingerprint, identity

Better = Literal["lower", "higher"]
Need = Literal["original", "reference"]
Mode = Literal["11point", "area", "101point"]


@dataclass(frozen=True)
class Value:
    """A metric's number of one image, or None and why there is none."""

    number: float | None
    reason: str | None = None


class Metric:
    """What every metric says of itself; subclass `ImageMetric` or `DetectionMetric`.

    Attributes:
        key: Names its values in files; letters, digits and underscores.
        heading: Of its column.
        better: Which way is better.
        digits: Digits behind the point.
        factor: What a stored number is multiplied by to be shown, above 0: 100 for a share shown in percent.
        tolerance: By how much it may get worse from one night to the next, in the shown unit; None: it is shown in the
            nightly report and decides nothing.
        arguments: What it was built with; part of its fingerprint. Set by the constructor.
    """

    key: ClassVar[str]
    heading: ClassVar[str]
    better: ClassVar[Better]
    digits: ClassVar[int] = 3
    factor: ClassVar[float] = 1.0
    tolerance: ClassVar[float | None] = None
    arguments: Mapping[str, Any] = {}

    def describe(self) -> str | None:
        """The line under a table that says how the numbers come about; None for none."""
        return None

    @property
    def fingerprint(self) -> str:
        """Hash of code, arguments and the files these name; a value is only ever used again for the same question."""
        return fingerprint(type(self), self.arguments, argument_files(self.arguments))

    @property
    def identity(self) -> str:
        """Hash of arguments and the files these name alone: what must be equal for two runs to be compared."""
        return identity(self.arguments, argument_files(self.arguments))


class ImageMetric(Metric):
    """A metric of single images.

    Attributes:
        needs: What `measure` is given besides the enhanced image: `original`, the image before it was enhanced;
            `reference`, its lit original, which only some data sets have.
    """

    needs: ClassVar[frozenset[Need]] = frozenset()

    def measure(self, image_rgb: np.ndarray, **given: np.ndarray) -> Value | float | None:
        """Measure one enhanced image.

        Args:
            image_rgb: (H, W, 3) uint8 RGB, as the enhancer returned it. Not to be changed.
            given: `original_rgb` and `reference_rgb`, of the same shape and type, as `needs` says.

        Returns:
            A number, or `Value(None, reason)` where the image has none; it then leaves the mean.
        """
        raise NotImplementedError

    def aggregate(self, numbers: np.ndarray) -> float:
        """The number of a data set, of those of its images (N,) float64 with N >= 1; the mean."""
        return float(np.mean(numbers))

    @property
    def is_mean(self) -> bool:
        """Whether `aggregate` is the mean, which resampling computes for all resamples at once."""
        return type(self).aggregate is ImageMetric.aggregate


@dataclass(frozen=True)
class Ranking:
    """The counted detections of one class at one overlap, best first; ignored ones are left out.

    Its arrays are not copied, so that rankings may share them, and must not change until `rank` has returned.

    Attributes:
        images: (D,) integers into the images of the run.
        tp: (D,) bool: found an object that is not difficult, each of which is found once. False: a false alarm.
        positions: (D,) integers into the detections that were ranked; None where they are not known; then there is no
            break-down by size.
    """

    images: np.ndarray
    tp: np.ndarray
    positions: np.ndarray | None = None


@dataclass(frozen=True)
class Ranked:
    """What a detection metric makes of detections: all that its number depends on.

    Attributes:
        by_class: Class -> a ranking for each overlap threshold; the class's AP is the mean over them. A class with an
            object to find must be there; its ranking is empty where no detection counts.
        mode: How a ranking becomes an AP: `11point`, `area` under the envelope, or COCO's `101point`.
        pools: Key of `by_class` that is no class -> the classes whose detections stand there in one list.
    """

    by_class: Mapping[str, tuple[Ranking, ...]] = field(default_factory=dict)
    mode: Mode = "11point"
    pools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to_find(self, name: str, objects: Mapping[str, np.ndarray]) -> np.ndarray:
        """Objects of one key of `by_class` in each image, (N,) integers; `objects` has them by class."""
        return np.sum([objects[each] for each in self.pools.get(name, (name,))], axis=0)

    def without(self, classes: Set[str]) -> Ranked:
        """Without these classes; a pool of no others goes with them."""
        pools = {name: tuple(each for each in of if each not in classes) for name, of in self.pools.items()}
        kept = {name: of for name, of in self.by_class.items() if name not in classes and pools.get(name) != ()}
        return replace(self, by_class=kept, pools={name: of for name, of in pools.items() if of})


class DetectionMetric(Metric):
    """A metric of all detections of a data set: an average precision of each class or pool of them, and their mean.

    Subclasses say which detections count as found; the average precision, its mean and the intervals follow from that.

    Attributes:
        by_image: Whether what becomes of a detection depends on its image alone, and rankings have positions. Then a
            large run is ranked some images at a time.
    """

    by_image: ClassVar[bool] = False

    factor: ClassVar[float] = 100.0
    digits: ClassVar[int] = 2
    better: ClassVar[Better] = "higher"

    def rank(self, truth: Boxes, found: Boxes, classes: Sequence[str]) -> Ranked:
        """Decide which detections found an object.

        Args:
            truth: Objects; labels index `classes`.
            found: Detections, likewise.
            classes: Names.
        """
        raise NotImplementedError
