"""The exported file trains to the same curve and the same weights as this project, without it."""

import importlib.util
import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from advisor.export import export
from probes.data import shuffled_indices
from probes.errors import UserError
from probes.recipe import catalogue
from probes.recipe.schema import Recipe
from probes.task import Task
from probes.training import train

CASES_FILE = Path(__file__).with_name("small_cases.py")
_SPEC = importlib.util.spec_from_file_location("small_cases", CASES_FILE)
cases = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(cases)

TASK_BATCH = 16
STOP = {"early_stopping": {"patience": 2, "every": 0.05}}


def _case(model, **fields):
    return model, Recipe.parse(fields)


def _with_decay(name):
    return {"name": name, "weight_decay": 0.05}


TABLE = {
    **{f"optimizer_{name}": _case("mlp", optimizer=name) for name in catalogue.table("optimizer")},
    **{
        f"decay_{name}": _case("cnn", optimizer=_with_decay(name), clip="norm")
        for name in ("momentum", "adam", "adamw", "muon", "adafactor")
    },
    **{
        f"schedule_{name}": _case("mlp", schedule={"name": name, "warmup": warmup})
        for name, warmup in zip(catalogue.table("schedule"), itertools.cycle((0.0, 0.15)))
    },
    **{
        f"normalization_{name}_{model}": _case(model, optimizer="nadamw", normalization=name)
        for name in catalogue.table("normalization")
        for model in ("mlp", "cnn")
        if (name, model) not in (("instance", "mlp"), ("none", "mlp"))  # refused: nothing to do
    },
    "groups": _case("cnn", normalization={"name": "group", "num_groups": 2}),
    "clip": _case("mlp", optimizer={"name": "sgd", "lr": 0.5}, clip={"name": "norm", "max": 0.3}),
    "smoothing": _case("mlp", regularization={"label_smoothing": 0.1}),
    "stopping_early": _case("mlp", optimizer={"name": "adam", "lr": 0.1}, regularization=STOP),
    "stopping_never": _case("cnn", optimizer={"name": "sgd", "lr": 0.01}, regularization=STOP),
    "horizon": _case("mlp", schedule={"name": "cosine", "warmup": 0.1}, horizon=0.5),
    "batch_size": _case("mlp", schedule="linear", batch_size=24),
    "everything": _case(
        "cnn", optimizer="muon", schedule={"name": "one_cycle", "warmup": 0.1},
        normalization="rms", clip={"name": "norm", "max": 0.5}, batch_size=8, horizon=0.75,
        regularization={"label_smoothing": 0.05, **STOP},
    ),
}  # fmt: skip


def _write(case, folder):
    model, recipe = TABLE[case]
    export(recipe, folder / f"{case}.py", "torch", batch_size=TASK_BATCH, steps=cases.STEPS)
    return model


def _by_this_project(case):
    """Losses of every step, and the run, of ``probes.training.train`` for as many steps."""
    model, recipe = TABLE[case]
    size = recipe.batch_size or TASK_BATCH
    task = Task(
        model=cases.MODELS[model], train=cases.make_data(model, 96, seed=1),
        validation=cases.make_data(model, 300, seed=2), batch_size=size, steps=cases.STEPS,
    )  # fmt: skip
    losses = []

    def observe(loop, batch):
        loss = loop.stepper.step(batch)
        losses.append(loss.item())
        return loss

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run = train(task, recipe, seed=cases.SEED, device="cpu", observer=observe)
    finally:
        torch.set_num_threads(threads)
    return losses, run


def _assert_same(case, exported):
    losses, run = _by_this_project(case)
    if exported["losses"]:  # label smoothing takes the loss function out of our hands
        assert exported["losses"] == losses, case
    assert not exported["training"], case
    assert exported["final"] == pytest.approx(run.final["loss"], abs=1e-6), case
    assert exported["weights"] == cases.digest(run.model), case
    return run


def test_same_curve_in_this_process(tmp_path, capsys):
    case = "stopping_early"
    model = _write(case, tmp_path)
    run = _assert_same(case, cases.train_by(tmp_path / f"{case}.py", model))
    assert run.steps < cases.STEPS, "the case is there to stop early"
    assert f"stopped after step {run.steps}" in capsys.readouterr().out


@pytest.mark.slow
def test_same_curve_in_a_process_without_this_project(tmp_path):
    models = {case: _write(case, tmp_path) for case in TABLE}
    (tmp_path / "models.json").write_text(json.dumps(models))
    subprocess.run(
        [sys.executable, "-I", str(CASES_FILE), str(tmp_path)],
        cwd=tmp_path, check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    report = json.loads((tmp_path / "results.json").read_text())
    assert report["ours"] == []
    assert set(report["results"]) == set(TABLE)
    for case, exported in report["results"].items():
        _assert_same(case, exported)


def test_files_pass_the_linter_and_name_only_what_they_need(tmp_path):
    for case in TABLE:
        _write(case, tmp_path)
    result = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    for case in TABLE:
        text = (tmp_path / f"{case}.py").read_text()
        compile(text, case, "exec")
        for ours in ("probes", "knowledge_base", "advisor."):
            assert ours not in text, case


@pytest.mark.parametrize(
    ("case", "absent"),
    [
        ("optimizer_adam", "clip_grad_norm_ MAX_NORM smoothed PATIENCE HORIZON decay_groups copy"),
        ("optimizer_adamw", "muon_matrices change_normalization"),
        ("optimizer_nadam", "warmup cosine"),
        ("normalization_rms_cnn", "FeatureBatchNorm remove_normalization normalize_weights"),
        ("normalization_none_cnn", "make_layer NormalizedLayer"),
        ("normalization_weight_mlp", "find_normalizations"),
    ],
)
def test_only_what_the_recipe_uses(case, absent, tmp_path):
    _write(case, tmp_path)
    text = (tmp_path / f"{case}.py").read_text()
    assert [word for word in absent.split() if word in text] == []


def test_plain_recipe_is_short():
    assert len(export(Recipe(), None, "torch", batch_size=32).splitlines()) < 180


@pytest.fixture
def smoothing(tmp_path):
    _write("smoothing", tmp_path)
    return cases.load(tmp_path / "smoothing.py")


def test_label_smoothing_wants_a_cross_entropy(smoothing):
    inputs, targets = cases.make_data("mlp", 96, seed=1)
    with pytest.raises(ValueError, match="label smoothing needs a cross-entropy"):
        smoothing.train(
            cases.make_mlp(), smoothing.shuffled_batches(inputs, targets), torch.nn.MSELoss(), 2
        )


@pytest.mark.parametrize(
    "loss_fn", [None, torch.nn.functional.cross_entropy, torch.nn.CrossEntropyLoss()]
)
def test_label_smoothing_is_applied(smoothing, loss_fn):
    outputs, targets = torch.randn(5, 3, 4), torch.randint(4, (5, 3))
    expected = torch.nn.functional.cross_entropy(
        outputs.flatten(0, 1), targets.flatten(), label_smoothing=0.1
    )
    assert smoothing.smoothed(loss_fn)(outputs, targets) == expected
    assert getattr(loss_fn, "label_smoothing", 0.0) == 0.0


@pytest.fixture
def plain(tmp_path):
    _write("optimizer_adamw", tmp_path)
    return cases.load(tmp_path / "optimizer_adamw.py")


class Sum(torch.nn.Module):
    """Takes two inputs."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)

    def forward(self, left, right):
        return self.layer(left + right)


@pytest.mark.parametrize("form", [tuple, dict])
def test_several_inputs(plain, form):
    parts = {"left": torch.randn(40, 3), "right": torch.randn(40, 3)}
    inputs = parts if form is dict else tuple(parts.values())
    batches = plain.shuffled_batches(inputs, torch.randn(40, 2))
    model = Sum()
    before = cases.digest(model)
    trained = plain.train(model, batches, torch.nn.functional.mse_loss, 3)
    assert not trained.training
    assert cases.digest(trained) != before


@pytest.mark.parametrize("samples", [16, 40, 96])
@pytest.mark.parametrize("seed", [0, 7])
def test_shuffled_batches_are_in_the_order_of_this_project(plain, samples, seed):
    numbers = torch.arange(samples)
    exported = plain.shuffled_batches(numbers, numbers, seed=seed)
    expected = shuffled_indices(samples, plain.BATCH_SIZE, seed)
    for (inputs, targets), indices in itertools.islice(zip(exported, expected, strict=True), 12):
        assert torch.equal(inputs, indices)
        assert torch.equal(targets, indices)


def test_data_that_do_not_suffice_are_named(plain):
    inputs, targets = cases.make_data("mlp", 40, seed=1)
    with pytest.raises(ValueError, match="10 samples do not fill one batch of 16"):
        next(plain.shuffled_batches(inputs[:10], targets[:10]))
    two = itertools.islice(plain.shuffled_batches(inputs, targets), 2)
    with pytest.raises(ValueError, match="ended after 2 of 5 steps"):
        plain.train(cases.make_mlp(), two, torch.nn.functional.cross_entropy, 5)


def test_without_validate_it_runs_to_the_end_and_says_so(tmp_path, capsys):
    _write("stopping_early", tmp_path)
    recipe = cases.load(tmp_path / "stopping_early.py")
    batches = recipe.shuffled_batches(*cases.make_data("mlp", 96, seed=1))
    recipe.train(cases.make_mlp(), batches, torch.nn.functional.cross_entropy, 10)
    printed = capsys.readouterr().out
    assert "no validate given: training runs to the end" in printed
    assert "step 10 of 10" in printed


def test_optimizer_of_another_library(monkeypatch, tmp_path):
    row = catalogue.Method(
        "optimizer", "lion", "adaptive", "pytorch_optimizer:Lion", "Chen et al. 2023",
        "sign of momentum", catalogue.OPTIMIZERS[5].hyperparameters[:3]
        + catalogue.OPTIMIZERS[5].hyperparameters[-1:], (("weight_decouple", True),), state=1,
    )  # fmt: skip
    monkeypatch.setitem(catalogue._TABLES["optimizer"], "lion", row)
    recipe = Recipe.parse({"optimizer": {"name": "lion", "lr": 3e-4}})
    monkeypatch.setitem(TABLE, "lion", ("mlp", recipe))
    _write("lion", tmp_path)
    text = (tmp_path / "lion.py").read_text()
    assert "from pytorch_optimizer import Lion" in text
    assert "torch 2.6 or newer and pytorch_optimizer" in " ".join(text.split())
    _assert_same("lion", cases.train_by(tmp_path / "lion.py", "mlp"))


def test_what_a_plain_loop_cannot_run_is_refused(monkeypatch):
    row = catalogue.Method(
        "optimizer", "two_pass", "adaptive", "torch.optim:SGD", "", "two passes",
        catalogue.OPTIMIZERS[0].hyperparameters, stepper="two passes",
    )  # fmt: skip
    monkeypatch.setitem(catalogue._TABLES["optimizer"], "two_pass", row)
    with pytest.raises(UserError, match="two_pass, whose step is of its own"):
        export(Recipe.parse({"optimizer": "two_pass"}), None, "torch", batch_size=8)


@pytest.mark.parametrize("steps", [0, -3])
def test_a_budget_of_nothing_is_refused(plain, steps):
    with pytest.raises(ValueError, match=f"total_steps must be at least 1, got {steps}"):
        plain.train(torch.nn.Linear(3, 2), [], None, steps)


def test_validating_moves_no_random_stream(tmp_path):
    model = _write("stopping_early", tmp_path)
    recipe = cases.load(tmp_path / "stopping_early.py")
    inputs, targets = cases.make_data(model, 96, seed=1)

    def losses_with(draws):
        losses = []

        def loss_fn(outputs, targets):
            losses.append(torch.nn.functional.cross_entropy(outputs, targets))
            return losses[-1]

        def validate(model):
            torch.rand(draws)
            return -float(len(losses))  # always better: runs to the end

        torch.manual_seed(0)
        batches = recipe.shuffled_batches(inputs, targets)
        recipe.train(cases.make_mlp(), batches, loss_fn, 8, validate=validate)
        return [loss.item() for loss in losses]

    assert losses_with(draws=5) == losses_with(draws=0)
