"""The miniature's manifest: what it was made from, what it holds, and whether it is whole."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from duskbench.data_tools.errors import DataError
from duskbench.data_tools.files import write_text

MANIFEST_NAME = "manifest.json"
# Raised whenever the same seed would give other bytes.
RENDERING_VERSION = 1


@dataclass(frozen=True)
class Arguments:
    """Everything the bytes depend on; the number of workers is not among it."""

    seed: int
    voc_images: int
    night_images: tuple[int, int, int]
    size: tuple[int, int]
    rendering: int = RENDERING_VERSION


@dataclass(frozen=True)
class Manifest:
    """A complete miniature.

    Attributes:
        root: Folder it lies in.
        arguments: What it was made from.
        versions: Libraries that wrote it, for the record.
        counts: Images and boxes by part, split, class, lighting type, and indoor or outdoor.
        files: Path below the root -> size in bytes and sha256.
    """

    root: Path
    arguments: Arguments
    versions: dict[str, str]
    counts: dict[str, Any]
    files: dict[str, tuple[int, str]]

    @property
    def voc_devkit(self) -> Path:
        """The lit part, in the layout of the VOC devkit."""
        return self.root / "VOCdevkit"

    @property
    def lit_twins(self) -> Path:
        """The night part's images in full light, under the same names."""
        return self.root / "lit"


def digest(data: bytes) -> tuple[int, str]:
    """Size and sha256 of a file's bytes."""
    return len(data), hashlib.sha256(data).hexdigest()


def save_manifest(manifest: Manifest) -> None:
    """Write the manifest, atomically; it comes last, so that where it lies the set is complete."""
    content = {
        "arguments": asdict(manifest.arguments),
        "versions": manifest.versions,
        "counts": manifest.counts,
        "files": {name: {"bytes": size, "sha256": sha} for name, (size, sha) in sorted(manifest.files.items())},
    }
    write_text(manifest.root / MANIFEST_NAME, json.dumps(content, indent=1, sort_keys=True) + "\n")


def load_manifest(root: str | Path) -> Manifest | None:
    """Read the manifest of a miniature.

    Args:
        root: The miniature's folder.

    Returns:
        The manifest, or None where there is none.

    Raises:
        DataError: The file is no such manifest.
    """
    path = Path(root) / MANIFEST_NAME
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        arguments = content["arguments"]
        night, size = (tuple(int(value) for value in arguments[key]) for key in ("night_images", "size"))
        return Manifest(
            Path(root),
            Arguments(arguments["seed"], arguments["voc_images"], night, size, arguments["rendering"]),  # type: ignore[arg-type]
            content["versions"],
            content["counts"],
            {name: (int(entry["bytes"]), str(entry["sha256"])) for name, entry in content["files"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            "The file is not a miniature's manifest.",
            where=path,
            got=repr(error),
            todo="remove it and make the set again",
        ) from error


def damaged_files(manifest: Manifest) -> list[str]:
    """List the files whose size is not the recorded one, missing ones among them."""

    def intact(name: str, size: int) -> bool:
        path = manifest.root / name
        return path.is_file() and path.stat().st_size == size

    return [name for name, (size, _) in manifest.files.items() if not intact(name, size)]
