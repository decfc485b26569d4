"""Which images a run has: the data set that its configuration names, and the state of each file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from duskbench.benchmarks.config import RUN_KEYS, BenchmarkConfig
from duskbench.benchmarks.references import find_references, read_state
from duskbench.benchmarks.rows import StoredImage
from duskbench.data_tools.datasets import missing, open_dataset
from duskbench.data_tools.errors import ConfigError, DataError
from duskbench.data_tools.exdark import ExDark
from duskbench.data_tools.file_states import stamp
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.ids import shown
from duskbench.data_tools.records import Dataset, ImageRecord

_T = TypeVar("_T")


def open_images(config: BenchmarkConfig) -> Dataset:
    """Open the data set that a configuration names.

    Raises:
        ConfigError: The configuration names none.
        DataError: It is not there, or is no data set.
    """
    root = config.data.get("root")
    if root is None:
        raise ConfigError("The configuration names no data set.", where=config.name, todo="give one: --data DIR")
    return open_dataset(Path(root), **{key: value for key, value in config.data.items() if key not in RUN_KEYS})


def read_images(
    dataset: Dataset,
    known: Mapping[str, StoredImage],
    *,
    limit: int | None = None,
    drop_cup: bool = False,
    groups: Sequence[str] = (),
    references: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[StoredImage]:
    """Parse the records of a data set and hash its files; a file whose size and stamp are known is not read again.

    Args:
        dataset: The data set.
        known: Earlier states, by id.
        limit: Take only so many of the images that are there, evenly spread, so that every class still occurs.
        drop_cup: Leave out the images of ExDark's folder Cup.
        groups: Take only images of these groups; empty for all.
        references: Folder of the images' references, or None.
        progress: Called with (images done, images in all).

    Returns:
        Images in the data set's order; `sha256` is None where the file is missing.

    Raises:
        ConfigError: A group has no image.
        DataError: An image that is there has no reference, or no annotation where others have one.
    """
    absent = set(missing(dataset))
    images: list[StoredImage] = []
    ids = _select(dataset, absent, limit, drop_cup, groups)
    reference_of = find_references(references, (i for i in ids if i not in absent)) if references else {}
    for number, image_id in enumerate(ids):
        # An incomplete tree often lacks the annotation with the image; what is absent is only counted.
        record = _absent_record(dataset, image_id) if image_id in absent else dataset.record(image_id)
        image, earlier = _with_file_state(StoredImage(record), known.get(image_id)), known.get(image_id)
        if image_id in reference_of:
            state = read_state(reference_of[image_id], earlier.reference if earlier else None)
            image = replace(image, reference=state)
        images.append(image)
        if progress:
            progress(number + 1, len(ids))
    _check_annotated([image.record for image in images if image.sha256 is not None], dataset)
    return images


def _check_annotated(records: Sequence[ImageRecord], dataset: Dataset) -> None:
    """No built-in reader mixes them; a score of the whole would be missing without a word."""
    without = [record.id for record in records if record.objects is None]
    if 0 < len(without) < len(records):
        raise DataError(
            "Some images of the data set have no annotation, and others have one.",
            where=dataset.root,
            expected="objects of each image, an empty tuple where nothing is in it; or None for all",
            got=f"None for {len(without)} of {len(records)} images: {shown(without, 3)}",
            todo="change the data set's reader, or take the others: --split FILE, an id a line",
        )


def _select(dataset: Dataset, absent: set[str], limit: int | None, drop_cup: bool, groups: Sequence[str]) -> list[str]:
    ids = list(dataset.ids)
    if groups:
        group_of = {image_id: dataset.record(image_id).group for image_id in ids}
        there = sorted({group for group in group_of.values() if group})
        empty = sorted(set(groups).difference(there))
        if empty:
            left = [group for group in groups if group in there] or there
            raise ConfigError(
                "A group of the configuration has no image.",
                where=dataset.root,
                expected=f"folders {', '.join(groups)}",
                got=f"none in {', '.join(empty)}; there are {', '.join(there) or 'no folders with images'}",
                todo=f"take those there are: --cfg-options data.groups={','.join(left)}" if left else None,
            )
        ids = [image_id for image_id in ids if group_of[image_id] in groups]
    if drop_cup:
        ids = _without_cup(dataset, ids)
    present = [image_id for image_id in ids if image_id not in absent]
    # Where the limit leaves out none of those that are there, it is none: what is absent is told as without it.
    return ids if limit is None or limit >= len(present) else evenly(present, limit)


def evenly(images: Sequence[_T], most: int) -> list[_T]:
    """So many of the images, or all if there are fewer, evenly spread from the first on."""
    most = min(most, len(images))
    return [images[number * len(images) // most] for number in range(most)]


def _without_cup(dataset: Dataset, ids: Sequence[str]) -> list[str]:
    kept = [image_id for image_id in ids if dataset.image_path(image_id).parent.name != "Cup"]
    if len(kept) == len(ids) and not isinstance(dataset, ExDark):
        # Converted, ExDark keeps no folders: its Cup images would stay, under a table that says that they do not.
        raise ConfigError(
            "The data set has no images in a folder Cup that could be left out.",
            where=dataset.root,
            expected="ExDark's own folders for protocol.cup_images=drop",
            got=f"{len(ids)} images in other folders",
            todo="run it on ExDark as it was before converting, or name the images: --cfg-options data.split=FILE",
        )
    return kept


def _absent_record(dataset: Dataset, image_id: str) -> ImageRecord:
    path = dataset.image_path(image_id)
    return ImageRecord(image_id, path, group=path.parent.name)


def _with_file_state(image: StoredImage, earlier: StoredImage | None) -> StoredImage:
    try:
        stat = image.record.path.stat()
    except OSError:
        return image
    path, size, stamped = image.record.path, stat.st_size, stamp(stat)
    if earlier is not None and (earlier.record.path, earlier.bytes, earlier.stamp) == (path, size, stamped):
        return replace(image, bytes=size, stamp=stamped, sha256=earlier.sha256)
    return replace(image, bytes=size, stamp=stamped, sha256=file_sha256(path))
