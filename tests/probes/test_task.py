"""Anything a user has becomes a task, and stays as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from cases import CASES, CLASSES, classes_of, draw, half_frozen, made, mlp
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    TensorDataset,
    WeightedRandomSampler,
)

from probes.data import Samples
from probes.device import resolve_device
from probes.errors import UserError
from probes.recipe.schema import Recipe
from probes.task import Task

INPUTS = draw(100, 6)
LABELS = classes_of(INPUTS)


def _rows(samples: Samples) -> Tensor:
    return torch.cat([batch[0] for batch in samples.ordered(32)])


def _targets(samples: Samples) -> Tensor:
    return torch.cat([batch[1] for batch in samples.ordered(32)])


class Stream(IterableDataset[tuple[Tensor, Tensor]]):
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(zip(INPUTS, LABELS, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_every_case_is_prepared(name: str) -> None:
    case = CASES[name]
    prepared = case.make().prepared
    assert prepared.objective.loss_name == case.loss
    metric = prepared.objective.metric
    assert (None if metric is None else metric.name) == case.metric
    assert (len(prepared.train), len(prepared.validation)) == (77, 19)
    assert (prepared.batch_size, prepared.steps, prepared.samples_budget) == (16, 12, 192)
    if case.metric is not None:
        assert any(note.startswith(f"loss {case.loss}") for note in prepared.notes)
    assert any("held out" in note for note in prepared.notes)


def _pairs() -> dict[str, Any]:
    whole, held = (INPUTS, LABELS), (INPUTS[:30] + 1, LABELS[:30])
    datasets = TensorDataset(*whole), TensorDataset(*held)
    sampler = WeightedRandomSampler([1.0] * 100, 100)
    return {
        "tensors": (whole, held),
        "arrays": tuple(tuple(part.numpy() for part in pair) for pair in (whole, held)),
        "datasets": datasets,
        "list": list(datasets),
        "loaders": tuple(DataLoader(part, batch_size=10) for part in datasets),
        "mixed": (DataLoader(datasets[0], batch_size=10), held),
        "sampler": (DataLoader(datasets[0], batch_size=10, sampler=sampler), held),
        "iterable": (DataLoader(Stream(), batch_size=10), held),
    }


@pytest.mark.parametrize("form", _pairs())
def test_a_pair_of_any_form_is_train_and_validation(form: str) -> None:
    task = Task(made(mlp), _pairs()[form], steps=3)
    prepared = task.prepared
    torch.testing.assert_close(_rows(prepared.validation), INPUTS[:30] + 1)
    assert len(prepared.train) == 100
    same = Task(made(mlp), _pairs()[form][0], _pairs()[form][1], steps=3).prepared
    torch.testing.assert_close(_rows(same.validation), INPUTS[:30] + 1)


def test_a_fifth_is_held_out_seeded_stratified_and_disjoint() -> None:
    labels = torch.tensor([0] * 70 + [1] * 20 + [2] * 10)
    inputs = torch.cat([torch.arange(100.0).unsqueeze(1), draw(100, 5)], 1)
    prepared = Task(made(mlp), (inputs, labels), steps=1).prepared
    counts = _targets(prepared.validation).bincount(minlength=3)
    assert counts.tolist() == [14, 4, 2]
    kept, held = (set(_rows(s)[:, 0].tolist()) for s in (prepared.train, prepared.validation))
    assert kept | held == set(range(100))
    assert not kept & held
    torch.manual_seed(5)
    again = Task(made(mlp), (inputs, labels), steps=1).prepared
    assert torch.equal(_rows(again.validation), _rows(prepared.validation))
    assert any("stratified" in note for note in prepared.notes)


def test_regression_is_held_out_without_classes() -> None:
    prepared = Task(mlp(6, 1), (INPUTS, INPUTS[:, 0]), steps=1).prepared
    assert len(prepared.validation) == 20
    assert any("20 of 100 samples held out (seeded)" in note for note in prepared.notes)


def test_every_fifth_batch_of_an_iterable_is_held_out() -> None:
    prepared = Task(made(mlp), DataLoader(Stream(), batch_size=10), steps=1).prepared
    torch.testing.assert_close(
        _rows(prepared.validation), torch.cat([INPUTS[40:50], INPUTS[90:100]])
    )
    assert len(prepared.train) == 80


@pytest.mark.parametrize(
    ("count", "settings", "batch_size", "steps"),
    [
        (100, {}, 16, 20 * 5), (400, {}, 32, 20 * 10), (1600, {}, 64, 20 * 20),
        (100, {"batch_size": 20}, 20, 20 * 4), (100, {"batch_size": 20, "epochs": 2.5}, 20, 10),
        (100, {"steps": 7}, 16, 7), (100, {"epochs": 0.01}, 16, 1), (10, {}, 8, 20),
    ],
)  # fmt: skip
def test_batch_size_and_budget_are_settled(
    count: int, settings: dict[str, Any], batch_size: int, steps: int
) -> None:
    inputs = draw(count, 6)
    prepared = Task(made(mlp), (inputs, classes_of(inputs)), **settings).prepared
    assert (prepared.batch_size, prepared.steps) == (batch_size, steps)
    told = " ".join(prepared.notes)
    assert ("batch size" in told) == ("batch_size" not in settings)
    assert ("20 epochs" in told) == (not {"steps", "epochs"} & set(settings))


def test_the_loaders_batch_size_counts() -> None:
    loader = DataLoader(TensorDataset(INPUTS, LABELS), batch_size=12)
    assert Task(made(mlp), loader, steps=1).prepared.batch_size == 12
    assert Task(made(mlp), loader, steps=1, batch_size=5).prepared.batch_size == 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_data_are_cast_to_the_models_precision_and_it_is_said(dtype: torch.dtype) -> None:
    model = made(lambda: mlp(6, 1)).to(dtype)
    data = (INPUTS.double().numpy(), INPUTS[:, 0].double().numpy())
    prepared = Task(model, (data, data), test=data, steps=1).prepared
    for samples in (prepared.train, prepared.validation, prepared.test):
        assert samples is not None
        assert {t.dtype for t in next(iter(samples.ordered(4)))} == {dtype}
    casts = [note for note in prepared.notes if "cast from float64" in note]
    assert len(casts) == (dtype != torch.float64)


def test_models_are_made_fresh() -> None:
    module = made(half_frozen)
    module[0].weight.grad = torch.ones(16, 6)
    copy = Task(module, (INPUTS, LABELS)).make_model()
    assert copy is not module
    assert not {id(p) for p in copy.parameters()} & {id(p) for p in module.parameters()}
    assert [p.requires_grad for p in copy.parameters()] == [False, False, True, True]
    assert Task(mlp, (INPUTS, LABELS)).name == "mlp"
    assert Task(nn.Sequential(), (INPUTS, LABELS)).name == "Sequential"
    assert isinstance(Task(nn.Sequential, (INPUTS, LABELS)).make_model(), nn.Sequential)


def test_a_callable_must_make_a_new_module_each_time() -> None:
    module = mlp()
    task = Task(lambda: module, (INPUTS, LABELS), steps=1)
    task.make_model()
    with pytest.raises(UserError, match="the same module again"):
        task.make_model()
    with pytest.raises(UserError, match="returned int"):
        Task(lambda: 3, (INPUTS, LABELS), steps=1).prepared  # type: ignore[arg-type,return-value]  # noqa: B018


def test_parts_that_a_callable_puts_into_all_it_makes_are_copied() -> None:
    backbone = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5))
    state = {name: value.clone() for name, value in backbone.state_dict().items()}
    task = Task(lambda: nn.Sequential(backbone, nn.Linear(5, 3)), (INPUTS, LABELS), steps=4)
    recipe = Recipe.parse({"optimizer": {"name": "adamw", "lr": 0.1}})
    first, second = recipe.fit(task), recipe.fit(task)
    assert first.final == second.final
    assert first.initial == second.initial
    assert all(torch.equal(state[name], value) for name, value in backbone.state_dict().items())
    assert all(parameter.grad is None for parameter in backbone.parameters())


def test_whether_parts_are_shared_is_found_without_moving_the_random_streams() -> None:
    def weights(check: bool) -> Tensor:
        task = Task(lambda: nn.Linear(6, 3), (INPUTS, LABELS))
        if check:
            task.make_model()
        torch.manual_seed(5)
        task.make_model()
        return torch.rand(3)

    assert torch.equal(weights(True), weights(False))


def test_a_function_called_like_a_known_loss_is_not_taken_for_it() -> None:
    def mse(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.exp() - targets[:, None]).square().mean()

    targets = LABELS.float()
    prepared = Task(mlp(6, 2), (INPUTS, targets), loss=mse, steps=1).prepared
    assert prepared.objective.loss_name == "own mse"
    assert prepared.objective.metric is None


def test_a_model_that_cannot_be_copied_is_refused() -> None:
    model = mlp()
    model.cache = model[0].weight * 2  # a tensor with a graph
    with pytest.raises(UserError, match="callable that makes the model"):
        Task(model, (INPUTS, LABELS), steps=1).prepared  # noqa: B018


def test_another_budget() -> None:
    task = CASES["classifier"].make()
    longer = task.with_steps(500)
    assert (longer.prepared.steps, task.prepared.steps) == (500, 12)
    assert longer.model is task.model
    with pytest.raises(UserError):
        task.with_steps(0)


def _nan() -> Tensor:
    inputs = INPUTS.clone()
    inputs[4, 2] = float("nan")
    return inputs


class NanRows(IterableDataset[tuple[Tensor, Tensor]]):
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(zip(_nan(), LABELS, strict=True))


GOOD = (INPUTS, LABELS)
OUTSIDE = torch.tensor([0, 1, 2, 3, 4, 5, 6, 1, 0, 2])  # nearly all different
BAD: dict[str, tuple[Callable[[], Task], tuple[str, ...]]] = {
    "steps 0": (lambda: Task(mlp(), GOOD, steps=0), ("steps", "got 0")),
    "steps text": (lambda: Task(mlp(), GOOD, steps="9"), ("steps", "'9'")),
    "steps half": (lambda: Task(mlp(), GOOD, steps=1.5), ("steps", "1.5")),
    "steps true": (lambda: Task(mlp(), GOOD, steps=True), ("steps", "True")),
    "epochs": (lambda: Task(mlp(), GOOD, epochs=-1), ("epochs above 0", "-1")),
    "epochs text": (lambda: Task(mlp(), GOOD, epochs="3"), ("epochs",)),
    "both budgets": (lambda: Task(mlp(), GOOD, steps=1, epochs=1), ("steps or epochs", "both")),
    "both losses": (
        lambda: Task(mlp(), GOOD, loss="mse", training_step=lambda m, b: m(b[0]).sum()),
        ("loss or training_step",),
    ),
    "batch size 0": (lambda: Task(mlp(), GOOD, batch_size=0), ("batch_size", "got 0")),
    "batch size large": (lambda: Task(mlp(), GOOD, batch_size=81), ("at most 80", "got 81")),
    "loader large": (
        lambda: Task(mlp(), DataLoader(TensorDataset(*GOOD), batch_size=90)), ("at most 80", "90"),
    ),
    "sampler's size": (
        lambda: Task(mlp(), (DataLoader(Stream(), batch_size=10), GOOD), batch_size=7),
        ("of the loader, 10", "got 7"),
    ),
    "sampler without validation": (
        lambda: Task(mlp(), DataLoader(TensorDataset(*GOOD), sampler=[1, 2, 3])),
        ("(train, validation) pair", "sampler"),
    ),
    "one sample": (lambda: Task(mlp(), (INPUTS[:1], LABELS[:1])), ("at least two samples",)),
    "empty": (lambda: Task(mlp(), (INPUTS[:0], LABELS[:0])), ("at least one sample",)),
    "empty validation": (
        lambda: Task(mlp(), GOOD, (INPUTS[:0], LABELS[:0])), ("sample in the validation data",),
    ),
    "generator": (lambda: Task(mlp(), (pair for pair in [GOOD])), ("only once",)),
    "generator in a pair": (lambda: Task(mlp(), (iter([GOOD]), iter([GOOD]))), ("only once",)),
    "NaN": (lambda: Task(mlp(), (_nan(), LABELS)), ("finite", "train inputs", "row 4")),
    "NaN in validation": (
        lambda: Task(mlp(), GOOD, (_nan(), LABELS)), ("finite", "validation inputs"),
    ),
    "NaN in test": (lambda: Task(mlp(), GOOD, GOOD, (_nan(), LABELS)), ("finite", "test inputs")),
    "NaN in a stream": (
        lambda: Task(mlp(), DataLoader(NanRows(), batch_size=10)), ("finite", "first batch"),
    ),
    "labels": (lambda: Task(mlp(), (INPUTS, LABELS + 1)), ("from 0 to 2", "label 3")),
    "labels in validation": (
        lambda: Task(mlp(), GOOD, (INPUTS[:10], OUTSIDE)), ("from 0 to 2", "label 3"),
    ),
    "labels in test": (
        lambda: Task(mlp(), GOOD, GOOD, (INPUTS[:10], OUTSIDE)), ("from 0 to 2", "label 3"),
    ),
    "labels of log-probabilities": (
        lambda: Task(nn.Sequential(mlp(), nn.LogSoftmax(-1)), GOOD, (INPUTS[:10], OUTSIDE)),
        ("from 0 to 2", "label 3"),
    ),
    "tokens in validation": (
        lambda: Task(nn.Embedding(5, 5), torch.ones(20, 4).long(), torch.full((20, 4), 5)),
        ("from 0 to 4", "label 5"),
    ),
    "lengths": (lambda: Task(mlp(), (INPUTS, LABELS[:-1])), ("same length",)),
    "inputs": (lambda: Task(mlp(), (INPUTS[:, :5], LABELS)), ("takes a batch", "5) float32")),
    "outputs": (lambda: Task(mlp(), (INPUTS, INPUTS[:, 0])), ("one output per target",)),
    "loss name": (lambda: Task(mlp(), GOOD, loss="cross_entropi"), ("did you mean",)),
    "loss type": (lambda: Task(mlp(), GOOD, loss=3), ("loss", "int")),
    "loss class": (
        lambda: Task(mlp(), GOOD, loss=nn.CrossEntropyLoss),
        ("the class nn.CrossEntropyLoss", "make one of it: nn.CrossEntropyLoss()"),
    ),
    "own loss class": (lambda: Task(mlp(), GOOD, loss=Constant), ("make one of it: Constant()",)),
    "metric name": (lambda: Task(mlp(), GOOD, metric="acuracy"), ("did you mean",)),
    "model": (lambda: Task("net", GOOD), ("torch.nn.Module", "str")),
    "data": (lambda: Task(mlp(), "train.csv"), ("DataLoader", "str")),
    "text arrays": (lambda: Task(mlp(), (np.array(["a"] * 9), np.zeros(9))), ("numbers",)),
    "autocast": (lambda: Task(mlp(), GOOD, autocast="float16"), ("bfloat16", "float16")),
}  # fmt: skip


class Late(Dataset[Any]):
    """Rows of which the last is what the test says."""

    def __init__(self, last: Any, count: int = 60) -> None:
        self.last, self.count = last, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        return (INPUTS[index], LABELS[index]) if index < self.count - 1 else self.last


class NoItems(Dataset[Any]):
    def __len__(self) -> int:
        return 9


class Negative(Late):
    def __len__(self) -> int:
        return -1


class ListStream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return [(INPUTS[0], LABELS[0])]


class CopiesTo(nn.Linear):
    """Its copy is what the test says."""

    def __init__(self, own: bool) -> None:
        super().__init__(6, 3)
        self.own = own

    def __deepcopy__(self, memo: Any) -> Any:
        return self if self.own else None


class Detached(nn.Linear):
    """Gives no gradient in training mode."""

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = super().forward(inputs)
        return outputs.detach() if self.training else outputs


class Constant(nn.Linear):
    """Adds NaN to what it computes."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs) + float("nan")


def _filled(value: float) -> nn.Module:
    model = mlp()
    nn.init.constant_(model[0].weight, value)
    return model


def _wrong_metric(outputs: Tensor, targets: Tensor) -> float:
    raise ValueError("a mix of kinds")


def _step_in_training(value: Any) -> Callable[[nn.Module, Any], Any]:
    def step(model: nn.Module, batch: Any) -> Any:
        loss = functional.cross_entropy(model(batch[0]), batch[1])
        return value(loss) if model.training else loss

    return step


NAN_ROW = (torch.full((6,), float("nan")), LABELS[0])
_OUTSIDE = mlp()


def _of_another_model(model: nn.Module, batch: Any) -> Tensor:
    return nn.functional.cross_entropy(_OUTSIDE(batch[0]), batch[1])


def _steps_itself(model: nn.Module, batch: Any) -> Tensor:
    loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
    torch.autograd.backward(loss)
    return loss


BAD |= {
    "loss of another model": (
        lambda: Task(mlp(), GOOD, training_step=_of_another_model), ("another model", "copies"),
    ),
    "a step that calls backward": (
        lambda: Task(mlp(), GOOD, training_step=_steps_itself), ("calls backward itself",),
    ),
    "NaN in a late sample": (lambda: Task(mlp(), Late(NAN_ROW), GOOD), ("train", "sample 59")),
    "NaN in a sample that may be held out": (lambda: Task(mlp(), Late(NAN_ROW)), ("sample 59",)),
    "NaN in a late sample of double precision": (
        lambda: Task(mlp(), Late((NAN_ROW[0].double(), LABELS[0]))), ("sample 59",),
    ),
    "NaN in a late sample of validation": (
        lambda: Task(mlp(), GOOD, Late(NAN_ROW)), ("finite", "validation", "sample 59"),
    ),
    "NaN late, real targets": (
        lambda: Task(mlp(6, 1), Late((NAN_ROW[0], LABELS[0])), GOOD, loss="mse"), ("sample 59",),
    ),
    "NaN weights": (lambda: Task(_filled(float("nan")), GOOD), ("finite weights", "0.weight")),
    "infinite weights": (lambda: Task(_filled(float("inf")), GOOD), ("finite weights",)),
    "NaN outputs": (lambda: Task(Constant(6, 3), GOOD), ("finite loss", "weights and outputs")),
    "validation width": (lambda: Task(mlp(), GOOD, (INPUTS[:, :5], LABELS)), ("validation data",)),
    "test width": (lambda: Task(mlp(), GOOD, test=(INPUTS[:, :5], LABELS)), ("test data",)),
    "validation kind": (
        lambda: Task(mlp(), GOOD, (INPUTS, INPUTS[:, 0])), ("validation data", "long"),
    ),
    "validation yes or no": (
        lambda: Task(mlp(6, 1), (INPUTS, LABELS > 0), (INPUTS, LABELS)),
        ("from 0 to 1", "validation data"),
    ),
    "None sample": (lambda: Task(mlp(), Late(None), GOOD), ("sample 59 of the train", "NoneType")),
    "ragged sample": (
        lambda: Task(mlp(), Late((INPUTS[0, :4], LABELS[0])), GOOD), ("sample 59", "equal size"),
    ),
    "no items": (lambda: Task(mlp(), NoItems(), GOOD), ("sample 0", "NotImplementedError")),
    "negative length": (lambda: Task(mlp(), Negative(None), GOOD), ("with a length", ">= 0")),
    "list from iter": (lambda: Task(mlp(), ListStream(), GOOD), ("batch 0 of the loader", "list")),
    "in a worker": (
        lambda: Task(mlp(), DataLoader(Late(None, 4), 4, sampler=range(4), num_workers=1), GOOD),
        ("batch 0 of the loader", "worker process", "NoneType"),
    ),
    "metric None": (lambda: Task(mlp(), GOOD, metric=lambda o, t: None), ("one number", "None")),
    "metric text": (lambda: Task(mlp(), GOOD, metric=lambda o, t: "high"), ("one number", "str")),
    "metric vector": (lambda: Task(mlp(), GOOD, metric=lambda o, t: o), ("one number", "(20, 3)")),
    "metric fails": (lambda: Task(mlp(), GOOD, metric=_wrong_metric), ("_wrong_metric", "a mix")),
    "gradient only in evaluation": (lambda: Task(Detached(6, 3), GOOD), ("without a gradient",)),
    "model with arguments": (lambda: Task(lambda a: mlp(), GOOD), ("without arguments", "(a)")),
    "class with arguments": (lambda: Task(nn.Linear, GOOD), ("without arguments", "Linear")),
    "meta model": (lambda: Task(mlp().to("meta"), GOOD), ("meta device", "materialize")),
    "copy is None": (lambda: Task(CopiesTo(False), GOOD), ("copy", "NoneType")),
    "copy is itself": (lambda: Task(CopiesTo(True), GOOD), ("independent", "shares")),
    "meta data": (lambda: Task(mlp(), (INPUTS.to("meta"), LABELS)), ("train", "meta device")),
    "sparse data": (lambda: Task(mlp(), (INPUTS.to_sparse(), LABELS)), ("dense", "to_dense")),
    "flat ids": (lambda: Task(nn.Embedding(5, 5), torch.ones(20).long()), ("token ids", "(16,)")),
    "empty batch": (
        lambda: Task(mlp(), DataLoader(Late(GOOD), 4, collate_fn=lambda rows: []), GOOD),
        ("a batch as a tensor", "collate_fn"),
    ),
    "epochs infinite": (lambda: Task(mlp(), GOOD, epochs=float("inf")), ("epochs", "inf")),
    "epochs NaN": (lambda: Task(mlp(), GOOD, epochs=float("nan")), ("epochs", "nan")),
    "name": (lambda: Task(mlp(), GOOD, name=5), ("name as text", "5")),
    "column of labels": (lambda: Task(mlp(), (INPUTS, LABELS[:, None])), ("squeeze(1)",)),
    "real labels": (lambda: Task(mlp(), (INPUTS, LABELS.float())), (".long()",)),
    "real labels, cross-entropy": (
        lambda: Task(mlp(), (INPUTS, LABELS.float()), loss="cross_entropy"), ("targets.long()",),
    ),
    **{
        f"training step {name}": (
            lambda value=value: Task(mlp(), GOOD, training_step=_step_in_training(value)), words,
        )
        for name, value, words in (
            ("None", lambda loss: None, ("one number", "None")),
            ("float", lambda loss: 1.0, ("one number", "float")),
            ("vector", lambda loss: loss.expand(2), ("one number", "(2,)")),
            ("detached", Tensor.detach, ("without a gradient",)),
        )
    },
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_is_refused() -> None:
    model = torch.jit.script(mlp())
    for given in (model, lambda: torch.jit.script(mlp())):
        with pytest.raises(UserError, match="TorchScript"):
            Task(given, GOOD, steps=1).prepared  # noqa: B018


class Broken(Late):
    def __getitem__(self, index: int) -> Any:
        raise KeyError("own")


def test_an_error_of_the_users_own_code_passes_as_it_is() -> None:
    with pytest.raises(KeyError, match="own"):
        Task(mlp(), Broken(None), GOOD).prepared  # noqa: B018


def test_hooks_of_parameters_are_not_copied_and_it_is_said() -> None:
    model = mlp()
    assert not any("hooks" in note for note in Task(model, GOOD, steps=1).prepared.notes)
    model[0].weight.register_hook(lambda gradient: gradient)
    assert any("0.weight" in note for note in Task(model, GOOD, steps=1).prepared.notes)


class Endless(IterableDataset[tuple[Tensor, Tensor]]):
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield INPUTS[0], LABELS[0]


def test_a_stream_without_an_end_gives_fifty_batches_to_validate() -> None:
    prepared = Task(made(mlp), Endless(), steps=1, batch_size=4).prepared
    assert prepared.batch_size == 4
    assert len(prepared.validation) == 200
    assert any("50 of these" in note for note in prepared.notes)


def test_a_stream_without_an_end_has_no_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.data._MOST_BATCHES", 30)
    with pytest.raises(UserError, match="give steps"):
        Task(made(mlp), Endless(), batch_size=4).prepared  # noqa: B018


def test_whole_numbers_of_numpy_are_taken() -> None:
    task = Task(made(mlp), GOOD, steps=np.int64(3), batch_size=np.int32(5))  # type: ignore[arg-type]
    assert (task.prepared.steps, task.prepared.batch_size) == (3, 5)
    assert type(task.steps) is int


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_said_in_one_line(name: str) -> None:
    make, words = BAD[name]
    with pytest.raises(UserError) as error:
        make().prepared  # noqa: B018
    message = str(error.value)
    assert message.startswith("expected ")
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_what_works_is_not_refused() -> None:
    smallest = Task(made(mlp), (INPUTS[:2], LABELS[:2]), steps=1).prepared
    assert (len(smallest.train), len(smallest.validation), smallest.batch_size) == (1, 1, 1)
    Task(made(mlp), GOOD, batch_size=80, steps=1).prepared  # noqa: B018
    assert Task(made(mlp), GOOD, steps=1, loss="cross_entropy").prepared.objective.cross_entropy
    assert CLASSES == 3


def test_devices() -> None:
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    for wrong in ("gpu", "cuda:99", "", "meta"):
        with pytest.raises(UserError) as error:
            resolve_device(wrong)
        assert repr(wrong) in str(error.value)
