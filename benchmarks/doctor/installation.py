"""The installation: required packages, extras, and whether the packages with parts in C load.

Nothing of this project is imported here that needs one of them, so that a broken package is said and not raised.
"""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from duskbench.benchmarks.doctor.fact import Fact, State

# What each extra of pyproject.toml is for.
EXTRAS = {
    "cluster": "--cluster: a run on several machines",
    "drive": "downloads from Google Drive (data fetch, some published weights)",
    "export": "duskbench export",
    "hub": "hf:// addresses of weights and data, duskbench push",
    "keras": "weights of Keras (.h5)",
    "onnx": "ONNX models as enhancers and detectors",
    "video": "duskbench enhance on videos",
}
# Those with parts in C, which fail to load where a system library is missing, and mmdet's family, which checks the
# versions of one another.
_IMPORTED = (
    "numpy",
    "PIL.Image",
    "cv2",
    "torch",
    "torchvision",
    "pandas",
    "pycocotools.mask",
    "mmengine",
    "mmcv",
    "mmdet",
)
# Where Ray keeps the address that `--cluster auto` connects to (ray._private.services.canonicalize_bootstrap_address).
_RAY_ADDRESS_FILE = Path("/tmp/ray/ray_current_cluster")  # noqa: S108 - Ray's own place


_ANEW = "reinstall duskbench: pip install . in its checkout, or uv sync --frozen"


def installation() -> Iterator[Fact]:
    """Versions of packages, what of them cannot be used, extras, and Ray (which is not imported)."""
    yield Fact("Packages", "Python", "ok", f"{platform.python_version()} on {platform.platform()}")
    try:
        requirements = [Requirement(line) for line in metadata.requires("duskbench") or ()]
    except metadata.PackageNotFoundError:
        yield Fact("Packages", "duskbench", "broken", "not installed", _ANEW)
        return
    yield Fact("Packages", "duskbench", "ok", metadata.version("duskbench"))
    for requirement in _of(requirements, ""):
        fault = _fault(requirement)
        yield Fact(
            "Packages", requirement.name, "broken" if fault else "ok", fault or _version(requirement), fault and _ANEW
        )
    yield from _imports()
    for extra, purpose in EXTRAS.items():
        yield _extra(extra, purpose, _of(requirements, extra))
    yield _cluster()


def _of(requirements: list[Requirement], extra: str) -> list[Requirement]:
    """Those of an extra; with "" those that are always required."""
    wanted = {"extra": extra}
    return [
        each
        for each in requirements
        if (each.marker is None and not extra) or (each.marker and each.marker.evaluate(wanted))
    ]


def _version(requirement: Requirement) -> str:
    return metadata.version(requirement.name)


def _fault(requirement: Requirement) -> str | None:
    """Why a requirement is not met; None where it is."""
    try:
        version = _version(requirement)
    except metadata.PackageNotFoundError:
        return f"{requirement.name} is not installed"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{requirement.name} is {version}, {requirement.specifier} is needed"
    return None


def _imports() -> Iterator[Fact]:
    for module in _IMPORTED:
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001 - a damaged package may raise anything
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            yield Fact("Packages", f"import {module}", "broken", said, _remedy(said))


def _remedy(said: str) -> str:
    if "cannot open shared object file" in said:
        return (
            "install the system's package with that library; on Debian and Ubuntu OpenCV needs libgl1 and libglib2.0-0"
        )
    return "reinstall it, in the locked version: uv sync --frozen --reinstall"


def _extra(extra: str, purpose: str, parts: list[Requirement]) -> Fact:
    faults = [fault for each in parts if (fault := _fault(each)) is not None]
    if not faults:
        return Fact("Extras", extra, "ok", f"{purpose}: {', '.join(f'{each.name} {_version(each)}' for each in parts)}")
    # One that is too old would be used, and fail.
    state: State = "missing" if all(fault.endswith("not installed") for fault in faults) else "broken"
    return Fact("Extras", extra, state, f"{purpose}: {'; '.join(faults)}", f'pip install "duskbench[{extra}]"')


def _cluster() -> Fact:
    """What `--cluster auto` would connect to."""
    try:
        version = metadata.version("ray")
    except metadata.PackageNotFoundError:
        return Fact(
            "Cluster", "Ray", "missing", "not installed; only --cluster needs it", 'pip install "duskbench[cluster]"'
        )
    address = os.environ.get("RAY_ADDRESS")
    if not address and _RAY_ADDRESS_FILE.is_file():
        address = _RAY_ADDRESS_FILE.read_text().strip()
    if address:
        found = f"{version}; --cluster auto connects to {address} (`ray status` says whether it runs)"
        return Fact("Cluster", "Ray", "ok", found)
    return Fact("Cluster", "Ray", "ok", f"{version}; this machine belongs to no cluster, --cluster local starts one")
