"""The images that detectors are trained further on: a training split as each enhancer makes it, and its boxes."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from duskbench.benchmarks.config import BenchmarkConfig
from duskbench.benchmarks.images import open_images
from duskbench.benchmarks.kept_pictures import image_path
from duskbench.benchmarks.progress import RunProgress
from duskbench.benchmarks.record import DetectorEntry, EnhancerEntry
from duskbench.benchmarks.rows import StoredImage
from duskbench.benchmarks.run_plan import RunOptions
from duskbench.benchmarks.runner import run
from duskbench.benchmarks.store import RESULTS, ResultStore
from duskbench.data_tools.classes import class_key
from duskbench.data_tools.datasets import missing
from duskbench.data_tools.errors import DataError, DuskbenchError, TrainingError
from duskbench.data_tools.files import file_sha256, write_text
from duskbench.data_tools.ids import shown
from duskbench.data_tools.images import image_size, read_image
from duskbench.data_tools.ordered_map import ordered_map
from duskbench.data_tools.progress import SILENT, Progress
from duskbench.pipeline.training.fine_tuning import TrainingImages, write_listing


@dataclass(frozen=True)
class EnhancedSplit:
    """A training split as each enhancer makes it, kept in a folder.

    Attributes:
        folder: `training`, in the folder of the results.
        images: Of the split.
        enhanced: Label of an enhancer -> image id -> hash of its enhanced image.
    """

    folder: Path
    images: tuple[StoredImage, ...]
    enhanced: Mapping[str, Mapping[str, str]]

    def of(self, enhancer: EnhancerEntry, detector: DetectorEntry, *, ends_on_last_pixel: bool) -> TrainingImages:
        """One enhancer's images with the boxes of the classes that a detector knows.

        Raises:
            DataError: None of them has such a box.
        """
        listing = self.folder / "boxes" / f"{hashlib.sha256(detector.label.encode()).hexdigest()[:12]}.json"
        labels = {class_key(name): number for number, name in enumerate(detector.classes)}
        images = [(f"{i.record.id}.png", image_size(i.record.path), i.record.objects or ()) for i in self.images]
        count = write_listing(listing, images, labels, ends_on_last_pixel=ends_on_last_pixel)
        if not count:
            raise DataError(
                "There is nothing to train on.",
                where=f"{len(self.images)} images of the training split",
                expected=f"a box of a class of {detector.label}: {shown(detector.classes, 20)}",
                got=", ".join(sorted({o.name for i in self.images for o in i.record.objects or ()})) or "no boxes",
                todo="choose another split (--train-split), or a data set with boxes",
            )
        hashes = json.dumps(self.enhanced[enhancer.label], sort_keys=True)
        sha256 = hashlib.sha256(f"{file_sha256(listing)} {hashes}".encode()).hexdigest()
        return TrainingImages(listing.absolute(), _folder(self.folder, enhancer).absolute(), sha256, count)


def enhance_split(
    config: BenchmarkConfig,
    options: RunOptions,
    split: str,
    enhancers: Sequence[EnhancerEntry],
    progress: Progress = SILENT,
) -> EnhancedSplit:
    """Enhance a training split once with each enhancer, without loss; what is there and unchanged is used again.

    Args:
        config: Its data and enhancers.
        options: Of the run; the images are kept below its folder.
        split: The training split.
        enhancers: Those of the run that could be built.
        progress: Where it is reported.

    Raises:
        DataError: The split is not there, or has no image.
        TrainingError: An enhancer fails on an image, or an image is absent.
    """
    folder = options.out / "training"
    named = [_as_spec(enhancer) for enhancer in enhancers]
    data = {key: value for key, value in config.data.items() if key != "reference"}
    training = replace(
        config, data={**data, "split": split}, detectors=(), enhancers=tuple(named), metrics=(), more_metrics=(),
        costs=False,
    )  # fmt: skip
    kept = replace(options, out=folder, checkpoint=None, save_images=True)
    for attempt in range(2):
        summary = run(training, kept, RunProgress(progress))
        if not summary.ok:
            raise TrainingError(
                "The training images cannot all be enhanced.",
                where=f"split {split} of {config.data.get('root')}",
                got="; ".join(" ".join(line.split()) for line in summary.shortfalls()),
                todo="leave that enhancer out with --enhancer, or allow images to be absent with --allow-missing",
            )
        with ResultStore(folder / RESULTS, reading=True) as store:
            images = tuple(image for image in store.images_of(store.last_run()) if image.sha256 is not None)
        hashes = {enhancer.label: _hashes(folder, enhancer, images) for enhancer in enhancers}
        changed = [label for label, each in hashes.items() if each is None]
        if not changed:
            break
        progress.message(f"Enhanced training images of {', '.join(changed)} are not what was made.", warning=True)
        if attempt:
            raise TrainingError("Enhanced training images do not stay as they are.", where=folder / "images")
        for path in [*folder.glob(f"{RESULTS}*"), *folder.glob("images")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return EnhancedSplit(folder, images, {label: each for label, each in hashes.items() if each is not None})


def _as_spec(enhancer: EnhancerEntry) -> dict[str, object]:
    spec = enhancer.spec if isinstance(enhancer.spec, dict) else {"type": enhancer.spec}
    return {**spec, "label": _label(enhancer)}


def _label(enhancer: EnhancerEntry) -> str:
    """Unlike the label alone it is another one for other code or weights, and so are the files."""
    return f"{enhancer.label} {enhancer.fingerprint[:12]}"


def _folder(folder: Path, enhancer: EnhancerEntry) -> Path:
    return image_path(folder / "images", _label(enhancer), "x").parent


def _hashes(folder: Path, enhancer: EnhancerEntry, images: Sequence[StoredImage]) -> dict[str, str] | None:
    """Image id -> hash of an enhancer's image; None where one has gone or is another than it was."""
    place = _folder(folder, enhancer)
    manifest = place.with_name(f"{place.name}.json")
    made = {}
    for image in images:
        path = place / f"{image.record.id}.png"
        if not path.is_file():
            return None
        made[image.record.id] = [str(image.sha256), file_sha256(path)]
    earlier = json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else {}
    if any(i in earlier and earlier[i][0] == pair[0] and earlier[i] != pair for i, pair in made.items()):
        return None
    write_text(manifest, json.dumps({**earlier, **made}, sort_keys=True))
    return {image_id: pair[1] for image_id, pair in made.items()}


def check_apart(config: BenchmarkConfig, split: str, progress: Progress = SILENT) -> None:
    """Make sure that no training image is a test image, by their pixels.

    Args:
        config: Its data are the test images.
        split: The training split.
        progress: Where it is reported.

    Raises:
        DataError: Images are in both, or a split is not there.
    """
    test = dict(_pixel_hashes(config, progress))
    training = replace(config, data={**config.data, "split": split})
    both = [(i, test[pixels]) for pixels, i in _pixel_hashes(training, progress) if pixels in test]
    if both:
        raise DataError(
            "Training images are test images.",
            where=config.data.get("root"),
            expected=f"no common image of the splits {split} and {config.data.get('split', 'test')}",
            got=f"{len(both)}, the first: {both[0][0]} is {both[0][1]} of the test images",
            todo="choose another --train-split, or a file of image ids",
        )


def _pixel_hashes(config: BenchmarkConfig, progress: Progress) -> Iterator[tuple[str, str]]:
    """Hash of an image's pixels, and its id; an image that cannot be read is a failure of the run's."""
    dataset = open_images(config)
    absent = set(missing(dataset))
    ids = [image_id for image_id in dataset.ids if image_id not in absent]

    def hashed(image_id: str) -> str | None:
        try:
            image = read_image(dataset.image_path(image_id))
        except DuskbenchError:
            return None
        return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()

    for number, (image_id, pixels) in enumerate(zip(ids, ordered_map(hashed, ids), strict=True)):
        progress.update("Comparing the splits", number + 1, len(ids))
        if pixels is not None:
            yield pixels, image_id
