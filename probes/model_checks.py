"""A user's model: copied or made afresh, and checked before anything is trained."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from probes.errors import UserError


def made_by(maker: Callable[[], Any]) -> nn.Module:
    """What a callable makes.

    Raises:
        UserError: It needs arguments, or makes no module.
    """
    try:
        signature = inspect.signature(maker)
    except (TypeError, ValueError):  # written in C: calling it will tell
        signature = None
    if signature is not None:
        try:
            signature.bind()
        except TypeError as error:
            name = getattr(maker, "__name__", type(maker).__name__)
            raise UserError(
                "a callable that makes the model without arguments", f"{name}{signature} ({error})",
                "pass the module itself, or lambda: Model(...)",
            ) from None  # fmt: skip
    made = maker()
    if not isinstance(made, nn.Module):
        raise UserError(
            "a callable that makes a torch.nn.Module", f"one that returned {type(made).__name__}",
            "return the module",
        )  # fmt: skip
    return made


def have_common_tensors(one: nn.Module, other: nn.Module) -> bool:
    """Whether two modules, each made for itself, hold some parameter or buffer in common."""
    held = {id(tensor) for tensor in (*one.parameters(), *one.buffers())}
    return one is not other and any(
        id(tensor) in held for tensor in (*other.parameters(), *other.buffers())
    )


def copied(model: nn.Module) -> nn.Module:
    """A copy that shares no trainable weight with the model.

    Raises:
        UserError: It cannot be copied.
    """
    fix = "pass a callable that makes the model instead"
    if isinstance(model, torch.jit.ScriptModule):
        raise UserError(
            "a plain torch.nn.Module", "a TorchScript module", "pass the model before scripting it"
        )
    try:
        made = copy.deepcopy(model)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise UserError(
            "a model that copy.deepcopy can copy", f"{type(error).__name__}: {error}", fix
        ) from error
    if not isinstance(made, nn.Module):
        raise UserError(
            "a model that copy.deepcopy can copy", f"{type(made).__name__} from its copy", fix
        )
    own = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    if made is model or any(id(parameter) in own for parameter in made.parameters()):
        raise UserError(
            "a model whose copy is independent of it", "one whose copy shares its weights", fix
        )
    return made


def check_placed(model: nn.Module) -> None:
    """Refuse TorchScript, and weights that exist only as shapes."""
    if isinstance(model, torch.jit.ScriptModule):
        raise UserError(
            "a plain torch.nn.Module", "a TorchScript module", "make the model without scripting it"
        )
    for kind, tensors in (("parameter", model.named_parameters()),
                          ("buffer", model.named_buffers())):  # fmt: skip
        for name, tensor in tensors:
            if tensor.device.type == "meta":
                raise UserError(
                    "a model with weights", f"{kind} {name} on the meta device",
                    "materialize it first (to_empty and initialize it)",
                )  # fmt: skip


def check_weights(model: nn.Module) -> None:
    """Refuse trainable weights that are not finite."""
    for name, parameter in model.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            continue
        if parameter.requires_grad and not bool(torch.isfinite(parameter).all()):
            raise UserError(
                "finite weights in the model", f"NaN or infinity in {name}", "initialize it again"
            )


def lost_hooks(model: Any) -> str | None:
    """A note on hooks of parameters, which a copy does not have; None without any."""
    if not isinstance(model, nn.Module):
        return None
    names = [
        name
        for name, parameter in model.named_parameters()
        if parameter._backward_hooks or getattr(parameter, "_post_accumulate_grad_hooks", None)
    ]
    if not names:
        return None
    return (
        f"hooks registered on parameters ({', '.join(names[:4])}) are not copied with the model: "
        "pass a callable that makes the model and registers them"
    )
