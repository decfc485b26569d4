"""What a run will do: which images, which enhancers, which rows are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from duskbench.benchmarks.config import BenchmarkConfig
from duskbench.benchmarks.references import find_references, read_state
from duskbench.benchmarks.store import Key, ResultStore, StoredImage
from duskbench.data_tools.dataset import HasImagePath, missing, open_dataset
from duskbench.data_tools.errors import ConfigError, DataError, DuskbenchError, WeightsError
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.records import Dataset, ImageRecord
from duskbench.pipeline.registry import load_enhancer

NO_DETECTOR = "none"


@dataclass(frozen=True)
class PlannedEnhancer:
    """A row of the table.

    Attributes:
        label: What the table calls it.
        spec: How to build it.
        fingerprint: Of the built enhancer; empty where it cannot be built.
        error: Why it cannot be built.
        upper_bound: Whether it stands for a limit, such as the lit twins, and does not compete for the best value.
        origin: Where its weights come from, in words; None where it has none.
        batch_size: Images that it wants at once.
        weights: Name -> sha256 of the weight files in use.
    """

    label: str
    spec: str | dict[str, Any]
    fingerprint: str
    error: str | None = None
    upper_bound: bool = False
    origin: str | None = None
    batch_size: int = 1
    weights: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Unit:
    """One image and the rows it still lacks: the piece of work that is handed to a worker."""

    image_id: str
    path: Path
    keys: tuple[tuple[int, Key], ...]
    """(index of the enhancer, key of the row)."""
    reference: Path | None = None


def plan_enhancers(config: BenchmarkConfig, device: str, *, keep_broken: bool = False) -> list[PlannedEnhancer]:
    """Build every enhancer once, so that a wrong name stops the run before it starts.

    Weights that cannot be had do not: that enhancer's row says so and the others stand. With `keep_broken` that holds
    for whatever keeps an enhancer from being built.

    Raises:
        ConfigError: A name or an argument is wrong, or two rows have the same label.
    """
    planned: list[PlannedEnhancer] = []
    for spec in config.enhancers:
        bare, label, bound = spec, None, False
        if isinstance(spec, dict):
            bare = dict(spec)
            label, bound = bare.pop("label", None), bool(bare.pop("upper_bound", False))
        label = label or _default_label(bare, taken={p.label for p in planned})
        if any(label == p.label for p in planned):
            raise ConfigError(
                "Two enhancers have the same label.",
                where=config.name,
                got=repr(label),
                todo="give one a label of its own",
            )
        try:
            built = load_enhancer(bare, device=device)
            planned.append(
                PlannedEnhancer(
                    label, bare, built.fingerprint, None, bound, built.origin, built.batch_size, dict(built.weights)
                )
            )
        except DuskbenchError as error:
            if not (keep_broken or isinstance(error, (WeightsError, DataError))):
                raise
            planned.append(PlannedEnhancer(label, bare, fingerprint="", error=str(error), upper_bound=bound))
    return planned


def _default_label(spec: str | dict[str, Any], taken: set[str]) -> str:
    """As tables spell it; the whole specification where another row has that label."""
    target = str(spec["type"]) if isinstance(spec, dict) and "type" in spec else str(spec)
    label = ENHANCERS.label(target)
    return label if label not in taken else target


def open_images(config: BenchmarkConfig) -> Dataset:
    """Open the data set that a configuration names.

    Raises:
        ConfigError: The configuration names none.
        DataError: It is not there, or is no data set.
    """
    data = dict(config.data)
    root = data.pop("root", None)
    if root is None:
        raise ConfigError("The configuration names no data set.", where=config.name, todo="give one: --data DIR")
    data.pop("allow_missing", None)
    data.pop("groups", None)
    data.pop("reference", None)
    return open_dataset(Path(root), **data)


def read_images(
    dataset: Dataset,
    store: ResultStore,
    *,
    limit: int | None = None,
    drop_cup: bool = False,
    groups: Sequence[str] = (),
    references: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[StoredImage]:
    """Parse the records of a data set and hash its files; a file whose size and time are known is not read again.

    Args:
        dataset: The data set.
        store: Where earlier states are and new ones go.
        limit: Take only so many of the images that are there, evenly spread, so that every class still occurs.
        drop_cup: Leave out the images of ExDark's folder Cup.
        groups: Take only images of these groups; empty for all.
        references: Folder of the images' references, or None.
        progress: Called with (images done, images in all).

    Returns:
        Images in the data set's order; `sha256` is None where the file is missing.

    Raises:
        ConfigError: A group has no image.
        DataError: An image that is there has no reference.
    """
    known = store.images()
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
    store.put_images(images)
    return images


def _select(dataset: Dataset, absent: set[str], limit: int | None, drop_cup: bool, groups: Sequence[str]) -> list[str]:
    ids = list(dataset.ids)
    if groups:
        group_of = {image_id: dataset.record(image_id).group for image_id in ids}
        empty = sorted(set(groups) - set(group_of.values()))
        if empty:
            raise ConfigError(
                "A group of the configuration has no image.",
                where=dataset.root,
                expected=f"folders {', '.join(groups)}",
                got=f"none in {', '.join(empty)}; there are {', '.join(sorted(filter(None, set(group_of.values()))))}",
                todo="choose among those there are: --cfg-options data.groups=DICM,LIME,MEF",
            )
        ids = [image_id for image_id in ids if group_of[image_id] in groups]
    if drop_cup and isinstance(dataset, HasImagePath):
        ids = [image_id for image_id in ids if dataset.image_path(image_id).parent.name != "Cup"]
    if limit is None:
        return ids
    present = [image_id for image_id in ids if image_id not in absent]
    limit = min(limit, len(present))
    return [present[i * len(present) // limit] for i in range(limit)]


def _absent_record(dataset: Dataset, image_id: str) -> ImageRecord:
    path = dataset.image_path(image_id) if isinstance(dataset, HasImagePath) else dataset.root / image_id
    return ImageRecord(image_id, path, group=path.parent.name)


def _with_file_state(image: StoredImage, earlier: StoredImage | None) -> StoredImage:
    try:
        stat = image.record.path.stat()
    except OSError:
        return image
    same_path = earlier is not None and earlier.record.path == image.record.path
    if same_path and earlier is not None and (earlier.bytes, earlier.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
        return replace(image, bytes=earlier.bytes, mtime_ns=earlier.mtime_ns, sha256=earlier.sha256)
    return replace(image, bytes=stat.st_size, mtime_ns=stat.st_mtime_ns, sha256=file_sha256(image.record.path))


def plan_units(
    images: Iterable[StoredImage], enhancers: list[PlannedEnhancer], detector: str, measure: str, done: set[Key]
) -> list[Unit]:
    """The rows that are still missing, image by image."""
    units = []
    for image in images:
        if image.content is None:
            continue
        keys = tuple(
            (index, key)
            for index, enhancer in enumerate(enhancers)
            if enhancer.error is None
            and (key := Key(image.record.id, image.content, enhancer.fingerprint, detector, measure)) not in done
        )
        if keys:
            units.append(
                Unit(image.record.id, image.record.path, keys, image.reference.path if image.reference else None)
            )
    return units
