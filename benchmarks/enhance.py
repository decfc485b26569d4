"""Enhance files and folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from data_tools.errors import DataError, DuskbenchError
from data_tools.images import is_image_file, read_image, write_image
from pipeline.enhancers.base import Enhancer


def enhance_files(
    source: Path,
    target: Path,
    enhancer: Enhancer,
    *,
    overwrite: bool = False,
    track: Callable[[list[tuple[Path, Path]]], Iterable[tuple[Path, Path]]] = iter,
) -> list[tuple[Path, str]]:
    """Enhance one image file, or every image of a folder and its sub-folders.

    Args:
        source: An image file or a folder.
        target: For a file, a file of any image ending, or an existing folder; for a folder, a folder, which gets the
            same tree. JPEG originals become PNG there, so that no second compression touches what is measured.
        enhancer: From `pipeline.load_enhancer`.
        overwrite: Whether to make again what is there; otherwise a folder is taken up where it was left.
        track: Wraps the list of (source, target) pairs, for progress.

    Returns:
        (file, reason) of each image that failed.

    Raises:
        DataError: The source does not exist or holds no image.
    """
    pairs = _pairs(source, target)
    if source.is_dir() and not overwrite:
        pairs = [pair for pair in pairs if not pair[1].exists()]
    failures = []
    for read_from, write_to in track(pairs):
        try:
            write_image(write_to, enhancer(read_image(read_from), image_id=read_from.stem))
        except DuskbenchError as error:
            failures.append((read_from, str(error)))
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything; the other images go on
            failures.append((read_from, f"{type(error).__name__}: {error}"))
    return failures


def _pairs(source: Path, target: Path) -> list[tuple[Path, Path]]:
    if source.is_file():
        return [(source, target / f"{source.stem}.png" if target.is_dir() else target)]
    files = sorted(file for file in source.rglob("*") if is_image_file(file)) if source.is_dir() else []
    if not files:
        raise DataError("There is no image to enhance.", where=source, expected="an image file or a folder of them")
    pairs = [(file, (target / file.relative_to(source)).with_suffix(".png")) for file in files]
    seen: dict[Path, Path] = {}
    for file, result in pairs:
        if result in seen:
            raise DataError(
                "Two images would be written to the same file.",
                where=result,
                got=f"{seen[result]} and {file}",
                todo="rename one",
            )
        seen[result] = file
    return pairs
