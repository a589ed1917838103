"""Muon for the matrices of a model, AdamW for everything else, as one optimizer."""

from collections.abc import Callable
from typing import Any

import torch


class MuonAdamW(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) on hidden matrices with AdamW as its companion.

    Muon's update is scaled to AdamW's root mean square (Liu et al. 2025, section 2.2), so both
    halves share one learning rate and one weight decay.

    Args:
        params: Parameter groups; a group with ``"matrix": True`` holds only 2-D parameters and goes
            to Muon, any other to AdamW.
        lr: Learning rate of both.
        momentum: Muon's momentum, in [0, 1).
        betas: AdamW's decay rates.
        eps: AdamW's epsilon.
        weight_decay: Decoupled decay; a group may set its own.
    """

    def __init__(
        self,
        params: list[dict[str, Any]],
        lr: float = 2e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "matrix": False})
        matrices = [group for group in self.param_groups if group["matrix"]]
        others = [group for group in self.param_groups if not group["matrix"]]
        self.parts: list[torch.optim.Optimizer] = []
        if matrices:
            self.parts.append(
                torch.optim.Muon(
                    matrices, lr=lr, momentum=momentum, weight_decay=weight_decay,
                    adjust_lr_fn="match_rms_adamw",
                )
            )  # fmt: skip
        if others:
            self.parts.append(
                torch.optim.AdamW(others, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
            )
        # The parts' groups are the groups a schedule sees: one learning rate, set once.
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of both halves; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of the parts."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]
