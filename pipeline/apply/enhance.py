"""Enhance files: images and videos, one or a tree of them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from duskbench.data_tools.errors import ConfigError, DataError, DuskbenchError, EnhancerError
from duskbench.data_tools.files import check_place
from duskbench.data_tools.ids import stem
from duskbench.data_tools.image_files import ImageFiles, find_images
from duskbench.data_tools.image_metadata import read_metadata, write_image_with_metadata
from duskbench.data_tools.images import IMAGE_SUFFIXES, is_image_file, read_image
from duskbench.data_tools.leftovers import remove_leftovers
from duskbench.data_tools.progress import SILENT, Progress
from duskbench.pipeline.apply.video import VIDEO_SUFFIXES, enhance_video, is_video_file
from duskbench.pipeline.enhancers.base import Enhancer
from duskbench.pipeline.enhancers.folder import Folder

logger = logging.getLogger(__name__)


def enhance_files(
    source: Path,
    target: Path,
    enhancer: Enhancer,
    *,
    overwrite: bool = False,
    image_suffix: str | None = None,
    quality: int = 95,
    crf: int = 18,
    progress: Progress = SILENT,
) -> list[tuple[Path, str]]:
    """Enhance one image or video file, or all of a folder and its sub-folders.

    Files keep their names, formats and metadata. Images become 8-bit RGB, upright, as `read_image` has them: the high
    bytes of 16-bit files, grey as three equal channels on the way in, transparency left out. Videos: see
    `enhance_video`. Each file appears whole or not at all, so what was stopped goes on with the file it stopped in.

    An image is known to the enhancer by its path below the source, without the extension unless another file differs in
    that alone.

    Args:
        source: An image or video file, or a folder. Files of a folder that are neither (raw photos, notes) are left
            out, with a warning in the log that counts them by extension.
        target: For a file, a file or an existing folder; for a folder, a folder, which gets the same tree.
        enhancer: From `duskbench.load_enhancer`.
        overwrite: Whether to make again what is there; otherwise a folder is resumed where it was left, and a file that
            is there is an error.
        image_suffix: Extension of all images, such as ".png", which keeps every pixel for a detector or a metric. None
            keeps each file's own.
        quality: Of JPEG and WebP, 1 to 100.
        crf: Of videos; see `enhance_video`.
        progress: Where files done, and the pictures done of a video, are reported.

    Returns:
        (file, reason) of each file that failed.

    Raises:
        DataError: The source does not exist or holds neither image nor video, or two files would become one; or the
            enhancer is a folder with one image for two files.
        ConfigError: A result would take the place of an original, or of a file that is there although `overwrite` is
            not given, or has a name that no image is written under; or the extra `video` is missing.
        OSError: The result of a single file cannot be written.
    """
    pairs = _pairs(source, target, image_suffix)
    ids = _ids(source, [file for file, _ in pairs if is_image_file(file)])
    if isinstance(enhancer, Folder):
        enhancer.check_images(ids.values())
    if source.is_file():
        check_place(pairs[0][1], overwrite=overwrite)
    if source.is_dir() and not overwrite:
        left = [pair for pair in pairs if not pair[1].exists()]
        if len(left) < len(pairs):
            # Nothing in a file says by which enhancer it was made.
            count = len(pairs) - len(left)
            logger.warning(
                "%s: %d of %d files are there already and stay as they are; --overwrite makes them again",
                target, count, len(pairs),
            )  # fmt: skip
        pairs = left
    remove_leftovers(target if source.is_dir() else pairs[0][1].parent, deep=source.is_dir())
    failures: list[tuple[Path, str]] = []
    # Of an enhancer that wants several images at once, those that wait for more.
    waiting: list[tuple[Path, Path]] = []
    for pair in progress.track("Enhancing", pairs):
        if is_video_file(pair[0]):
            with _noting_failure(failures, pair[0]):
                enhance_video(*pair, enhancer, crf=crf, progress=progress)
            continue
        waiting.append(pair)
        if len(waiting) == enhancer.batch_size:
            _enhance_images(waiting, ids, enhancer, quality, failures)
            waiting = []
    _enhance_images(waiting, ids, enhancer, quality, failures)
    return failures


def _enhance_images(
    pairs: list[tuple[Path, Path]],
    ids: Mapping[Path, str],
    enhancer: Enhancer,
    quality: int,
    failures: list[tuple[Path, str]],
) -> None:
    read: list[tuple[Path, Path]] = []
    images: list[np.ndarray] = []
    for pair in pairs:
        with _noting_failure(failures, pair[0]):
            images.append(read_image(pair[0]))
            read.append(pair)
    results: list[np.ndarray | EnhancerError] = []
    try:
        results = enhancer.many(images, [ids[source] for source, _ in read]) if images else []
    except EnhancerError as error:
        failures += [(source, str(error)) for source, _ in read]
    for (source, target), result in zip(read, results, strict=False):
        with _noting_failure(failures, source):
            if isinstance(result, EnhancerError):
                raise result
            write_image_with_metadata(target, result, read_metadata(source), quality=quality)


@contextmanager
def _noting_failure(failures: list[tuple[Path, str]], path: Path) -> Iterator[None]:
    """One file's failure is noted and the others go on; what is wrong with the options is wrong for every file."""
    try:
        yield
    except ConfigError:
        raise
    except DuskbenchError as error:
        failures.append((path, str(error)))
    except OSError as error:
        failures.append((path, f"{error.strerror or error}: {error.filename}"))
    except Exception as error:  # noqa: BLE001 - a plug-in may raise anything
        failures.append((path, f"{type(error).__name__}: {error}"))


def _pairs(source: Path, target: Path, image_suffix: str | None) -> list[tuple[Path, Path]]:
    if source.is_file():
        if not (is_image_file(source) or is_video_file(source)):
            raise DataError(
                "The file is neither an image nor a video that can be read.",
                where=source,
                expected=f"an extension of {', '.join(sorted(IMAGE_SUFFIXES))}; {', '.join(sorted(VIDEO_SUFFIXES))}",
                got=repr(source.suffix),
                todo="convert it first: HEIC with pillow-heif, raw photos by developing them, others to PNG",
            )
        return _checked([(source, target / _name(source, image_suffix) if target.is_dir() else target)])
    if target.resolve() == source.resolve():
        raise ConfigError(
            "The results would take the originals' place.", where=target, todo="give another folder as OUT"
        )
    if target.is_file():
        raise ConfigError("The results of a folder are a folder.", where=target, got="a file")
    found = find_images(source) if source.is_dir() else ImageFiles(source)
    everything = sorted(source / file for file in (*found.files, *found.others))
    # A target inside the source is not enhanced again on the next call; one above the source holds all of it.
    is_above = target.resolve() in source.resolve().parents
    inside = [file for file in everything if is_above or target.resolve() not in file.resolve().parents]
    files = [file for file in inside if is_image_file(file) or is_video_file(file)]
    _log_what_is_left_out(source, [*{*inside}.difference(files)], found.notes)
    if not files:
        raise DataError(
            "There is no image to enhance.", where=source, expected="an image or video file or a folder of them"
        )
    return _checked(
        [(file, (target / file.relative_to(source)).with_name(_name(file, image_suffix))) for file in files]
    )


def _ids(source: Path, files: Sequence[Path]) -> dict[Path, str]:
    root = source if source.is_dir() else source.parent
    names = {file: file.relative_to(root).as_posix() for file in files}
    times = Counter(map(stem, names.values()))
    return {file: stem(name) if times[stem(name)] == 1 else name for file, name in names.items()}


def _name(file: Path, image_suffix: str | None) -> str:
    return file.name if image_suffix is None or is_video_file(file) else f"{file.stem}{image_suffix}"


def _checked(pairs: list[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    seen: dict[Path, Path] = {}
    originals = {file.resolve() for file, _ in pairs}
    for file, result in pairs:
        if result in seen:
            raise DataError(
                "Two images would be written to the same file.",
                where=result,
                got=f"{seen[result]} and {file}",
                todo="rename one",
            )
        if result.resolve() in originals:
            raise ConfigError(
                "The result would take an original's place.", where=result, todo="give another folder or file as OUT"
            )
        kind, known = ("a video", VIDEO_SUFFIXES) if is_video_file(file) else ("an image", IMAGE_SUFFIXES)
        if result.suffix.lower() not in known:
            raise ConfigError(
                f"The result of {kind} is {kind}.",
                where=result, expected=", ".join(sorted(known)), got=repr(result.suffix),
            )  # fmt: skip
        seen[result] = file
    return pairs


def _log_what_is_left_out(source: Path, files: list[Path], notes: Iterable[str]) -> None:
    counts = Counter(file.suffix.lower() or "no extension" for file in files)
    if counts:
        named = ", ".join(f"{count} {suffix}" for suffix, count in sorted(counts.items()))
        logger.warning("%s: left out what is neither image nor video (%s)", source, named)
    for note in notes:
        logger.warning("%s: %s", source, note)
