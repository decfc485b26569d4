"""Readers of data sets that run in a process of their own: as others see them, and how they are asked there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from duskbench.data_tools.findings import Finding
from duskbench.data_tools.fingerprint import fingerprint, plugin_fingerprint
from duskbench.data_tools.host.host import Host
from duskbench.data_tools.host.plugin import Plugin, seconds_an_image
from duskbench.data_tools.host.serve import Answer
from duskbench.data_tools.readers import build_reader, check_same_file, checked_finding, checked_path, checked_record
from duskbench.data_tools.records import Dataset, ImageRecord, ObjectAnnotation
from duskbench.data_tools.registry import load_named


def recognises(layout: str, root: Path) -> bool:
    """Whether a reader that an installed package brings recognises a folder.

    Raises:
        DataError: It fails, or ends its process, or takes too long.
    """
    host = Host(_plugin("Recognition", layout, {}, {"root": str(root)}))
    host.close()
    return bool(host.about["detects"])


class HostedDataset(Dataset):
    """A data set whose reader runs in a process of its own; see `Dataset` and `Host`.

    Args:
        layout: `file.py:Class`, `package.module:Class`, or a name that an installed package brings.
        root: The data set's folder.
        split: Which split; None for all of it.
        options: Further arguments of the reader.
        offered: Arguments that it gets where it takes them.

    Raises:
        DuskbenchError: As `build_reader`; DataError also where the reader ends its process or takes too long.
    """

    def __init__(self, layout: str, root: Path, split: str | None, options: Mapping[str, Any], **offered: Any) -> None:
        self._host = Host(_plugin("Reader", layout, options, {"root": str(root), "split": split, "also": offered}))
        about = self._host.about
        super().__init__(about["root"], about["ids"], name=about["name"])
        self.left_out = tuple(about["left_out"])
        self.coco_files = tuple(map(Path, about["coco_files"]))
        self.faults = [Finding(**each) for each in about["faults"]]
        self.counts = about["counts"]
        self.known_without_box = frozenset(about["known_without_box"])  # type: ignore[misc]

    def image_path(self, image_id: str) -> Path:
        """Where an image lies."""
        return Path(self._ask("image_path", image_id)["path"])

    def annotation_path(self, image_id: str) -> Path:
        """The file that holds an image's annotation."""
        return Path(self._ask("annotation_path", image_id)["path"])

    def annotation(self, image_id: str) -> ImageRecord:
        """What the reader says of an image; see `Dataset.annotation`."""
        fields = self._ask("annotation", image_id)["record"]
        objects = fields.pop("objects")
        if objects is not None:
            objects = tuple(ObjectAnnotation(**{**each, "box_xyxy": tuple(each["box_xyxy"])}) for each in objects)
        size = fields.pop("size")
        return ImageRecord(
            **{**fields, "path": Path(fields["path"])}, objects=objects, size=None if size is None else tuple(size)
        )

    def check(self) -> Iterator[Finding]:
        """What the reader finds wrong."""
        for each in self._host.ask({"do": "check"}, images=len(self.ids))["findings"]:
            yield Finding(**each)

    def _ask(self, what: str, image_id: str) -> dict[str, Any]:
        return self._host.ask({"do": what, "id": image_id}, where=f"{self.root}, {image_id}")


class ServedReader:
    """A reader in its own process and how requests to it are answered; arguments as in `Served`."""

    def __init__(
        self, target: str, arguments: Mapping[str, Any], root: str, split: str | None, also: Mapping[str, Any]
    ) -> None:
        self._named = load_named("data set", target)
        self.dataset = build_reader(self._named.code, target, Path(root), split, arguments, **also)

    @property
    def code(self) -> object:
        """Where errors point to."""
        return type(self.dataset)

    def describe(self) -> dict[str, Any]:
        """What the other side must know of the data set."""
        dataset = self.dataset
        ids = [str(each) for each in dataset.ids]
        return {
            "root": str(dataset.root),
            "name": str(dataset.name),
            "ids": ids,
            "left_out": [str(each) for each in dataset.left_out],
            "coco_files": [str(each) for each in dataset.coco_files],
            "faults": [asdict(checked_finding(each, str(dataset.root))) for each in dataset.faults],
            "counts": {str(name): int(number) for name, number in dataset.counts.items()},
            "known_without_box": sorted(map(str, dataset.known_without_box)),
            # Started again, it must list the same images.
            "fingerprint": plugin_fingerprint(fingerprint(self.code, {"ids": ids}), self._named, {}),
        }

    def answer(self, request: dict[str, Any], arrays: list[np.ndarray]) -> Answer:
        """Say something of an image, or what is wrong with the data set."""
        if request["do"] == "check":
            found = [asdict(checked_finding(each, str(self.dataset.root))) for each in self.dataset.check()]
            return {"findings": found}, []
        image_id, where = request["id"], request["where"]
        said = getattr(self.dataset, request["do"])(image_id)
        if request["do"] != "annotation":
            return {"path": str(checked_path(said, where))}, []
        record = checked_record(said, image_id, where)
        check_same_file(record.path, self.dataset.image_path(image_id), where)
        return {"record": {**asdict(record), "path": str(record.path)}}, []


class ServedRecognition:
    """A reader's class that is asked whether it recognises a folder; arguments as in `Served`."""

    def __init__(self, target: str, arguments: Mapping[str, Any], root: str) -> None:
        self.code, self.root = load_named("data set", target).code, Path(root)

    def describe(self) -> dict[str, Any]:
        """The answer."""
        return {"detects": bool(self.code.detects(self.root)), "fingerprint": ""}

    def answer(self, request: dict[str, Any], arrays: list[np.ndarray]) -> Answer:
        """Nothing more is asked."""
        raise NotImplementedError


def _plugin(served: str, layout: str, options: Mapping[str, Any], offered: Mapping[str, Any]) -> Plugin:
    return Plugin("data set reader", f"{__name__}:Served{served}", layout, options, offered, seconds_an_image())
