"""``recommend`` on small models with the synthetic meta-model: inputs, costs, promises."""

from __future__ import annotations

import copy
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from advisor import Advice, recommend, shipped
from advisor.ranking import RANKED
from probes.errors import UserError
from probes.recipe.schema import Recipe
from probes.task import Task

SAMPLES, STEPS, BATCH = 120, 200, 8
GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(SAMPLES, 5, generator=GENERATOR)
CLASSES = (INPUTS[:, 0] > 0).long() + (INPUTS[:, 1] > 0).long()
REALS = INPUTS[:, :2] @ torch.tensor([[1.0], [-1.0]])


def net(outputs: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, outputs))


def loader(**settings: Any) -> DataLoader[Any]:
    return DataLoader(TensorDataset(INPUTS, CLASSES), batch_size=BATCH, **settings)


class Ask:
    """``recommend`` with the models of the synthetic base and small defaults."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *args: Any, **settings: Any) -> Advice:
        if not isinstance(args[0], Task):
            settings.setdefault("steps", STEPS)
        return recommend(*args, **{"models": self.folder, "device": "cpu", **settings})


@pytest.fixture
def ask(models_folder: Path) -> Ask:
    return Ask(models_folder)


def well_formed(advice: Advice) -> None:
    assert 1 <= len(advice.ranking) <= RANKED
    recipes = [candidate.recipe for candidate in advice.ranking]
    assert len({recipe.key for recipe in recipes}) == len(recipes)
    for candidate in advice.ranking:
        expected = candidate.expected
        assert 0.0 <= expected.low <= expected.score <= expected.high <= 1.0
        assert candidate.evidence
        assert candidate.recipe.batch_size is not None, "written out, whatever it is used on"
        assert candidate.cost.state_bytes >= 0
    assert advice.probe.share == pytest.approx(advice.probe.passes / advice.task.steps)
    assert advice.reason
    assert Advice.model_validate_json(advice.to_json()).to_json() == advice.to_json()


FORMS: dict[str, Any] = {
    "tensors": lambda: (net(), (INPUTS, CLASSES)),
    "arrays": lambda: (net(), (INPUTS.numpy(), CLASSES.numpy())),
    "data set": lambda: (net(), TensorDataset(INPUTS, CLASSES)),
    "loader": lambda: (net(), loader(shuffle=True)),
    "train and validation": lambda: (
        net(), ((INPUTS[:80], CLASSES[:80]), (INPUTS[80:], CLASSES[80:])),
    ),
    "callable": lambda: (net, (INPUTS, CLASSES)),
    "a Task": lambda: (Task(net(), (INPUTS, CLASSES), steps=STEPS, batch_size=BATCH),),
    "real targets": lambda: (net(1), (INPUTS, REALS)),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_input(ask: Ask, form: str) -> None:
    advice = ask(*FORMS[form]())
    well_formed(advice)
    assert advice.task.steps == STEPS
    assert advice.profile["tier"] == 16
    assert ("mse" if form == "real targets" else "cross_entropy") in advice.task.loss


def test_a_training_step_of_ones_own(ask: Ask) -> None:
    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    well_formed(ask(net(), (INPUTS, CLASSES), training_step=step, batch_size=BATCH))


def test_nothing_of_the_users_is_changed(ask: Ask) -> None:
    model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 3))
    model[0].weight.requires_grad_(False)
    model[3].eval()
    generator = torch.Generator().manual_seed(4)
    data = loader(shuffle=True, generator=generator)
    torch.manual_seed(7)
    np.random.seed(7)
    random.seed(7)

    def streams() -> list[Any]:
        return [torch.get_rng_state(), torch.tensor(np.random.get_state()[1].astype(np.int64)),
                torch.tensor(random.getstate()[1]), generator.get_state()]  # fmt: skip

    state, before = copy.deepcopy(model.state_dict()), streams()
    flags = (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads(),
             torch.are_deterministic_algorithms_enabled())  # fmt: skip
    ask(model, data)
    assert all(torch.equal(a, b) for a, b in zip(before, streams(), strict=True))
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert [module.training for module in model] == [True, True, True, False]
    assert [p.requires_grad for p in model.parameters()] == [False, *[True] * 5]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())
    assert flags == (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads(),
                     torch.are_deterministic_algorithms_enabled())  # fmt: skip


def test_a_callable_draws_from_a_stream_of_its_own(ask: Ask) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    ask(net, (INPUTS, CLASSES))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("budget", "share"), [("10%", 0.1), ("8%", 0.08), ("5%", 0.05)])
def test_probes_keep_to_a_share(ask: Ask, budget: str, share: float) -> None:
    advice = ask(net(), (INPUTS, CLASSES), budget=budget)
    assert advice.probe.passes <= share * STEPS
    assert advice.probe.share <= share
    assert (advice.probe.passes >= 1) is (share * STEPS >= 16)


def test_a_budget_too_small_for_any_probe_goes_by_facts(ask: Ask) -> None:
    said: list[str] = []
    advice = ask(net(), (INPUTS, CLASSES), budget="1%", progress=said.append)
    well_formed(advice)
    assert advice.probe.passes < 1.0
    assert advice.profile["tier"] == 0
    assert any("facts of model and data alone" in line for line in said)


def test_seconds_are_a_budget_too(ask: Ask) -> None:
    advice = ask(net(), (INPUTS, CLASSES), budget="0.01s")
    assert advice.profile["tier"] == 0
    rich = ask(net(), (INPUTS, CLASSES), budget="60s")
    assert rich.profile["tier"] == 16
    assert rich.probe.seconds < 60
    assert rich.probe.passes > rich.profile["passes"], "all that was tried is charged"


def test_same_seed_same_advice(ask: Ask) -> None:
    first, second = (ask(net, (INPUTS, CLASSES), seed=5) for _ in range(2))
    assert [c.recipe for c in first.ranking] == [c.recipe for c in second.ranking]
    assert first.profile["values"]["landmark.drop"] == second.profile["values"]["landmark.drop"]


def unlike_anything(folder: Path, monkeypatch: pytest.MonkeyPatch, tier: int = 16) -> None:
    """Raises the floor of the meta-model above every similarity."""
    loaded = shipped.load_shipped(tier, folder)
    monkeypatch.setattr(loaded.model, "floor", 2.0)


def test_abstention_gives_the_portfolio(
    ask: Ask, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlike_anything(models_folder, monkeypatch)
    advice = ask(net(), (INPUTS, CLASSES))
    well_formed(advice)
    assert advice.abstained
    assert "the portfolio" in advice.reason
    model = shipped.load_shipped(16, models_folder).model
    portfolio = {model.recipes[i].with_(batch_size=advice.task.batch_size) for i in model.portfolio}
    assert {candidate.recipe for candidate in advice.ranking} <= portfolio
    first = model.recipes[model.portfolio[0]]
    assert advice.best == first.with_(batch_size=advice.task.batch_size)


def test_no_abstention_below_the_floor(
    ask: Ask, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped.load_shipped(16, models_folder).model, "floor", -1.0)
    advice = ask(net(), (INPUTS, CLASSES))
    assert not advice.abstained
    known = {recipe.key for recipe in shipped.load_shipped(16, models_folder).model.recipes}
    ranked = [c.expected.score for c in advice.ranking]
    assert ranked == sorted(ranked)
    for candidate in advice.ranking:
        doubted = any("raised for what is known less" in line for line in candidate.evidence)
        assert doubted == (as_known(candidate.recipe).key not in known)


def as_known(recipe: Recipe) -> Recipe:
    """The recipe as the reference set has it, without the task's batch size written out."""
    return recipe.with_(batch_size=None)


def test_abstention_with_goal_fastest_goes_by_all_known_tasks_alike(
    ask: Ask, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tier in (0, 16):
        unlike_anything(models_folder, monkeypatch, tier)
    advice = ask(net(), (INPUTS, CLASSES), goal="fastest")
    well_formed(advice)
    assert advice.abstained
    loaded = shipped.load_shipped(0, models_folder)
    means = dict(zip([r.key for r in loaded.model.recipes], loaded.model.means, strict=True))
    for candidate in advice.ranking:
        assert candidate.expected.score == pytest.approx(means[as_known(candidate.recipe).key])


@pytest.mark.parametrize(
    "loss",
    [None, "huber", lambda output, target: ((output - target) ** 2).mean()],
    ids=["mse", "huber", "own"],
)
def test_a_target_of_ones_own_is_compared_with_the_untrained_loss(ask: Ask, loss: Any) -> None:
    advice = ask(net(1), (INPUTS, REALS), loss=loss, goal="fastest", target=1e-3)
    well_formed(advice)
    assert "a validation loss of 0.001" in advice.reason
    assert advice.probe.passes >= 1.0, "the untrained loss was measured, and is charged"
    with pytest.raises(UserError, match="below the untrained loss"):
        ask(net(1), (INPUTS, REALS), loss=loss, goal="fastest", target=1e6)


def test_max_memory_leaves_out_what_needs_more(ask: Ask) -> None:
    weights = 4 * sum(parameter.numel() for parameter in net().parameters())
    advice = ask(net(), (INPUTS, CLASSES), max_memory=3 * weights)
    assert {c.recipe.optimizer.name for c in advice.ranking} == {"momentum"}
    assert all(c.cost.state_bytes <= weights for c in advice.ranking)
    assert advice.max_memory == 3 * weights
    assert "(activations not counted)" in str(advice)
    assert ask(net(), (INPUTS, CLASSES)).max_memory is None
    with pytest.raises(UserError, match="raise max_memory"):
        ask(net(), (INPUTS, CLASSES), max_memory=weights)


def test_fastest_puts_the_soonest_first_and_probes_nothing(
    ask: Ask, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped.load_shipped(0, models_folder).model, "floor", -1.0)
    advice = ask(net(), (INPUTS, CLASSES), goal="fastest")
    well_formed(advice)
    assert advice.probe.passes < 1.0, "looking at the data once"
    assert "what AdamW 1e-3 cosine reaches" in advice.reason
    assert not advice.abstained
    loaded = shipped.load_shipped(0, models_folder)
    shares = [candidate.cost.to_target for candidate in advice.ranking]
    assert all(share is not None and 0.0 < share <= 1.0 for share in shares)
    seconds = [
        loaded.relative_seconds[c.recipe.optimizer.name] * (c.cost.to_target or 0.0)
        for c in advice.ranking
    ]
    assert seconds == sorted(seconds)
    assert all(c.cost.to_target is None for c in ask(net(), (INPUTS, CLASSES)).ranking)


@pytest.mark.parametrize("kind", ["best", "fastest"])
def test_label_smoothing_is_never_offered_for_real_targets(ask: Ask, kind: str) -> None:
    advice = ask(net(1), (INPUTS, REALS), goal=kind)
    assert all(c.recipe.regularization.label_smoothing == 0.0 for c in advice.ranking)


def test_a_loader_with_its_own_sampler_keeps_its_batch_size(ask: Ask) -> None:
    sampler = torch.utils.data.WeightedRandomSampler([1.0] * SAMPLES, SAMPLES)
    advice = ask(net(), (loader(sampler=sampler), loader()))
    assert {c.recipe.batch_size for c in advice.ranking} == {BATCH}


NOT_FINITE = INPUTS.clone()
NOT_FINITE[0, 0] = float("nan")

BAD: list[tuple[str, Any, dict[str, Any], str]] = [
    ("no data", (net(),), {}, "data beside the model"),
    ("no model", ("resnet50", (INPUTS, CLASSES)), {}, "model"),
    ("a class of the wrong kind", (dict, (INPUTS, CLASSES)), {}, "torch.nn.Module"),
    ("another number of targets", (net(), (INPUTS, CLASSES[:-1])), {}, "."),
    ("not finite", (net(), (NOT_FINITE, CLASSES)), {}, "finite"),
    ("labels beyond the classes", (net(2), (INPUTS, CLASSES)), {}, "."),
    ("unknown loss", (net(), (INPUTS, CLASSES)), {"loss": "cross_entrpy"}, "cross_entropy"),
    ("budget", (net(), (INPUTS, CLASSES)), {"budget": "ten"}, "budget"),
    ("goal", (net(), (INPUTS, CLASSES)), {"goal": "bst"}, "best"),
    ("target for best", (net(), (INPUTS, CLASSES)), {"target": 0.2}, "fastest"),
    ("memory", (net(), (INPUTS, CLASSES)), {"max_memory": "lots"}, "max_memory"),
    ("device", (net(), (INPUTS, CLASSES)), {"device": "gpu"}, "device"),
    ("steps", (net(), (INPUTS, CLASSES)), {"steps": 0}, "steps"),
    ("steps and epochs", (net(), (INPUTS, CLASSES)), {"epochs": 2}, "steps or epochs"),
    ("batch size", (net(), (INPUTS, CLASSES)), {"batch_size": 10_000}, "batch size"),
    ("a Task and data", (Task(net(), (INPUTS, CLASSES)), (INPUTS, CLASSES)), {}, "Task"),
    ("a Task and a loss", (Task(net(), (INPUTS, CLASSES)),), {"loss": "mse"}, "Task"),
    ("empty data", (net(), (INPUTS[:0], CLASSES[:0])), {}, "."),
    ("wrong width", (net(), (INPUTS[:, :3], CLASSES)), {}, "."),
    ("nothing to train", (nn.Flatten(), (INPUTS, CLASSES)), {}, "."),
]


@pytest.mark.parametrize(("args", "settings", "message"), [row[1:] for row in BAD],
                         ids=[row[0] for row in BAD])  # fmt: skip
def test_bad_input(ask: Ask, args: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        ask(*args, **settings)
    assert "\n" not in str(raised.value), "one line"


def test_a_folder_may_be_a_text_and_nothing_else(ask: Ask, models_folder: Path) -> None:
    told = recommend(net(), (INPUTS, CLASSES), steps=200, batch_size=8, models=str(models_folder))
    assert told.ranking
    with pytest.raises(UserError, match="path of a folder"):
        recommend(net(), (INPUTS, CLASSES), steps=200, models=3)  # type: ignore[arg-type]


def test_lazy_layers_are_refused_before_anything_is_counted(ask: Ask) -> None:
    lazy = nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(3))
    with pytest.raises(UserError, match="run one batch through it first"):
        ask(lazy, (INPUTS, CLASSES))


def test_a_folder_that_lacks_a_tier_says_so(
    ask: Ask, models_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "FOLDER", models_folder)  # what the package would hold
    folder = tmp_path / "models"
    shutil.copytree(models_folder, folder)
    (folder / "meta_model_16.json").unlink()
    ask.folder = folder
    said: list[str] = []
    advice = ask(net(), (INPUTS, CLASSES), batch_size=BATCH, progress=said.append)
    assert advice.profile["tier"] == 0
    assert f"{folder} has no meta_model_16.json" in advice.reason
    assert any("meta_model_16.json" in line for line in said)
    assert "16.json" in ask(net(), (INPUTS, CLASSES), batch_size=BATCH, budget="60s").reason
    for harmless in (
        {"budget": "5%"},
        {"budget": "0.001s"},
        {"goal": "fastest"},
        {"models": models_folder},
    ):
        settings: dict[str, Any] = {"batch_size": BATCH, **harmless}
        assert ".json" not in ask(net(), (INPUTS, CLASSES), **settings).reason, "none is missed"


def test_targets_that_are_all_the_same_are_said(ask: Ask) -> None:
    said: list[str] = []
    advice = ask(net(), (INPUTS, torch.full_like(CLASSES, 2)), progress=said.append)
    well_formed(advice)
    assert "training targets looked at are 2:" in advice.reason
    assert any("looked at are 2:" in line for line in said)
    assert "looked at" not in ask(net(), (INPUTS, CLASSES)).reason


@pytest.mark.parametrize("goal", ["best", "fastest"])
def test_where_no_step_was_timed_the_table_tells_its_multiple(ask: Ask, goal: str) -> None:
    budget = "1%" if goal == "best" else "10%"
    advice = ask(net(), (INPUTS, CLASSES), goal=goal, budget=budget)
    assert all(c.cost.seconds_per_step is None for c in advice.ranking)
    for candidate, line in zip(advice.ranking, str(advice).splitlines()[3:], strict=False):
        assert f"  {candidate.cost.step_ratio:.2f} x AdamW's  " in line
    assert "x AdamW's" not in str(ask(net(), (INPUTS, CLASSES))), "seconds were measured"


def test_a_target_out_of_reach_is_said(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("advisor.ranking._LATE", 0.0)  # every time is too late
    advice = ask(net(1), (INPUTS, REALS), goal="fastest", target=1e-9)
    well_formed(advice)
    assert "hardly any recipe is predicted to reach a validation loss of 1e-09" in advice.reason
    scores = [candidate.expected.score for candidate in advice.ranking]
    assert scores == sorted(scores)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"task": nn.Linear(2, 2)}, "wrap it: Task"), ({"seed": 1.5}, "seed as a whole number"),
     ({"seed": -1}, "seed as a whole number"), ({"seed": "a"}, "seed as a whole number")],
    ids=["module", "fraction", "negative", "text"],
)  # fmt: skip
def test_refine_refuses_what_is_no_task_and_no_seed(
    ask: Ask, wrong: dict[str, Any], words: str
) -> None:
    advice = ask(net(), (INPUTS, CLASSES))
    with pytest.raises(UserError, match=words):
        advice.refine(trials=1, **wrong)
