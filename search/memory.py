"""Who keeps the memory that a tensor leaves? The process, where malloc can be told so: a training
step frees and takes the same few megabytes again and again, and what goes back to the kernel comes
back as page faults, which cost small networks up to half of their time.
"""

from __future__ import annotations

import ctypes

# glibc, malloc.h; more than 32 MiB is refused as a threshold of mmap.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_FROM_HEAP = 32 << 20
_MOST_KEPT = 512 << 20


def keep_freed_memory() -> bool:
    """Have malloc keep up to 512 MiB of what is freed, and serve tensors of up to 32 MiB from it;
    whether the C library does so. Others than glibc are left as they are."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    kept = mallopt(_MMAP_THRESHOLD, _LARGEST_FROM_HEAP) and mallopt(_TRIM_THRESHOLD, _MOST_KEPT)
    return bool(kept)
