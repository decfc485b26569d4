"""The contract of an enhancer, and the check that every result passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from duskbench.data_tools.errors import EnhancerError
from duskbench.data_tools.fingerprint import fingerprint
from duskbench.data_tools.plugins import naming


class Enhancer:
    """Any callable from an image to an image of the same shape, checked.

    Subclasses implement `enhance`; `__call__` checks what goes in and what comes out.

    Attributes:
        name: Registered name or path, for tables and errors.
        paper: Where the method was published, in a line; None where it was not.
        arguments: What the enhancer was built with; part of the fingerprint.
        weights: Name -> sha256 of the weight files in use; part of the fingerprint.
        origin: Where they come from, in words for the reader of a table; None where there are none.
        batch_size: Images that it wants at once, through `many`, because starting it is worth sharing.
        foreign: Whether it is not duskbench's own: what it raises is then named, and it gets copies and its results
            are copied, so that what it keeps and changes later changes no other result.
    """

    name: str = ""
    paper: ClassVar[str | None] = None
    arguments: Mapping[str, Any]
    weights: Mapping[str, str]
    origin: str | None = None
    batch_size: int = 1
    foreign: bool = False

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        self.weights = {}

    def enhance(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        """Enhance one image, (H, W, 3) uint8 RGB to the same; `image_id` is known inside a benchmark run only."""
        raise NotImplementedError

    def enhance_many(
        self, images_rgb: Sequence[np.ndarray], image_ids: Sequence[str | None]
    ) -> Iterable[np.ndarray | EnhancerError]:
        """Enhance several images; what went wrong with one of them stands in its place."""
        return (self._attempt(image, image_id) for image, image_id in zip(images_rgb, image_ids, strict=True))

    def __call__(self, image_rgb: np.ndarray, *, image_id: str | None = None) -> np.ndarray:
        """Enhance one image.

        Args:
            image_rgb: (H, W, 3) uint8 RGB, any height and width from 1, in any order in memory.
            image_id: The image's id in its data set, for enhancers that look results up.

        Returns:
            (H, W, 3) uint8 RGB, of the same height and width. The argument is not changed.

        Raises:
            EnhancerError: The input is no such image, or the result breaks the contract.
        """
        image_rgb = self._input(image_rgb, image_id)
        if not self.foreign:
            return self._checked(self.enhance(image_rgb, image_id), image_rgb, image_id)
        given = image_rgb.copy()
        with naming(EnhancerError, f"Enhancer {self.name!r} failed.", self.code, image_id):
            result = _copy(self.enhance(given, image_id))
        self._check_untouched(given, image_rgb, image_id)
        return self._checked(result, image_rgb, image_id)

    def many(
        self, images_rgb: Sequence[np.ndarray], image_ids: Sequence[str | None]
    ) -> list[np.ndarray | EnhancerError]:
        """Enhance several images at once; as `__call__`, but an image's failure stands in its place in the list.

        Raises:
            EnhancerError: An input is no image, or the enhancer failed as a whole.
        """
        images_rgb = [self._input(image, image_id) for image, image_id in zip(images_rgb, image_ids, strict=True)]
        given = [image.copy() for image in images_rgb] if self.foreign else images_rgb
        with naming(EnhancerError, f"Enhancer {self.name!r} failed on {len(images_rgb)} images.", self.code):
            # Each as it comes: the next image's may be written over it.
            results = [_copy(result) if self.foreign else result for result in self.enhance_many(given, image_ids)]
        if len(results) != len(images_rgb):
            raise EnhancerError(
                f"Enhancer {self.name!r} broke its contract.",
                expected=f"{len(images_rgb)} results from enhance_many",
                got=f"{len(results)}",
            )
        for number, (image, image_id) in enumerate(zip(images_rgb, image_ids, strict=True)):
            try:
                if self.foreign:
                    self._check_untouched(given[number], image, image_id)
                result = results[number]
                if not isinstance(result, EnhancerError):
                    self._checked(result, image, image_id)
            except EnhancerError as error:
                results[number] = error
        return results

    @classmethod
    def parameters(cls) -> int | None:
        """Parameters of its networks; None where it has no network."""
        return None

    def close(self) -> None:
        """End what it has started, such as a process; used again, it starts it again."""

    @property
    def code(self) -> object:
        """The class or function that does the work: where errors point to, and what the fingerprint stands for."""
        return type(self)

    @property
    def fingerprint(self) -> str:
        """Hash of code, arguments and weights; keys every stored result."""
        return fingerprint(self.code, self.arguments, self.weights)

    def _attempt(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray | EnhancerError:
        try:
            with naming(EnhancerError, f"Enhancer {self.name!r} failed.", self.code, image_id):
                return self.enhance(image_rgb, image_id)
        except EnhancerError as error:
            return error

    def _input(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        """The image that was given, C-contiguous as `read_image` has it: views and Fortran's order are images too."""
        check_image(image_rgb, what=f"Enhancer {self.name!r} was given something that is no image.", where=image_id)
        return np.ascontiguousarray(image_rgb)

    def _checked(self, result: np.ndarray, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        what = f"Enhancer {self.name!r} broke its contract."
        check_image(result, what=what, where=image_id, size=image_rgb.shape[:2])
        return result

    def _check_untouched(self, given: np.ndarray, image_rgb: np.ndarray, image_id: str | None) -> None:
        if np.array_equal(given, image_rgb):
            return
        raise EnhancerError(
            f"Enhancer {self.name!r} broke its contract.",
            where=image_id,
            expected="an input that stays as it is",
            got="an input that was changed in place",
            todo="work on a copy: image_rgb.copy()",
        )


class FunctionEnhancer(Enhancer):
    """Wraps a plain callable `(H, W, 3) uint8 RGB -> same`.

    Args:
        function: The callable.
        name: For tables and errors.
        code: What the fingerprint stands for, where the callable is a part of something; None takes the callable
            itself, or its class if it is an instance.
    """

    foreign = True

    def __init__(self, function: Callable[[np.ndarray], np.ndarray], name: str, code: object = None) -> None:
        super().__init__()
        self.function, self.name = function, name
        self._code = code or (function if hasattr(function, "__qualname__") else type(function))

    def enhance(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        """Call the wrapped function."""
        return self.function(image_rgb)

    @property
    def code(self) -> object:
        """The wrapped code."""
        return self._code


def _copy(result: Any) -> Any:
    """A plain array that nobody else has; what is no array stays what it is."""
    return np.array(result, order="C") if isinstance(result, np.ndarray) else result


def check_image(image: object, *, what: str, where: str | None, size: tuple[int, ...] | None = None) -> None:
    """Raise EnhancerError unless `image` is an (H, W, 3) uint8 array, of `size` (H, W) if that is given."""
    height, width = size if size is not None else ("H", "W")
    expected = f"ndarray ({height}, {width}, 3) uint8 RGB"
    if not isinstance(image, np.ndarray):
        raise EnhancerError(what, where=where, expected=expected, got=f"{type(image).__name__}")
    got = f"ndarray {image.shape} {image.dtype}"
    if np.issubdtype(image.dtype, np.floating):
        raise EnhancerError(what, where=where, expected=expected, **_of_floats(image, got))
    wrong_size = size is not None and image.shape[:2] != tuple(size)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape or wrong_size:
        raise EnhancerError(what, where=where, expected=expected, got=got)


def _of_floats(image: np.ndarray, got: str) -> dict[str, str]:
    """What floats were given in place of an image, and what makes an image of them; NaN nothing does."""
    if not image.size or np.isnan(image).any():
        return {"got": f"{got}{' with NaN' if image.size else ', values none'}"}
    least, most = image.min(), image.max()
    # From 0 to 255 times 255 would be white, from -1 to 1 half of it black.
    scaled = "x" if most > 2 or least < -2 else "x * 255" if least > -0.5 else "(x + 1) / 2 * 255"
    todo = f"make it uint8: np.clip(np.rint({scaled}), 0, 255).astype(np.uint8)"
    return {"got": f"{got}, values {least:.3g} to {most:.3g}", "todo": todo}
