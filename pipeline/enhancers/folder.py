"""A folder of pictures that some other program has already enhanced."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np

from duskbench.data_tools.errors import ConfigError, DataError, EnhancerError
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.fingerprint import fingerprint
from duskbench.data_tools.image_files import find_images
from duskbench.data_tools.images import read_image
from duskbench.pipeline.enhancers.base import Enhancer


class Folder(Enhancer):
    """Looks enhanced images up by the image's id: the file name without extension, in the folder or below it.

    Where ids have folders, a file has the same or none; see `image_files.ImageFiles.matching`.

    The list of files is read once; the fingerprint covers the names and the content of all of them, not the place of
    the folder, so that a changed picture is measured anew and a moved folder is not.

    Args:
        path: The folder.

    Raises:
        ConfigError: There is no such folder, or no image in it.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path=str(path))
        self.name = f"dir:{path}"
        self.path = Path(path)
        # An empty name, as of a shell's variable that is not set, would be the current folder.
        if not str(path) or not self.path.is_dir():
            raise ConfigError(
                "There is no folder of enhanced images.",
                where=self.name,
                expected="an existing folder",
                got="a file" if self.path.is_file() else "nothing",
                todo="give the folder that holds the images: dir:FOLDER",
            )
        self._images = find_images(self.path)
        if not self._images.files:
            raise ConfigError("The folder of enhanced images holds no image.", where=self.path)

    def enhance(self, image_rgb: np.ndarray, image_id: str | None) -> np.ndarray:
        """Read the enhanced image of this id."""
        file = self._find(image_id)
        enhanced = read_image(file)
        if enhanced.shape != image_rgb.shape:
            (height, width), (got_height, got_width) = image_rgb.shape[:2], enhanced.shape[:2]
            raise EnhancerError(
                "The enhanced image has another size than its original.",
                where=file,
                expected=f"{width} x {height} pixels, as {image_id}",
                got=f"{got_width} x {got_height}",
                todo="save it as large as its original: boxes and metrics are compared pixel by pixel",
            )
        return enhanced

    def check_images(self, image_ids: Iterable[str]) -> None:
        """See that no file would be looked up for two images.

        Args:
            image_ids: Of the data set.

        Raises:
            DataError: One would.
        """
        own = self._images.matching_each(image_ids)
        shared = {image_id: self._images.matching(image_id) for image_id, files in own.items() if not files}
        named = [f"{image_id} has {files[0].relative_to(self.path)}" for image_id, files in shared.items() if files]
        if named:
            raise DataError(
                "A file of the folder would be the enhanced image of several images.",
                where=self.path,
                expected="a file for each image",
                got=f"{', '.join(named[:5])}{', ...' if len(named) > 5 else ''}",
                todo="name the files with the folders of the ids, x/1.png and y/1.png",
            )

    @cached_property
    def _content(self) -> dict[str, str]:
        return {file: file_sha256(self.path / file) for file in self._images.files}

    @property
    def fingerprint(self) -> str:
        """Hash of the files' names, relative to the folder, and of their content."""
        return fingerprint(type(self), {}, self._content)

    def _find(self, image_id: str | None) -> Path:
        if image_id is None:
            raise EnhancerError(
                f"Enhancer {self.name!r} looks images up by their id and was given none.",
                expected="image_id, the file name of the original without its extension",
                got="None",
                todo="call it as enhancer(image_rgb, image_id=...)",
            )
        found = self._images.matching(image_id)
        if not found:
            near = difflib.get_close_matches(image_id, self._images.by_name, n=3)
            raise EnhancerError(
                "The folder of enhanced images lacks an image.",
                where=self.path,
                expected=f"{image_id}.png, or another image extension",
                got=f"{len(self._images.files)} images" + (f", the nearest {', '.join(near)}" if near else ""),
                todo="enhance this image too, or restrict the run to the images there are with --split FILE",
            )
        if len(found) > 1:
            raise EnhancerError(
                "The folder of enhanced images holds several images of one id.",
                where=self.path,
                expected=f"one image named {image_id}",
                got=", ".join(file.relative_to(self.path).as_posix() for file in found),
                todo="keep one of them",
            )
        return found[0]
