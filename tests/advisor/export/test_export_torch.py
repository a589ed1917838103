"""The exported file trains to the same curve and the same weights as this project, without it."""

import ast
import collections
import json
import subprocess
import sys
from pathlib import Path

import pytest
import small_cases
from export_cases import TABLE, assert_same, write

from advisor.export import export
from advisor.export.source_text import module_text
from probes.errors import UserError
from probes.recipe import catalogue
from probes.recipe.schema import Recipe

FAST = ("stopping_early", "unified", "sharpness_aware_ensemble", "average_stops", "plateau")


@pytest.mark.parametrize("case", FAST)
def test_same_curve_in_this_process(case, tmp_path):
    model = write(case, tmp_path)
    assert_same(case, small_cases.train_by(tmp_path / f"{case}.py", model))


@pytest.mark.slow
def test_same_curve_in_a_process_without_this_project(tmp_path):
    models = {case: write(case, tmp_path) for case in TABLE}
    (tmp_path / "models.json").write_text(json.dumps(models))
    subprocess.run(
        [sys.executable, "-I", "-W", "error::UserWarning", small_cases.__file__,
         str(tmp_path)],
        cwd=tmp_path, check=True, capture_output=True, timeout=600,
    )  # fmt: skip
    results = json.loads((tmp_path / "results.json").read_text())
    assert set(results) == set(TABLE)
    for case, exported in results.items():
        assert_same(case, exported)


@pytest.mark.slow
def test_files_pass_the_linter_and_name_only_what_they_need(tmp_path):
    for case in TABLE:
        write(case, tmp_path)
    result = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    for case in TABLE:
        text = (tmp_path / f"{case}.py").read_text()
        names = [node.name for node in ast.parse(text).body if hasattr(node, "name")]
        assert len(set(names)) == len(names), case
        for ours in ("probes", "knowledge_base", "advisor."):
            assert ours not in text, case


def test_what_is_embedded_has_no_name_twice():
    """Any parts can meet in one file."""
    modules = {
        row.source.partition(":")[0]
        for kind in ("schedule", "extra")
        for row in catalogue.table(kind).values()
        if row.source.startswith("probes.")
    } | {"probes.recipe.steppers", "probes.recipe.parameter_groups"}
    optimizers = {
        row.source.partition(":")[0]
        for row in catalogue.table("optimizer").values()
        if row.source.startswith("probes.")
    }
    folder = Path(small_cases.__file__).parents[3] / "probes" / "recipe" / "normalization"
    private = ("__init__", "apply", "refusal", "source")
    normalizations = {
        f"probes.recipe.normalization.{path.stem}"
        for path in folder.glob("*.py")
        if path.stem not in private
    }
    frame = ["call", "map_tensors", "smoothed", "train", "prepare_model", "build_optimizer"]
    frame += ["build_schedule", "shuffled_batches"]
    for optimizer in sorted(optimizers):  # a file has one optimizer
        names = collections.Counter(frame)
        for module in sorted(modules | normalizations | {optimizer}):
            body = ast.parse(module_text(module)).body
            names.update(node.name for node in body if hasattr(node, "name"))
        public = {name: count for name, count in names.items() if count > 1}
        allowed = {"_normalizations", "check_trainable"}  # of no embedded definition
        assert not public.keys() - allowed, optimizer


@pytest.mark.parametrize(
    ("case", "absent"),
    [
        (
            "optimizer_adam",
            "clip_grad_norm_ MAX_NORM smoothed PATIENCE HORIZON decay_groups copy stepper "
            "averaging fork_rng EVERY MEMBERS Iterator",
        ),
        ("optimizer_adamw", "muon_matrices change_normalization"),
        ("optimizer_nadam", "warmup cosine"),
        ("optimizer_momo", "MoMoAdam PlainStepper.step HookStepper"),
        ("optimizer_schedule_free_adamw", "ExponentialAverage Ensemble SOAP Patience"),
        ("averaging_ema", "refresh_batch_norm StochasticWeightAverage deque EvaluationSwitch"),
        ("averaging_snapshot_ensemble", "DeepEnsemble AveragedModel"),
        ("dropout", "DropoutBefore insert_dropout"),
        ("normalization_rms_cnn", "FeatureBatchNorm remove_normalization normalize_weights"),
        ("normalization_none_cnn", "make_layer NormalizedLayer"),
        ("normalization_weight_mlp", "find_normalizations"),
    ],
)
def test_only_what_the_recipe_uses(case, absent, tmp_path):
    write(case, tmp_path)
    text = (tmp_path / f"{case}.py").read_text()
    assert [word for word in absent.split() if word in text] == []


def test_plain_recipe_is_short():
    plain = Recipe.parse({"optimizer": "adamw", "schedule": "cosine"})
    assert len(export(plain, None, "torch", batch_size=32).splitlines()) <= 158


@pytest.mark.parametrize(
    ("optimizer", "needs"),
    [
        ("adamw", "torch 2.6 or newer."),
        ("muon", "torch 2.9 or newer."),
        ("kfac", "torch 2.6 or newer."),
        ("soap", "torch 2.6 or newer and pytorch_optimizer."),
        ("lookahead", "torch 2.6 or newer and pytorch_optimizer."),
    ],
)
def test_the_heading_says_what_the_file_needs(optimizer, needs):
    text = export(Recipe.parse({"optimizer": optimizer}), None, "torch", batch_size=16)
    heading = " ".join(ast.get_docstring(ast.parse(text)).split())
    assert f"Needs {needs}" in heading
    assert ("from pytorch_optimizer import" in text) == ("pytorch_optimizer" in heading)


@pytest.mark.parametrize(
    ("changes", "usage"),
    [
        ({}, "train(Net(), batches, loss_fn, total_steps)"),
        ({"averaging": "deep_ensemble"}, "train(Net, batches, loss_fn, total_steps)"),
        ({"schedule": "reduce_on_plateau"}, "total_steps, validate=validate)"),
        ({"regularization": {"early_stopping": {}}}, "total_steps, validate=validate)"),
    ],
)
def test_the_heading_shows_the_call(changes, usage):
    text = export(Recipe.parse(changes), None, "torch", batch_size=16)
    assert usage in ast.get_docstring(ast.parse(text))


def test_what_no_file_can_say_is_refused(monkeypatch):
    row = catalogue.Method(
        "optimizer", "backwards", "adaptive", "torch.optim:SGD", "", "",
        catalogue.OPTIMIZERS[0].hyperparameters, stepper="backwards",
    )  # fmt: skip
    monkeypatch.setitem(catalogue._TABLES["optimizer"], "backwards", row)
    with pytest.raises(UserError, match="whose step is one of plain, closure"):
        export(Recipe.parse({"optimizer": "backwards"}), None, "torch", batch_size=8)
