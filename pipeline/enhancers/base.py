"""The contract of an enhancer, and the check that every result passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from data_tools.errors import EnhancerError
from pipeline.fingerprint import fingerprint


class Enhancer:
    """Any callable from an image to an image of the same shape, checked.

    Subclasses implement `enhance`; `__call__` checks what goes in and what comes out.

    Attributes:
        name: Registered name or path, for tables and errors.
        arguments: What the enhancer was built with; part of the fingerprint.
        weights: Name -> sha256 of the weight files in use; part of the fingerprint.
        origin: Where they come from, in words for the reader of a table; None where there are none.
    """

    name: str = ""
    arguments: Mapping[str, Any]
    weights: Mapping[str, str]
    origin: str | None = None

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        self.weights = {}

    def enhance(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        """Enhance one image, (H, W, 3) uint8 RGB to the same; `image_id` is known inside a benchmark run only."""
        raise NotImplementedError

    def __call__(self, image_rgb: np.ndarray, *, image_id: str | None = None) -> np.ndarray:
        """Enhance one image.

        Args:
            image_rgb: (H, W, 3) uint8 RGB, any height and width from 1.
            image_id: The image's id in its data set, for enhancers that look results up.

        Returns:
            (H, W, 3) uint8 RGB, of the same height and width. The argument is not changed.

        Raises:
            EnhancerError: The input is no such image, or the result breaks the contract.
        """
        check_image(image_rgb, what=f"Enhancer {self.name!r} was given something that is no image.", where=image_id)
        result = self.enhance(image_rgb, image_id)
        check_image(
            result,
            what=f"Enhancer {self.name!r} broke its contract.",
            where=image_id,
            size=image_rgb.shape[:2],
        )
        return result

    @property
    def fingerprint(self) -> str:
        """Hash of code, arguments and weights; keys every stored result."""
        return fingerprint(type(self), self.arguments, self.weights)


class FunctionEnhancer(Enhancer):
    """Wraps a plain callable `(H, W, 3) uint8 RGB -> same`."""

    def __init__(self, function: Callable[[np.ndarray], np.ndarray], name: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.function, self.name = function, name
        # What the fingerprint stands for: the wrapped code itself; an instance counts as its class.
        self.code: object = function if hasattr(function, "__qualname__") else type(function)

    def enhance(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        """Call the wrapped function."""
        return self.function(image_rgb)

    @property
    def fingerprint(self) -> str:
        """Hash of the wrapped code and the arguments."""
        return fingerprint(self.code, self.arguments, self.weights)


def check_image(image: object, *, what: str, where: str | None, size: tuple[int, ...] | None = None) -> None:
    """Raise EnhancerError unless `image` is an (H, W, 3) uint8 array, of `size` (H, W) if that is given."""
    height, width = size if size is not None else ("H", "W")
    expected = f"ndarray ({height}, {width}, 3) uint8 RGB"
    if not isinstance(image, np.ndarray):
        raise EnhancerError(what, where=where, expected=expected, got=f"{type(image).__name__}")
    got = f"ndarray {image.shape} {image.dtype}"
    if np.issubdtype(image.dtype, np.floating):
        got += (
            " with NaN"
            if np.isnan(image).any()
            else ", values " + (f"{image.min():.3g} to {image.max():.3g}" if image.size else "none")
        )
        raise EnhancerError(
            what, where=where, expected=expected, got=got, todo="return np.clip(np.rint(x * 255), 0, 255).astype(uint8)"
        )
    wrong_size = size is not None and image.shape[:2] != tuple(size)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape or wrong_size:
        raise EnhancerError(what, where=where, expected=expected, got=got)
