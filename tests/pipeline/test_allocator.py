"""Freed memory stays in the process: shown by page faults, which do not depend on how busy the machine is."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from duskbench.pipeline.allocator import keep_freed_memory

STEPS = """
import ctypes, resource, sys
from duskbench.pipeline.allocator import keep_freed_memory
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.memset.argtypes = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
libc.free.argtypes = (ctypes.c_void_p,)
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def step():
    maps = [libc.malloc(2**26) for _ in range(3)]
    for place in maps:
        libc.memset(place, 1, 2**26)
    for place in maps:
        libc.free(place)
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> int:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", STEPS, mode], cwd=root, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is one of glibc")
def test_memory_is_mapped_once() -> None:
    # Three maps of 64 MiB: 49,152 pages of 4 KiB, or 96 where the system hands out 2 MiB at a time.
    assert page_faults("keep") < 20
    assert page_faults("default") >= 96


def test_elsewhere_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False
