"""Keep freed memory in the process: fetching it again costs networks on a CPU up to a quarter of their time."""

from __future__ import annotations

import ctypes
import sys

# Parameters of mallopt, from glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> bool:
    """Have the C library reuse freed blocks of any size instead of giving them back to the system.

    Feature maps are freed and allocated again at every step and every image; each time the system hands out fresh
    pages, it has to clear them and to map them one by one, 4 KiB at a time. The process stays as large as it was at its
    largest.

    Returns:
        Whether the C library took the setting: True with glibc, False elsewhere, where nothing is changed.

    Source: mallopt(3) of the Linux manual.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_INT) and mallopt(M_TRIM_THRESHOLD, LARGEST_INT))


def give_back_freed_memory() -> bool:
    """Have the C library give what is free back to the system: the process then is as large as what it uses.

    Returns:
        Whether anything was given back; False where the C library is not glibc.

    Source: malloc_trim(3) of the Linux manual.
    """
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0)) if sys.platform.startswith("linux") else False
    except (AttributeError, OSError):
        return False
