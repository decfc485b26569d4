"""Where weights come from: by name, path or search path."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from duskbench.data_tools.download import download
from duskbench.data_tools.errors import DataError, UnknownNameError, WeightsError
from duskbench.data_tools.files import file_sha256, user_cache
from duskbench.data_tools.hub import hub_file, is_hub_address
from duskbench.data_tools.progress import SILENT, Progress
from duskbench.pipeline.weight_catalogue import CATALOGUE, WeightFile

logger = logging.getLogger(__name__)

SEARCH_VARIABLE = "DUSKBENCH_WEIGHTS"
# The largest file of the catalogue has 528 MB.
_MOST_BYTES = 4 << 30
PRETRAINED = Path(__file__).resolve().parent / "pretrained"


def cache_folder() -> Path:
    """Where downloaded weights are kept: `weights` of `user_cache`."""
    return user_cache() / "weights"


def search_folders() -> list[Path]:
    """The folders of `$DUSKBENCH_WEIGHTS`, in order."""
    return [Path(folder).expanduser() for folder in os.environ.get(SEARCH_VARIABLE, "").split(os.pathsep) if folder]


def find_weights(name: str | WeightFile, path: str | Path | None = None, *, progress: Progress = SILENT) -> Path:
    """Find a weight file: the path given, the search path, the cache, and last a download into the cache.

    Args:
        name: A name of `CATALOGUE`, or of any file below a folder of `$DUSKBENCH_WEIGHTS`; or a published file itself.
        path: A file to use instead, or its address on the Hugging Face Hub (`hf://owner/repository/file`), whatever its
            hash: the fingerprint of a result has the hash of the file in use.
        progress: Where a download is reported.

    Returns:
        An existing file. One that was found in `$DUSKBENCH_WEIGHTS` and differs from the published one is used, with
        a warning in the log; one from the cache or a download has the published hash.

    Raises:
        WeightsError: The file cannot be had; says where it was looked for, its licence and what to do.
        UnknownNameError: The name is neither in the catalogue nor in `$DUSKBENCH_WEIGHTS`.
        DataError, ConfigError: The address on the Hub is wrong, or it does not give the file; see `hub_file`.
    """
    published = name if isinstance(name, WeightFile) else CATALOGUE.get(name)
    name = name.name if isinstance(name, WeightFile) else name
    if is_hub_address(path):
        return hub_file(str(path), progress=progress, max_bytes=_MOST_BYTES)
    if path is not None:
        chosen = Path(path).expanduser()
        if not chosen.is_file():
            raise WeightsError("The weight file is not there.", where=chosen, expected=f"weights for {name}")
        return chosen
    for folder in search_folders():
        candidate = folder / name
        if candidate.is_file():
            _warn_if_changed(candidate, published)
            return candidate
    if published is None:
        raise UnknownNameError("weights", name, CATALOGUE, where=_where_looked(name))
    try:
        return download(
            published.urls, cache_folder() / name, sha256=published.sha256, progress=progress, max_bytes=_MOST_BYTES
        )
    except (DataError, OSError) as error:
        raise _not_had(published, error) from error


def _warn_if_changed(path: Path, published: WeightFile | None) -> None:
    if published is None or published.sha256 is None:
        return
    got = file_sha256(path)
    if not got.startswith(published.sha256):
        logger.warning(
            "%s is not the published file (sha256 %s, published %s); it is used all the same, because %s has it",
            path,
            got,
            published.sha256,
            SEARCH_VARIABLE,
        )


def _where_looked(name: str) -> str:
    folders = [str(folder / name) for folder in search_folders()] or [f"${SEARCH_VARIABLE} (not set)"]
    return ", ".join([*folders, str(cache_folder() / name)])


def _not_had(published: WeightFile, error: DataError | OSError) -> WeightsError:
    reason = f"{error.what} {error.got or ''}".strip() if isinstance(error, DataError) else str(error)
    note = f" {published.note}" if published.note else ""
    return WeightsError(
        f"The weights {published.name} cannot be had.",
        where=_where_looked(published.name),
        expected=f"the file of {published.origin} (licence: {published.licence}).{note}",
        got=reason,
        todo=f"get it from {' or '.join(published.urls) or published.origin} and put it at DIR/{published.name}, then "
        f"pass `--weights DIR` (which sets {SEARCH_VARIABLE}); or pass the path of the file",
    )


def bundled(name: str) -> Path:
    """Path of weights that are shipped with the package: `pipeline/pretrained/<name>.safetensors`.

    Raises:
        WeightsError: There are none of that name; lists those there are.
    """
    there = sorted(path.stem for path in PRETRAINED.glob("*.safetensors"))
    if name not in there:
        raise WeightsError(
            f"No weights named {name!r} are shipped with duskbench.",
            where=PRETRAINED,
            expected=f"one of {', '.join(there)}" if there else "any; this installation has none",
            got=repr(name),
            todo=_how_to_train(name),
        )
    return PRETRAINED / f"{name}.safetensors"


def _how_to_train(name: str) -> str | None:
    config = f"configs/training/{name}.py"
    if not (PRETRAINED.parent.parent / config).is_file():
        return None
    return (
        f"train them: duskbench train {config} --export DIR/{name}.safetensors (its first lines say on what), "
        f"then pass `--weights DIR` or the file's path"
    )


def find_trained(name: str, path: str | Path | None = None) -> Path:
    """Find the weights of an enhancer that this project trains: the path given, `$DUSKBENCH_WEIGHTS`, those shipped.

    Args:
        name: The enhancer's; its file is `<name>.safetensors`.
        path: A file to use instead.

    Raises:
        WeightsError: There are none.
    """
    file = f"{name}.safetensors"
    if path is not None or any((folder / file).is_file() for folder in search_folders()):
        return find_weights(file, path)
    return bundled(name)
