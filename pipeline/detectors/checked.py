"""A detector from outside the project, with its contract checked at every call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from duskbench.data_tools.errors import ConfigError, DetectorError
from duskbench.data_tools.fingerprint import argument_files, fingerprint
from duskbench.data_tools.plugins import naming
from duskbench.data_tools.settings import is_whole
from duskbench.pipeline.detectors.base import Detections


class CheckedDetector:
    """Wraps a plug-in's detector, so that what breaks the contract is an error that names it and never a number.

    Args:
        detector: An object with `classes` and `detect(images)`. `name`, `identity` and `batch_size` are taken from it
            where it has them; otherwise the identity is the fingerprint, and it gets one image at a time. The
            fingerprint is made from its code, its arguments, the files these name, and what it says of itself.
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
        names = isinstance(classes, list | tuple) and all(isinstance(each, str) for each in classes)
        if not names or not classes or len(set(classes)) < len(classes):
            raise ConfigError(
                "The detector's classes are not names.",
                where=name,
                expected='a tuple of different names, ("car", "person", ...)',
                got=repr(classes)[:100],
            )
        self.detector = detector
        self.name = self._own_text("name") or name
        self.classes: tuple[str, ...] = tuple(classes)
        said = self._own_text("fingerprint")
        files = {**argument_files(arguments), **({"what it says itself": said} if said else {})}
        # Its own counts besides: with other arguments, or edited, it is another detector whatever it says.
        self.fingerprint = fingerprint(type(detector), arguments, files)
        # What of foreign code is setting and what is adapter only its author can say.
        self.identity = self._own_text("identity") or said or self.fingerprint
        self.batch_size: int = getattr(detector, "batch_size", 1)
        if not is_whole(self.batch_size, 1):
            raise ConfigError(
                "The detector's batch_size is no number of images.",
                where=name,
                expected="an integer from 1",
                got=repr(self.batch_size)[:100],
            )

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Detect in a batch of (H, W, 3) uint8 RGB images; see `Detector`.

        Raises:
            DetectorError: The plug-in raised something, changed an image, or returned anything but one `Detections`
                with its own classes for each image.
        """
        given = [image.copy() for image in images]
        try:
            with naming(DetectorError, f"Detector {self.name!r} failed.", type(self.detector)):
                found = self.detector.detect(given)
        except DetectorError as error:
            if self.name in error.what:
                raise
            # `Detections` does not know who makes it.
            raise self._broken(error.expected or error.what, error.got or error.what) from error
        if not all(np.array_equal(*pair) for pair in zip(given, images, strict=True)):
            raise self._broken("images that stay as they are", "an image that was changed in place")
        if not isinstance(found, list | tuple) or len(found) != len(images):
            got = f"{len(found)} results" if isinstance(found, list | tuple) else type(found).__name__
            raise self._broken(f"a list of {len(images)} Detections, one for each image", got)
        return [self._checked(each) for each in found]

    def _checked(self, found: object) -> Detections:
        """What was found in one image, checked again: whoever made it may have changed its arrays since."""
        if not isinstance(found, Detections):
            raise self._broken("duskbench.Detections", type(found).__name__)
        if found.classes != self.classes:
            raise self._broken(f"the detector's classes, {self.classes}", f"{found.classes}")
        try:
            return Detections(found.boxes_xyxy, found.scores, found.labels, self.classes)
        except DetectorError as error:
            raise self._broken(error.expected or error.what, error.got or error.what) from error

    def _own_text(self, attribute: str) -> str:
        """What the detector says of itself; empty where it says nothing."""
        text = getattr(self.detector, attribute, "")
        if not isinstance(text, str) or not text.isprintable():
            raise ConfigError(
                f"The detector's {attribute} is no text of one line.",
                where=type(self.detector).__name__,
                expected=f'a text such as "rfb", or no {attribute}',
                got=repr(text)[:100],
            )
        return text

    def _broken(self, expected: str, got: str) -> DetectorError:
        return DetectorError(f"Detector {self.name!r} broke its contract.", expected=expected, got=got)
