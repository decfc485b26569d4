"""A detector from outside the project, with its contract checked at every call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from duskbench.data_tools.errors import ConfigError, DetectorError
from duskbench.data_tools.fingerprint import argument_files, fingerprint
from duskbench.data_tools.plugins import naming
from duskbench.pipeline.detectors.base import Detections


class CheckedDetector:
    """Wraps a plug-in's detector, so that what breaks the contract is an error that names it and never a number.

    Args:
        detector: An object with `classes` and `detect(images)`. `name`, `fingerprint` and `identity` are taken from
            it where it has them; a fingerprint is otherwise made from its code, its arguments and the files these name,
            and the identity is the fingerprint.
        name: For tables and errors.
        arguments: What it was built with.

    Raises:
        ConfigError: It lacks one of the two, or its classes are not names.
    """

    def __init__(self, detector: Any, name: str, arguments: Mapping[str, Any]) -> None:
        lacking = [each for each in ("classes", "detect") if not hasattr(detector, each)]
        if lacking:
            raise ConfigError(
                "The detector does not have what a detector needs.",
                where=name,
                expected="classes and detect(images), as in duskbench.Detector",
                got=f"no {' and no '.join(lacking)}",
            )
        classes = detector.classes
        if isinstance(classes, str) or not classes or not all(isinstance(each, str) for each in classes):
            raise ConfigError(
                "The detector's classes are not names.",
                where=name,
                expected='a tuple of names, ("car", "person", ...)',
                got=repr(classes)[:100],
            )
        self.detector = detector
        self.name = str(getattr(detector, "name", "") or name)
        self.classes: tuple[str, ...] = tuple(classes)
        self.fingerprint: str = getattr(detector, "fingerprint", "") or fingerprint(
            type(detector), arguments, argument_files(arguments)
        )
        # What of foreign code is setting and what is adapter only its author can say.
        self.identity: str = getattr(detector, "identity", "") or self.fingerprint

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Detect in a batch of (H, W, 3) uint8 RGB images; see `Detector`.

        Raises:
            DetectorError: The plug-in raised something, changed an image, or returned anything but one `Detections`
                with its own classes for each image.
        """
        before = [image.copy() for image in images]
        try:
            with naming(DetectorError, f"Detector {self.name!r} failed.", type(self.detector)):
                found = self.detector.detect(images)
        except DetectorError as error:
            if self.name in error.what:
                raise
            # `Detections` does not know who makes it.
            raise self._broken(error.expected or error.what, error.got or error.what) from error
        touched = False
        for image, original in zip(images, before, strict=True):
            if not np.array_equal(image, original):
                image[...] = original
                touched = True
        if touched:
            raise self._broken("images that stay as they are", "an image that was changed in place")
        if not isinstance(found, list | tuple) or len(found) != len(images):
            got = f"{len(found)} results" if isinstance(found, list | tuple) else type(found).__name__
            raise self._broken(f"a list of {len(images)} Detections, one for each image", got)
        for each in found:
            if not isinstance(each, Detections):
                raise self._broken("duskbench.Detections", type(each).__name__)
            if each.classes != self.classes:
                raise self._broken(f"the detector's classes, {self.classes}", f"{each.classes}")
        return list(found)

    def _broken(self, expected: str, got: str) -> DetectorError:
        return DetectorError(f"Detector {self.name!r} broke its contract.", expected=expected, got=got)
