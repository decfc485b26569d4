"""The lit originals that a data set's images are compared with, matched by file stem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from duskbench.benchmarks.rows import FileState
from duskbench.data_tools.errors import ConfigError
from duskbench.data_tools.file_states import stamp
from duskbench.data_tools.files import file_sha256
from duskbench.data_tools.image_files import find_images

LIT = "lit"


def reference_folder(data: Mapping[str, Any]) -> Path | None:
    """The folder that `data.reference` names, relative to `data.root`, or None where a data set has none.

    Raises:
        ConfigError: There is no such folder.
    """
    folder = _named_folder(data)
    if folder is not None and not folder.is_dir():
        raise ConfigError(
            "The data set has no folder of references.",
            where="data.reference",
            expected=f"a folder {folder}",
            got="a file" if folder.exists() else "nothing",
            todo="name another, relative to data.root, or none: --cfg-options data.reference=None",
        )
    return folder


def resolve_reference(spec: str | dict[str, Any], data: Mapping[str, Any]) -> str | dict[str, Any]:
    """Turn the enhancer `lit` of a configuration into `dir:` of the data set's references; others stay.

    Raises:
        ConfigError: The data set has no references.
    """
    bare = dict(spec) if isinstance(spec, dict) else {"type": spec, "label": "Lit (bound)", "upper_bound": True}
    if bare.get("type") != LIT:
        return spec
    folder = _named_folder(data)
    if folder is None:
        raise ConfigError(
            "The enhancer `lit` needs a data set with references.",
            where="data.reference",
            got="none",
            todo="name their folder: --cfg-options data.reference=DIR",
        )
    return {**bare, "type": "dir", "path": str(folder)}


def _named_folder(data: Mapping[str, Any]) -> Path | None:
    """There or not: a configuration can be read where its data set is not."""
    return None if data.get("reference") is None else Path(data.get("root") or ".", data["reference"])


def find_references(folder: Path, ids: Iterable[str]) -> dict[str, Path]:
    """Find each image's reference by its path or file name without extension, in the folder or below it.

    Raises:
        DataError: An image has none, or several, or shares it with another.
    """
    return find_images(folder).one_each(
        ids,
        "Images have no reference, or more than one.",
        todo="complete the folder, or restrict the run with --split FILE",
    )


def read_state(path: Path, earlier: FileState | None) -> FileState:
    """Hash a file unless its path, size and stamp are those it had earlier."""
    stat = path.stat()
    now = (path, stat.st_size, stamp(stat))
    if earlier is not None and (earlier.path, earlier.bytes, earlier.stamp) == now:
        return earlier
    return FileState(*now, file_sha256(path))
