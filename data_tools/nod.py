"""NOD as released: persons, bicycles and cars in the streets at night, photographed with two cameras.

7,200 images, 46,700 objects. NOD has the cameras' JPEGs (`NOD_Nikon750_test.json`, ...), RAW-NOD the raw files
(`raw_new_...`) and JPEGs developed from them with rawpy (`rawpy_new_...`). Raw files are not read here. All three
classes are VOC's and COCO's, so detectors trained on either can report on them.

Licence: CC BY-NC-SA 2.0. Sources: Morawski et al., "NOD: Taking a Closer Look at Detection under Extreme Low-Light
Conditions with Night Object Detection Dataset" (BMVC 2021), https://github.com/igor-morawski/NOD; "GenISP: Neural ISP
for Low-Light Machine Cognition" (CVPRW 2022), https://github.com/igor-morawski/RAW-NOD.
"""

from __future__ import annotations

import re
from pathlib import Path

from duskbench.data_tools.classes import SPLITS
from duskbench.data_tools.coco import CocoDataset
from duskbench.data_tools.coco_files import CocoFile
from duskbench.data_tools.errors import ConfigError, DataError, UnknownNameError

CAMERAS: dict[str, str] = {"Nikon750": "Nikon", "Sony_RX100m7": "Sony"}
VARIANTS: tuple[str, ...] = ("NOD", "rawpy", "raw")
# Not NOD_Sony_Nikon_test.json, which is the other two together, nor ..._test_extreme_nonextreme.json.
_FILE = re.compile(
    rf"(?P<variant>{'|'.join(VARIANTS)})_(str_labeled_)?(new_)?(?P<camera>{'|'.join(CAMERAS)})"
    rf"_(?P<split>{'|'.join(SPLITS)})\.json"
)


class NOD(CocoDataset):
    """NOD's images; a record's group is the camera, `Nikon` or `Sony`.

    Args:
        root: Folder with the repository's `annotations`, and the images at any depth.
        split: `train`, `val`, `test` or `all`.
        camera: `Nikon`, `Sony` or `both`.
        variant: `NOD` or `rawpy`, where the annotations of both are there.
        images: Folder of the images, relative to `root`, where several have a file of the same name.
        tolerant: See `Dataset`.

    Raises:
        DataError: There is no annotation file, or none of this split.
        UnknownNameError: There is no such split, camera or variant.
        ConfigError: The variant is of raw files, or several are there and none is named.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "test",
        *,
        camera: str = "both",
        variant: str | None = None,
        images: str | None = None,
        tolerant: bool = False,
    ) -> None:
        for what, value, known in (
            ("split of NOD", split, (*SPLITS, "all")),
            ("camera", camera, (*CAMERAS.values(), "both")),
            ("variant of NOD", variant or "NOD", VARIANTS),
        ):
            if value not in known:
                raise UnknownNameError(what, value, known, where=root)
        files = _annotation_files(Path(root))
        chosen = variant or _only_variant(Path(root), {one for one, _ in files})
        if chosen == "raw":
            raise ConfigError(
                "Raw files are not read.",
                where=root,
                expected="NOD or rawpy",
                got="annotations of .NEF and .ARW files",
                todo="take the JPEGs of NOD, or those that RAW-NOD developed with rawpy",
            )
        of_variant = [file for one, file in files if one == chosen]
        taken = [file for file in of_variant if split in (file.split, "all") and camera in (file.group, "both")]
        if not taken:
            raise DataError("No annotation file of NOD for this.", where=root, got=f"{chosen}, {camera}, {split}")
        others = [file for file in of_variant if file not in taken]
        super().__init__(Path(root), taken, others=others, name="NOD", images=images, tolerant=tolerant)

    @classmethod
    def detects(cls, root: Path) -> bool:
        """By the names of the annotation files."""
        return bool(_annotation_files(root))


def _annotation_files(root: Path) -> list[tuple[str, CocoFile]]:
    """The variant of each annotation file, and the file."""
    paths = [
        path for pattern in ("*.json", "annotations/*.json", "annotations/*/*.json") for path in root.glob(pattern)
    ]
    matches = [(path, _FILE.fullmatch(path.name)) for path in sorted(paths)]
    return [(at["variant"], CocoFile(path, at["split"], CAMERAS[at["camera"]])) for path, at in matches if at]


def _only_variant(root: Path, variants: set[str]) -> str:
    usable = [one for one in VARIANTS if one in variants and one != "raw"]
    if len(usable) > 1:
        got = " and ".join(usable)
        raise ConfigError("Several variants of NOD.", where=root, expected="one", got=got, todo="name it: variant=NOD")
    if not variants:
        raise DataError(
            "No annotation file of NOD.", where=root, expected="annotations/Nikon750/NOD_Nikon750_test.json"
        )
    return usable[0] if usable else "raw"
