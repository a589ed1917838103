"""Facts of the device: kind, cores, memory, and how fast it multiplies matrices."""

from __future__ import annotations

import math
import os
import time

import torch

from probes.device import resolve_device
from probes.measures.base import Context
from probes.sandbox import sandbox

_SIDE = 256
_SECONDS = 0.01
_AT_ONCE = 16
"""Products between two looks at the clock: on an accelerator each look waits for the queue."""
UNITS: dict[str, str] = {
    "device.cuda": "0 or 1",
    "device.cores": "CPU cores this process may use",
    "device.threads": "threads torch uses for one operation",
    "device.log_memory": "log10 of bytes (the machine's, or the GPU's)",
    "device.capability": "CUDA compute capability, such as 9.0",
    "device.log_throughput": "log10 of floating-point operations a second",
    "device.autocast": "0 or 1: the task's forward runs in lower precision",
}


class DeviceFacts:
    """What is trained on; no forward and no pass.

    Throughput is that of float32 products of 256 x 256 matrices for about ten milliseconds, with
    the threads and precision flags as they are set.
    """

    name = "device"
    paper = "none: plain facts"
    units = UNITS

    def passes(self, tier: int) -> float:
        """Nothing at any tier."""
        return 0.0

    def skip(self, context: Context) -> str | None:
        """It applies to every device."""
        return None

    def measure(self, context: Context) -> dict[str, float]:
        """See Measure. What the system does not tell is left out.

        Raises:
            UserError: The device is not there.
        """
        device = torch.device(resolve_device(context.device))
        found = {
            "cuda": float(device.type == "cuda"),
            "cores": float(_cores()),
            "threads": float(torch.get_num_threads()),
            "autocast": float(context.task.autocast is not None),
        }
        with sandbox():
            found["log_throughput"] = math.log10(_throughput(device))
        memory = _memory(device)
        if memory:
            found["log_memory"] = math.log10(memory)
        if device.type == "cuda":
            major, minor = torch.cuda.get_device_capability(device)
            found["capability"] = major + minor / 10
        return {f"device.{key}": value for key, value in found.items()}


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory(device: torch.device) -> int:
    """Bytes, 0 where the system does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # no such call or name on this system
        return 0


@torch.no_grad()
def _throughput(device: torch.device) -> float:
    """Floating-point operations a second; reading a number waits for the device."""
    matrix = torch.ones(_SIDE, _SIDE, dtype=torch.float32, device=device)
    float((matrix @ matrix)[0, 0])  # the first product loads libraries
    products, begin, seconds = 0, time.perf_counter(), 0.0
    while seconds < _SECONDS:
        for _ in range(_AT_ONCE):
            product = matrix @ matrix
        float(product[0, 0])
        products += _AT_ONCE
        seconds = time.perf_counter() - begin
    return 2 * _SIDE**3 * products / seconds
