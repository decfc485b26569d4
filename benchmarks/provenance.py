"""What a run was made with: versions, commit, machine, command."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = (
    "duskbench", "torch", "torchvision", "onedl-mmdetection", "onedl-mmengine", "onedl-mmcv", "numpy", "opencv-python",
    "pillow", "pycocotools", "onnxruntime",
)  # fmt: skip


def environment(device: str) -> dict[str, Any]:
    """Versions, git commit, platform, device and command line, as plain values."""
    import torch

    gpu = torch.cuda.get_device_name(device) if device.startswith("cuda") and torch.cuda.is_available() else None
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "argv": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device,
        "gpu": gpu,
        "packages": package_versions(),
        "git": git_commit(),
    }


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
