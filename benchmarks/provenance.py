"""What a run was made with: versions, commit, machine, command, and hashes of what went in."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from duskbench.benchmarks.record import Environment
from duskbench.benchmarks.rows import StoredImage
from duskbench.data_tools.records import ImageRecord

_PACKAGES = (
    "duskbench", "torch", "torchvision", "onedl-mmdetection", "onedl-mmengine", "onedl-mmcv", "numpy", "opencv-python",
    "opencv-python-headless", "pillow", "pycocotools", "onnxruntime", "safetensors",
)  # fmt: skip


def environment(device: str) -> Environment:
    """Versions, git commit, platform, device and command line."""
    gpu = cuda = None
    if device.startswith("cuda"):
        import torch

        gpu, cuda = torch.cuda.get_device_name(device), torch.version.cuda
    return Environment(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        argv=tuple(sys.argv),
        python=platform.python_version(),
        platform=platform.platform(),
        device=device,
        gpu=gpu,
        cuda=cuda,
        processor=processor_name(),
        cores=os.cpu_count(),
        packages=package_versions(),
        git=git_commit(),
        host=platform.node(),
    )


def images_sha256(images: Iterable[StoredImage]) -> str:
    """Hash of a set of images: of the lines `id sha256`, sorted; `missing` stands for a file that is not there."""
    lines = sorted(f"{image.record.id} {image.sha256 or 'missing'}" for image in images)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def annotations_sha256(images: Iterable[StoredImage]) -> str:
    """Hash of what a data set says of its images: objects, split, lighting, indoor and group, by sorted id."""
    lines = sorted(json.dumps(_labels(image.record), sort_keys=True) for image in images)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _labels(record: ImageRecord) -> list[Any]:
    objects = None if record.objects is None else [asdict(o) for o in record.objects]
    return [record.id, objects, record.split, record.lighting, record.indoor, record.group]


def processor_name() -> str:
    """Model of the processor; its architecture where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def package_versions() -> dict[str, str]:
    """Installed versions of the packages that results depend on."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def git_commit() -> str | None:
    """Commit of the checkout this code runs from, with `-dirty` when files differ; None outside one."""
    root = Path(__file__).resolve().parent.parent
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def available_cores() -> int:
    """Cores that this process may use, which a container or a scheduler may have made fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
