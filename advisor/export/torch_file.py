"""A recipe as one Python file that needs torch alone (and the library that has its optimizer).

The frame is ``torch_file.py.jinja``; what is ours (schedule, parameter groups, optimizer,
normalization) is embedded as it is written here, cut down to what the recipe uses, so that the
file trains by the same code as this project does.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import sys
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2

from advisor.export.source_text import import_lines, needed_definitions, needed_imports
from probes.errors import UserError
from probes.recipe import catalogue
from probes.recipe.choice import OptimizerChoice, ScheduleChoice
from probes.recipe.schema import Recipe

_BASE_IMPORTS = "import copy\nimport math\nimport torch\nfrom torch import nn"


@dataclass(frozen=True)
class Part:
    """A piece of the file.

    Attributes:
        expression: What the file's own code calls.
        source: Definitions that this needs; may be empty.
        imports: Import statements that the definitions may need.
    """

    expression: str = ""
    source: str = ""
    imports: str = ""


def torch_text(recipe: Recipe, total_steps: int | None = None, task_name: str = "") -> str:
    """The recipe as a file of plain PyTorch.

    Args:
        recipe: With its batch size.
        total_steps: Optimizer steps of the task's budget, for the instructions; None: unknown.
        task_name: What the recipe was chosen for; "" if unknown.

    Returns:
        Python source with ``BATCH_SIZE``, ``prepare_model``, ``build_optimizer``,
        ``build_schedule``, ``train`` and ``shuffled_batches``. Same seed, same machine, same
        order of samples: the same curve as ``recipe.fit``.

    Raises:
        UserError: The recipe has a part that this format cannot express.
    """
    _check_expressible(recipe)
    optimizer = _optimizer_part(recipe.optimizer)
    schedule = _schedule_part(recipe.schedule, recipe.horizon)
    normalization = _normalization_part(recipe)
    row = catalogue.method("optimizer", recipe.optimizer.name)
    decay = recipe.optimizer.number("weight_decay")
    matrix_split = "matrix split" in row.needs
    # Groups also fix the order in which clipping sums the gradients.
    grouped = decay > 0 or matrix_split or recipe.clip is not None
    groups = _groups_part(matrix_split) if grouped else Part()
    arguments = _constructor_arguments(recipe.optimizer)
    if not grouped:
        arguments["weight_decay"] = repr(decay)  # else the constructor's own default would hold
    warmup = recipe.schedule.number("warmup")
    schedule_row = catalogue.method("schedule", recipe.schedule.name)
    after = f" after a linear warm-up over {warmup:.3g} of the steps" if warmup else ""
    body = _template().render(
        batch_size=recipe.batch_size,
        horizon=recipe.horizon,
        max_norm=None if recipe.clip is None else recipe.clip.number("max"),
        smoothing=recipe.regularization.label_smoothing,
        stopping=recipe.regularization.early_stopping,
        normalization="no" if recipe.normalization.name == "none" else recipe.normalization.name,
        normalization_call=normalization.expression,
        optimizer=optimizer.expression,
        optimizer_summary=_docstring(f"{row.summary} ({row.paper})."),
        arguments=arguments,
        weight_decay=decay,
        grouped=grouped,
        matrix_split=matrix_split,
        schedule_call=schedule.expression,
        schedule_source=schedule.source,
        schedule_summary=_docstring(
            f"{schedule_row.summary}{after}; call step() after each step of the optimizer."
        ),
        warmup=warmup,
        sources=[part.source for part in (groups, optimizer, normalization) if part.source],
    )
    parts = (schedule, groups, optimizer, normalization)
    candidates = "\n".join([_BASE_IMPORTS, *(part.imports for part in parts)])
    heading = _heading(recipe, row, total_steps, task_name)
    return f"{heading}\n\n{needed_imports(body, candidates)}\n\n{body.strip()}\n"


def _check_expressible(recipe: Recipe) -> None:
    """Refuse what the file would leave out in silence."""
    optimizer = catalogue.method("optimizer", recipe.optimizer.name)
    clipping = "torch.nn.utils:clip_grad_norm_"
    obstacles = {
        f"the optimizer {optimizer.name}, whose step is of its own": optimizer.stepper != "plain",
        "weight averaging": recipe.averaging is not None,
        "clipping other than by norm": recipe.clip is not None
        and catalogue.method("extra", recipe.clip.name).source != clipping,
    }
    for what, present in obstacles.items():
        if present:
            raise UserError(
                "a recipe that one plain PyTorch loop can run", f"one with {what}",
                "use recipe.fit(task), or export it to yaml or json",
            )  # fmt: skip


def _constructor_arguments(choice: OptimizerChoice) -> dict[str, str]:
    from probes.recipe.build import constructor_arguments  # imports torch

    return {name: repr(value) for name, value in constructor_arguments(choice).items()}


def _optimizer_part(choice: OptimizerChoice) -> Part:
    """The optimizer's class: from torch, from its library, or its source."""
    from probes.recipe.build import imported  # imports torch

    source = catalogue.method("optimizer", choice.name).source
    module, _, name = source.partition(":")
    root = module.partition(".")[0]
    if root == "torch":
        return Part(f"{module}.{name}")
    if root != "probes":
        return Part(name, imports=f"from {module} import {name}")
    text = inspect.getsource(sys.modules[imported(source).__module__])
    return Part(name, needed_definitions(text, [name]), import_lines(text))


def _schedule_part(choice: ScheduleChoice, horizon: float) -> Part:
    """The schedule's function, called as ``probes.recipe.build.schedule_function`` does."""
    from probes.recipe.build import imported  # imports torch

    function = imported(catalogue.method("schedule", choice.name).source)
    settings = {key: value for key, value in choice.settings.items() if key != "warmup"}
    total = "total_steps" if horizon == 1.0 else "steps"
    steps = f"step - warmup, {total} - warmup" if choice.number("warmup") else f"step, {total}"
    call = ", ".join([steps, *(f"{key}={value!r}" for key, value in settings.items())])
    text = inspect.getsource(sys.modules[function.__module__])
    return Part(
        f"{function.__name__}({call})", needed_definitions(text, [function.__name__]),
        import_lines(text),
    )  # fmt: skip


def _groups_part(matrix_split: bool) -> Part:
    from probes.recipe.parameter_groups import standalone_source  # imports torch

    return Part(source=needed_definitions(
        standalone_source(matrix_split), ["decay_groups"] + ["muon_matrices"] * matrix_split
    ))  # fmt: skip


def _normalization_part(recipe: Recipe) -> Part:
    from probes.recipe.normalization import standalone_source  # imports torch

    choice = recipe.normalization
    imports, source, call = standalone_source(choice.name)
    if not call:
        return Part()
    settings = "".join(f", {key}={value!r}" for key, value in choice.settings.items())
    source = needed_definitions(source, [call.partition("(")[0]], case=choice.name)
    return Part(call.removesuffix(")") + settings + ")", source, imports)


def _heading(recipe: Recipe, row: catalogue.Method, total_steps: int | None, task_name: str) -> str:
    library = row.source.partition(".")[0].partition(":")[0]
    needs = f"torch {row.torch} or newer"
    if library not in ("torch", "probes"):
        needs += f" and {library}"
    name = _safe(task_name)
    origin = f"Made by optimizer-advisor {_version()}" + (f" for the task {name}" if name else "")
    about = f"{origin}; its parts are under Apache-2.0. Needs {needs}. Saved as recipe.py:"
    budget = "the budget it was chosen for" if total_steps else "as many as you can spend"
    validate = ", validate=validate" if recipe.regularization.early_stopping else ""
    usage = f"""\
    import torch
    from recipe import shuffled_batches, train

    torch.manual_seed(0)  # before the model is made
    batches = shuffled_batches(inputs, targets, seed=0)  # or batches of your own
    total_steps = {total_steps or 1000}  # {budget}
    model = train(Net(), batches, loss_fn, total_steps{validate})"""
    title = textwrap.fill(f"How to train: {_safe(recipe.describe())}.", 97)
    return f'"""{title}\n\n{textwrap.fill(about, 100)}\n\n{usage}\n"""'


def _safe(text: str) -> str:
    """The text on one line, with nothing that could end or escape a docstring."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(plain.replace("\\", "/").replace('"', "'").split())


def _docstring(text: str) -> str:
    """A function's docstring, its quotes included, wrapped where it is long."""
    lines = textwrap.wrap(text[:1].upper() + text[1:], 100 - len('    """'))
    end = '"""' if len(lines) == 1 and len(lines[0]) <= 90 else '\n    """'
    return '"""' + "\n    ".join(lines) + end


def _version() -> str:
    try:
        return importlib.metadata.version("optimizer-advisor")
    except importlib.metadata.PackageNotFoundError:  # run from a source tree
        return "(source tree)"


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(  # noqa: S701 - Python text, not HTML
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("torch_file.py.jinja")
