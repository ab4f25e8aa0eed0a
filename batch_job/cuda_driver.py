"""What NVIDIA's driver says of the GPU, asked without torch, whose import takes seconds."""

import ctypes
from functools import cache

_LIBRARY = "libcuda.so.1"  # the container runtime of NVIDIA mounts it beside the device
# CUdevice_attribute of cuda.h: the two parts of what torch calls the device's capability.
_MAJOR, _MINOR = 75, 76


@cache
def compute_capability(library: str = _LIBRARY) -> str | None:
    """The family of the first GPU, such as "8.9"; None where there is no driver or it finds no GPU."""
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return None
    device, parts = ctypes.c_int(), (ctypes.c_int(), ctypes.c_int())
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), 0):
        return None
    for part, attribute in zip(parts, (_MAJOR, _MINOR), strict=True):
        if driver.cuDeviceGetAttribute(ctypes.byref(part), attribute, device):
            return None
    return f"{parts[0].value}.{parts[1].value}"
