"""The device a training runs on."""

from __future__ import annotations

import torch

from probes.errors import UserError


def resolve_device(device: str) -> str:
    """Settle "auto" (CUDA where there is one) and check anything else.

    Raises:
        UserError: The device is unknown or not there.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except (RuntimeError, TypeError):
        raise UserError(
            "a device such as auto, cpu, cuda or cuda:0", repr(device), "change device"
        ) from None
    there = {"cpu": True, "cuda": torch.cuda.is_available(),
             "mps": torch.backends.mps.is_available()}  # fmt: skip
    if not there.get(kind, False):
        raise UserError("a device this machine has", repr(device), "use auto or cpu")
    if kind == "cuda" and (torch.device(device).index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"one of {torch.cuda.device_count()} CUDA devices", repr(device), "use cuda:0"
        )
    return device
