"""What a run finds here: devices, weights, data, and what it uses when nothing is said."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from duskbench.benchmarks.config import load_benchmark_config
from duskbench.benchmarks.doctor.fact import Fact
from duskbench.benchmarks.executors.choice import default_workers
from duskbench.benchmarks.provenance import available_cores, processor_name
from duskbench.data_tools.download import OFFLINE_VARIABLE
from duskbench.data_tools.errors import DuskbenchError
from duskbench.data_tools.host.plugin import seconds_an_image
from duskbench.data_tools.image_opening import max_pixels
from duskbench.pipeline.checkpoint import metadata
from duskbench.pipeline.device import chosen_device, gpu_files
from duskbench.pipeline.registry import config_root, weight_files
from duskbench.pipeline.weights import PRETRAINED, SEARCH_VARIABLE, cache_folder, search_folders


def surroundings() -> Iterator[Fact]:
    """Devices, weights, data, settings; fetches nothing and writes nothing."""
    yield from _devices()
    yield from _weights()
    yield from _data()
    yield from _run()


def _devices() -> Iterator[Fact]:
    yield Fact("Devices", "cpu", "ok", f"{processor_name()}, {available_cores()} cores may be used")
    import torch

    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(number)
            found = f"{about.name}, {about.total_memory / 2**30:.0f} GiB; torch for CUDA {torch.version.cuda}"
            yield Fact("Devices", f"cuda:{number}", "ok", found)
        return
    build = f"torch for CUDA {torch.version.cuda}" if torch.version.cuda else "torch without CUDA"
    if files := gpu_files():
        found = f"{files[0]} is there, but {build} cannot use it"
        yield Fact("Devices", "cuda", "missing", found, "install a torch build that fits the GPU's driver")
    else:
        yield Fact("Devices", "cuda", "missing", f"no GPU; {build}")


def _weights() -> Iterator[Fact]:
    for path in sorted(PRETRAINED.glob("*.safetensors")):
        try:
            metadata(path)
        except DuskbenchError as error:
            todo = "reinstall duskbench: pip install . or uv sync"
            yield Fact("Weights", path.stem, "broken", f"{path}: {error.got}", todo)
        else:
            yield Fact("Weights", path.stem, "ok", f"shipped, {path.stat().st_size / 1e6:.1f} MB")
    folders = [*search_folders(), cache_folder()]
    for folder in search_folders():
        if not folder.is_dir():
            todo = f"create it, or take it out of ${SEARCH_VARIABLE}"
            yield Fact("Weights", f"${SEARCH_VARIABLE}", "broken", f"{folder} is no folder", todo)
    found = {name: next((f for f in folders if (f / name).is_file()), None) for name in weight_files()}
    for folder in folders:
        names = [name for name, where in found.items() if where == folder]
        if names:
            yield Fact("Weights", str(folder), "ok", f"{len(names)} published files: {', '.join(names)}")
    absent = sum(where is None for where in found.values())
    if absent:
        how = f"fetched when first used; or pass --weights DIR, or set ${SEARCH_VARIABLE}"
        yield Fact("Weights", "published", "missing", f"{absent} of {len(found)} files are not here", how)


def _data() -> Iterator[Fact]:
    """The data set of each configuration that ships, where it stands relative to this folder."""
    users: dict[str, list[str]] = {}
    for file in sorted(config_root().glob("[!_]*.py")):
        try:
            users.setdefault(str(load_benchmark_config(file).data.get("root")), []).append(file.stem)
        except DuskbenchError as error:
            yield Fact("Data", file.stem, "broken", f"{error.what} {error.got or ''}".strip(), "reinstall duskbench")
    for root, names in users.items():
        used = f"for {', '.join(names)}"
        folder = Path(root)
        if folder.is_dir() and any(folder.iterdir()):
            yield Fact("Data", root, "ok", f"{used}; `duskbench data verify {root}` checks it")
        else:
            how = "pass --data DIR, or make it with `duskbench data` (docs/data-sets.md)"
            yield Fact("Data", root, "missing", f"{used}; not in {Path.cwd()}", how)


def _run() -> Iterator[Fact]:
    """What `duskbench run` uses when nothing is said."""

    def setting(name: str, get: Callable[[], str]) -> Fact:
        try:
            return Fact("A run would use", name, "ok", get())
        except DuskbenchError as error:
            return Fact("A run would use", name, "broken", str(error))

    yield setting("device", lambda: chosen_device("auto"))
    yield setting("workers", lambda: str(default_workers(chosen_device("auto"))))
    yield setting("time limit", lambda: f"{seconds_an_image():g} s for an image of a plug-in")
    yield setting("largest image", lambda: f"{max_pixels():,} pixels")
    offline = os.environ.get(OFFLINE_VARIABLE)
    yield setting("downloads", lambda: f"none: ${OFFLINE_VARIABLE} is set" if offline else "allowed")
    where = Path("runs") if Path("runs").exists() else Path()
    if os.access(where, os.W_OK):
        yield Fact("A run would use", "results", "ok", f"{Path.cwd() / 'runs'}")
    else:
        todo = "start it elsewhere, or pass --out DIR"
        yield Fact("A run would use", "results", "broken", f"{Path.cwd() / where} cannot be written", todo)
