"""Names, units and groups of the features that the meta-model sees, and why one can be missing."""

from __future__ import annotations

from typing import NamedTuple

from probes.recipe.method import UPDATES

_NO_LENGTH = "the loader does not tell how many samples it has"
_UNTRACED = "tracing a forward failed"
_UNSEEN = f"a part of the model is scripted (what it does cannot be seen), or {_UNTRACED}"
_NO_TARGETS = "targets are no tensor, or known to a training step of the user's alone"
_SHORT = "the landmark run gave fewer than four finite losses"
_NO_CURVATURE = "the loss has no second derivative, or the products with it are not finite"
_NO_LEAD = f"the landmark run is shorter than the race, {_SHORT}, or torch lacks the optimizer"
_NO_RANGE = "the range test failed"


class Feature(NamedTuple):
    """What a feature is and what it means where it is missing (NaN).

    Attributes:
        unit: What it is, with its unit.
        missing: Why it can be missing at a tier that measures it; empty where it never is.
        tier: Smallest tier of a profile that measures it, 0 for facts; below it is missing.
    """

    unit: str
    missing: str = ""
    tier: int = 0

    @property
    def absence(self) -> str:
        """Everything that it means where it is missing, in words."""
        below = [f"tier below {self.tier}"] if self.tier else []
        return "; ".join([*below, *([self.missing] if self.missing else [])]) or "never missing"


TASK_FEATURES: dict[str, Feature] = {
    "log_steps": Feature("log10 steps of the budget"),
    "log_epochs": Feature("log10 passes over the training data within the budget", _NO_LENGTH),
    "log_batch": Feature("log2 samples a batch"),
    "log_samples": Feature("log10 training samples", _NO_LENGTH),
    "log_parameters": Feature("log10 parameters", _UNTRACED),
    "parameters_per_sample": Feature(
        "log10 parameters over training samples", f"{_NO_LENGTH}, or {_UNTRACED}"
    ),
    "depth": Feature("weight layers", _UNSEEN),
    "log_width": Feature(
        "log2 median width of weight layers", f"no layer has a weight matrix, {_UNSEEN}"
    ),
    "classification": Feature("1 for class targets", _NO_TARGETS),
    "regression": Feature("1 for real targets", _NO_TARGETS),
    "tokens": Feature("1 where every position has a target", _NO_TARGETS),
    "log_classes": Feature(
        "log10 classes (outputs of yes-no targets, 0 for real targets)",
        f"every label is one that the loss passes over, {_NO_TARGETS}",
    ),
    "convolution": Feature("1 where the model convolves", _UNSEEN),
    "recurrence": Feature("1 where the model is recurrent", _UNSEEN),
    "attention": Feature("1 where the model attends", _UNSEEN),
    "residual": Feature("1 where the model has residual connections", _UNSEEN),
    "embedding": Feature("1 where the model embeds tokens", _UNSEEN),
    "batch_norm": Feature("1 where the model has batch norm", _UNSEEN),
    "any_norm": Feature("1 where the model has any norm", _UNSEEN),
    "saturating": Feature("1 where activations saturate (tanh, sigmoid)", _UNSEEN),
    "output_scale": Feature(
        "log10 root mean square of the outputs at initialization",
        f"no output is a tensor of finite numbers, or {_UNTRACED}",
    ),
    "input_condition": Feature(
        "log10 of the largest over the median eigenvalue of the inputs",
        "inputs are token ids or no tensor, fewer than two of their numbers vary, or there are "
        "fewer than four samples",
    ),
    "loss_over_chance": Feature(
        "first loss over the loss of always guessing the shares",
        "guessing has no loss (targets are all alike, not seen, or real with a loss other than "
        f"mse and mae), or {_SHORT}",
        16,
    ),
    "landmark_drop": Feature("log ratio of training losses over the landmark run", _SHORT, 16),
    "landmark_late_slope": Feature("fall of the log loss per step, late", _SHORT, 16),
    "landmark_curvature": Feature("fall of the log loss per step, early less late", _SHORT, 16),
    "landmark_asymptote": Feature(
        "log1p of how far the log loss would yet fall if its slope went on decaying as it does",
        _SHORT,
        16,
    ),
    "landmark_roughness": Feature("spread of the log loss around its trend", _SHORT, 16),
    "generalization": Feature(
        "validation drop minus training drop",
        f"a validation loss is at or below 0 or not finite, or {_SHORT}",
        16,
    ),
    "gradient_trend": Feature(
        "log ratio of the last to the first gradient norm",
        "no gradient is finite and above 0",
        16,
    ),
    "batch_over_noise": Feature(
        "log10 batch size over gradient noise scale",
        "a batch has no halves (odd, or below four samples), or a gradient is not finite",
        16,
    ),
    "update_over_weight": Feature(
        "log10 update over weight norm at the landmark's rate",
        "the landmark run ended before its second step, or an update is not finite",
        16,
    ),
    "sharpness": Feature(
        "log10 of the Hessian's largest eigenvalue in size, -12 where there is no curvature",
        _NO_CURVATURE,
        16,
    ),
    "sharpness_gradient": Feature(
        "log10 sharpness times squared gradient norm over loss",
        f"the first loss is not above 0, no gradient is, or {_NO_CURVATURE}",
        16,
    ),
    "race_momentum": Feature(
        "lead of momentum over the landmark after the same steps, log loss", _NO_LEAD, 64
    ),
    "race_muon": Feature("lead of Muon over the landmark, log loss", _NO_LEAD, 64),
    "race_adamw_high": Feature(
        "lead of AdamW at a high rate over the landmark, log loss", _NO_LEAD, 64
    ),
    "race_momentum_low": Feature("lead of momentum at a low rate, log loss", _NO_LEAD, 256),
    "race_adamw_low": Feature("lead of AdamW at a low rate, log loss", _NO_LEAD, 256),
    "range_adamw": Feature("log10 rate of AdamW's valley in a range test", _NO_RANGE, 256),
    "range_momentum": Feature("log10 rate of momentum's valley in a range test", _NO_RANGE, 256),
}
"""Features of a task. What facts of the model or the data tell is missing also where that whole
probe failed; the profile's ``missing`` then says why."""

TASK_UNITS = {name: feature.unit for name, feature in TASK_FEATURES.items()}
"""Names of a task's features, in their order, with their units."""

RECIPE_UNITS: dict[str, str] = {
    "log_rate": "log10 peak learning rate",
    "rate_over_default": "log10 peak rate over the optimizer's default",
    "effective_rate": "log10 peak rate over (1 - momentum)",
    **{f"is_{update}": f"1 where the update is made of {update}" for update in UPDATES},
    "passes": "log2 passes a step",
    "state": "log2 of 1 + optimizer state per parameter",
    "momentum": "first-moment decay rate (0 without)",
    "second_moment": "log10 of 1 over (1 - second-moment decay rate), 0 without",
    "log_decay": "log10 weight decay, -6 for none",
    "schedule_area": "mean factor over the run",
    "schedule_peak": "position of the peak as a share of the run",
    "schedule_final": "factor at the end",
    "schedule_cycles": "times the rate rises after its first fall",
    "warmup": "share of the run",
    "clip": "1 with clipping of the whole gradient by its norm",
    "clip_parts": "1 with clipping by value or by unit",
    "averaged": "1 where averaged weights are evaluated",
    "members": "log2 of the members of an ensemble",
    "dropout": "rate that the recipe sets or inserts, 0 where it does neither",
    "early_stopping": "1 with early stopping",
    "label_smoothing": "share",
    "horizon": "share of the budget",
    "own_batch": "log2 of the recipe's own batch size, 0 where it takes the task's",
    "batch_norm": "1 where norms become batch norm",
    "layer_norm": "1 where norms become layer norm",
    "weight_norm": "1 with weights that are computed from others (weight norm and its like)",
    "other_norm": "1 with another change of normalization",
}
"""Features of a recipe with their units; what a recipe says is never missing."""

PAIR_FEATURES: dict[str, Feature] = {
    "batch_ratio": Feature("log2 of the recipe's over the task's batch size"),
    "rate_times_sharpness": Feature(
        "log10 effective rate times sharpness (gradient methods)",
        "the update is not made of the gradient, or the task's sharpness is missing",
    ),
    "rate_over_range": Feature(
        "log10 rate over the valley of the family's range test",
        "the update is made of neither the gradient nor its entries, or the task's range test is "
        "missing",
    ),
    "total_decay": Feature("log10 of rate x decay x area x steps (decoupled decay over the run)"),
    "recipe_log_steps": Feature("log10 steps this recipe takes within the budget"),
    "total_rate": Feature("log10 of rate x area x steps"),
}
"""Features of a recipe on a task, for LightGBM alone."""

PAIR_UNITS = {name: feature.unit for name, feature in PAIR_FEATURES.items()}
"""Names of the features of a recipe on a task, in their order, with their units."""

TASK_GROUPS: dict[str, tuple[str, ...]] = {
    "size": ("log_steps", "log_epochs", "log_batch", "log_samples", "log_parameters",
             "parameters_per_sample", "depth", "log_width"),
    "kind": ("classification", "regression", "tokens", "log_classes", "convolution", "recurrence",
             "attention", "residual", "embedding", "batch_norm", "any_norm", "saturating"),
    "start": ("output_scale", "input_condition", "loss_over_chance", "batch_over_noise",
              "update_over_weight", "sharpness", "sharpness_gradient"),
    "course": ("landmark_drop", "landmark_late_slope", "landmark_roughness", "generalization",
               "gradient_trend"),
    "races": ("race_momentum", "race_muon", "race_adamw_high", "race_momentum_low",
              "race_adamw_low", "range_adamw", "range_momentum"),
}  # fmt: skip
"""Task features that share a length scale in the Gaussian."""

BOOSTED_ONLY = {"course": ("landmark_curvature", "landmark_asymptote")}
"""Task features that LightGBM alone is told, by the group whose length scale they would share: in
the Gaussian they bring nothing (``python -m benchmarks.models``), and the fewer are the surer."""

TASK_MEMBERS = {
    group: (*found, *BOOSTED_ONLY.get(group, ())) for group, found in TASK_GROUPS.items()
}
"""All task features by group: a group is explained, or taken away, as a whole."""

MEASURED = tuple(name for name, feature in TASK_FEATURES.items() if feature.tier)
"""Task features that only a training step tells; unknown to a profile of facts alone."""

RECIPE_GROUPS: dict[str, tuple[str, ...]] = {
    "rate": ("log_rate", "rate_over_default", "effective_rate"),
    "method": (*(f"is_{update}" for update in UPDATES), "passes", "state", "momentum",
               "second_moment"),
    "schedule": ("schedule_area", "schedule_peak", "schedule_final", "schedule_cycles", "warmup",
                 "horizon", "own_batch"),
    "regularization": ("log_decay", "clip", "clip_parts", "early_stopping", "label_smoothing",
                       "averaged", "members", "dropout", "batch_norm", "layer_norm",
                       "weight_norm", "other_norm"),
}  # fmt: skip
"""Recipe features that share a length scale in the Gaussian."""
