"""Which parameters get weight decay, and which are matrices for Muon.

Grouping goes by the type of the module that owns a parameter and by the parameter's name. The
number of dimensions alone misleads: the magnitude of weight norm has shape (C, 1, 1, 1), a layer
norm over a map (C, H, W), and neither is a weight matrix.

`undecayed_parameters`, `decay_groups` and `muon_matrices` need `from torch import nn` alone: their
text is embedded in exported training files.
"""

from typing import Any

from torch import nn

from probes.errors import UserError
from probes.recipe.normalization import normalization_layers


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Optimizer groups with and without weight decay.

    No decay for biases, normalization layers (a model's own classes included), embeddings and
    position or class tokens, the magnitudes of weight norm, the gains of weight standardization,
    and whatever has fewer than two dimensions. The directions of weight norm and the originals of
    weight standardization and spectral norm decay like the weights that they stand for.

    Args:
        model: The model.
        weight_decay: The decay of the others, at least 0.

    Returns:
        `[{"params": [...], "weight_decay": weight_decay}, {"params": [...], "weight_decay": 0.0}]`
        in the order of `model.parameters()`, each parameter once; an empty group is left out, and
        so are frozen parameters.

    Raises:
        UserError: The model has nothing to train, or lazy parameters.
    """
    check_trainable(model)
    return decay_groups(model, weight_decay, _normalizations(model))


def split_matrices(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The parameters for Muon, and those for the optimizer beside it (Jordan et al. 2024).

    Args:
        model: The model.

    Returns:
        The trainable 2-D weights, (outputs, inputs), of modules that are neither embeddings nor
        normalization layers; all other trainable parameters. Each parameter is in one list, once;
        a weight tied to an embedding is an embedding.

    Raises:
        UserError: The model has nothing to train, or lazy parameters.
    """
    check_trainable(model)
    return muon_matrices(model, _normalizations(model))


def undecayed_parameters(
    model: nn.Module, custom_norms: tuple[nn.Module, ...] = ()
) -> set[nn.Parameter]:
    """Biases, norms, embeddings, tokens, weight norm's magnitudes, all of fewer than 2 dimensions.

    `custom_norms` are modules that count as normalization layers beside torch's own types.
    """
    undecayed_types = (
        *(nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm),
        *(nn.Embedding, nn.EmbeddingBag),
    )
    undecayed = set()
    for path, module in model.named_modules():
        owner = model.get_submodule(path.partition("parametrizations")[0].rstrip("."))
        whole = isinstance(owner, undecayed_types) or owner in custom_norms
        own_class = not type(module).__module__.startswith("torch.")
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            token = any(part in name for part in ("embedding", "pos_emb", "token"))
            # Of a class of the model's own: tokens (1, T, C), norm weights such as (C, 1, 1).
            vector = parameter.dim() < 2 or parameter.numel() == max(parameter.shape)
            token |= own_class and (vector or parameter.shape[0] == 1)
            magnitude = name == "weight_g"  # weight norm, old form; the new one:
            if name == "original0" and isinstance(module, nn.ModuleList):
                magnitude = type(module[0]).__name__ == "_WeightNorm"
            if whole or token or magnitude or "bias" in name or parameter.dim() < 2:
                undecayed.add(parameter)  # tied weights: one undecayed use settles it
    return undecayed


def decay_groups(
    model: nn.Module, weight_decay: float, custom_norms: tuple[nn.Module, ...] = ()
) -> list[dict[str, object]]:
    """Trainable parameters with weight decay and without, each once; empty groups left out."""
    undecayed = undecayed_parameters(model, custom_norms)
    trainable = [p for p in model.parameters() if p.requires_grad]
    decayed = [p for p in trainable if p not in undecayed]
    rest = [p for p in trainable if p in undecayed]
    groups: list[dict[str, object]] = []
    if decayed:
        groups.append({"params": decayed, "weight_decay": weight_decay})
    if rest:
        groups.append({"params": rest, "weight_decay": 0.0})
    return groups


def muon_matrices(
    model: nn.Module, custom_norms: tuple[nn.Module, ...] = ()
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Trainable real 2-D weights that are no embedding, norm or magnitude; the other trainable."""
    undecayed = undecayed_parameters(model, custom_norms)
    trainable = [p for p in model.parameters() if p.requires_grad]
    undecayed |= {p for p in trainable if p.is_complex()}  # Muon takes none
    matrices = [p for p in trainable if p.dim() == 2 and p not in undecayed]
    others = [p for p in trainable if p.dim() != 2 or p in undecayed]
    return matrices, others


def _normalizations(model: nn.Module) -> tuple[nn.Module, ...]:
    return tuple(module for _, module, _ in normalization_layers(model))


def check_trainable(model: nn.Module) -> None:
    """Refuse a model with nothing to train, or with parameters that have no shape yet.

    Raises:
        UserError: It is one.
    """
    parameters = list(model.parameters())
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in parameters):
        raise UserError(
            "a model whose parameters have their shapes",
            f"{type(model).__name__} with lazy layers",
            "run one batch through it first",
        )
    if not any(p.requires_grad for p in parameters):
        raise UserError(
            "a model with trainable parameters",
            f"{type(model).__name__} with {len(parameters)} parameters, none of them trainable",
            "set requires_grad=True on what is to be trained",
        )
