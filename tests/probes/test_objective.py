"""Loss and metric: inferred, aligned, checked."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cases import CLASSES, LENGTH, VOCABULARY, Transformer, classes_of, draw, ids, made, mlp
from torch import Tensor, nn
from torch.nn import functional

from probes.errors import UserError
from probes.inference import check_labels, class_count, make_objective
from probes.losses import LOSSES, METRICS, token_cross_entropy
from probes.objective import Metric, Objective, call, split

INPUTS = draw(20, 6)
LABELS = classes_of(INPUTS)
ONE_HOT = functional.one_hot(LABELS, CLASSES).float()
TOKENS = ids(20, LENGTH)


def _model(outputs: int, last: nn.Module | None = None) -> nn.Module:
    return made(lambda: nn.Sequential(mlp(6, outputs), last or nn.Identity())).eval()


def _objective(model: nn.Module, targets: Any, **chosen: Any) -> tuple[Objective, list[str]]:
    settings = {"loss": None, "metric": None, "training_step": None, **chosen}
    return make_objective(model, (INPUTS, targets), **settings)


@pytest.mark.parametrize(
    ("model", "targets", "loss", "metric"),
    [
        (_model(3), LABELS, "cross_entropy", "accuracy"),
        (_model(3), LABELS.int(), "cross_entropy", "accuracy"),
        (_model(3), LABELS.to(torch.uint8), "cross_entropy", "accuracy"),
        (_model(3), ONE_HOT, "cross_entropy", "accuracy"),
        (_model(2), (LABELS > 0).long(), "cross_entropy", "accuracy"),
        (_model(3, nn.LogSoftmax(-1)), LABELS, "nll", "accuracy"),
        (_model(3, nn.LogSoftmax(-1)), LABELS.int(), "nll", "accuracy"),
        (_model(3, nn.Softmax(-1)), LABELS, "probability_nll", "accuracy"),
        (_model(3, nn.Softmax(-1)), LABELS.int(), "probability_nll", "accuracy"),
        (_model(1), (LABELS > 0).long(), "binary_cross_entropy", "binary_accuracy"),
        (_model(1), (LABELS > 0).float(), "binary_cross_entropy", "binary_accuracy"),
        (_model(1, nn.Flatten(0)), LABELS > 0, "binary_cross_entropy", "binary_accuracy"),
        (_model(1, nn.Sigmoid()), (LABELS > 0).float(), "probability_binary_cross_entropy",
         "binary_accuracy"),
        (_model(4), (INPUTS[:, :4] > 0).float(), "binary_cross_entropy", "binary_accuracy"),
        (_model(1), INPUTS[:, 0], "mse", "mae"),
        (_model(1), INPUTS[:, :1], "mse", "mae"),
        (_model(1), LABELS, "mse", "mae"),
        (_model(3), INPUTS[:, :3], "mse", "mae"),
    ],
)  # fmt: skip
def test_loss_and_metric_are_inferred_and_said(
    model: nn.Module, targets: Tensor, loss: str, metric: str
) -> None:
    objective, notes = _objective(model, targets)
    assert objective.loss_name == loss
    assert objective.cross_entropy == (loss == "cross_entropy")
    result = objective.evaluate(model, [(INPUTS, targets)])
    assert list(result) == ["loss", metric]
    assert any(note.startswith(f"loss {loss}: ") for note in notes)
    assert any(note.startswith("metric ") for note in notes)


def test_tokens_give_a_cross_entropy_per_position() -> None:
    model = made(Transformer).eval()
    objective, _ = make_objective(model, (TOKENS, TOKENS), None, None, None)
    outputs = model(TOKENS)
    assert outputs.shape == (20, LENGTH, VOCABULARY)
    expected = functional.cross_entropy(outputs.reshape(-1, VOCABULARY), TOKENS.reshape(-1))
    torch.testing.assert_close(objective(model, (TOKENS, TOKENS)), expected)
    accuracy = (outputs.argmax(-1) == TOKENS).double().mean()
    found = objective.evaluate(model, [(TOKENS, TOKENS)])["accuracy"]
    assert found == pytest.approx(float(accuracy))


@pytest.mark.parametrize("smoothing", [0.05, 0.3])
@pytest.mark.parametrize("shape", ["(N, C)", "(N, T, C)", "(N, C, H, W)"])
def test_label_smoothing_is_torchs_own(smoothing: float, shape: str) -> None:
    plain = nn.CrossEntropyLoss(label_smoothing=smoothing)
    if shape == "(N, T, C)":
        outputs, targets = draw(5, 7, 4), ids(5, 7, top=4)
        expected = plain(outputs.flatten(0, 1), targets.flatten())
    else:
        sides = () if shape == "(N, C)" else (3, 2)
        outputs, targets = draw(5, 4, *sides), ids(5, *sides, top=4)
        expected = plain(outputs, targets)
    torch.testing.assert_close(token_cross_entropy(outputs, targets, smoothing), expected)


def test_smoothing_changes_a_copy_and_only_a_cross_entropy() -> None:
    model = _model(3)
    objective, _ = _objective(model, LABELS)
    batch = (INPUTS, LABELS)
    smooth = objective.smoothed(0.1)
    torch.testing.assert_close(
        smooth(model, batch), functional.cross_entropy(model(INPUTS), LABELS, label_smoothing=0.1)
    )
    torch.testing.assert_close(
        objective(model, batch), functional.cross_entropy(model(INPUTS), LABELS)
    )
    assert objective.smoothed(0.0) is objective
    regression, _ = _objective(_model(1), INPUTS[:, 0])
    with pytest.raises(UserError, match="cross-entropy loss for label smoothing, got the loss mse"):
        regression.smoothed(0.1)


@pytest.mark.parametrize("loss", ["mse", nn.MSELoss(), functional.mse_loss])
@pytest.mark.parametrize("column", [True, False])
def test_a_column_of_outputs_meets_a_row_of_targets(loss: Any, column: bool) -> None:
    model = _model(1, nn.Identity() if column else nn.Flatten(0))
    targets = INPUTS[:, 0] if column else INPUTS[:, :1]
    objective, _ = _objective(model, targets, loss=loss)
    expected = (model(INPUTS).flatten() - targets.flatten()).square().mean()
    torch.testing.assert_close(objective(model, (INPUTS, targets)), expected)


@pytest.mark.parametrize(
    ("loss", "name", "smooths"),
    [(nn.CrossEntropyLoss(), "cross_entropy", True),
     (functional.cross_entropy, "cross_entropy", True),
     (nn.CrossEntropyLoss(label_smoothing=0.1), "cross_entropy", False),
     (nn.CrossEntropyLoss(weight=torch.ones(3)), "cross_entropy", False),
     (nn.MultiMarginLoss(), "MultiMarginLoss", False),
     (lambda out, target: functional.cross_entropy(out, target), "<lambda>", False)],
)  # fmt: skip
def test_the_users_own_loss_is_used(loss: Any, name: str, smooths: bool) -> None:
    model = _model(3)
    objective, _ = _objective(model, LABELS, loss=loss)
    assert (objective.loss_name, objective.cross_entropy) == (name, smooths)
    batch = (INPUTS, LABELS)
    torch.testing.assert_close(objective(model, batch), loss(model(INPUTS), LABELS))


@pytest.mark.parametrize("name", LOSSES)
def test_losses_by_name(name: str) -> None:
    last = {"nll": nn.LogSoftmax(-1), "probability_nll": nn.Softmax(-1),
            "probability_binary_cross_entropy": nn.Sigmoid()}.get(name)  # fmt: skip
    integers = name in ("cross_entropy", "nll", "probability_nll")
    targets = LABELS if integers else (INPUTS[:, :3] > 0).float()
    objective, _ = _objective(_model(3, last), targets, loss=name)
    assert objective.loss_name == name
    assert objective(_model(3, last), (INPUTS, targets)).item() > 0


@pytest.mark.parametrize("name", METRICS)
def test_metrics_are_right_at_the_extremes(name: str) -> None:
    metric = METRICS[name]
    if name == "accuracy":
        right, targets = ONE_HOT, LABELS
    else:
        targets = (INPUTS[:, 0] > 0).float()
        right = (targets - 0.5 if name == "binary_accuracy" else targets).unsqueeze(1)
    wrong = -right if name in ("accuracy", "binary_accuracy") else 1 - right
    best, worst = (1.0, 0.0) if metric.greater_is_better else (0.0, 1.0)
    assert float(metric.function(right, targets)) == best
    assert float(metric.function(wrong, targets)) == worst


def test_accuracy_leaves_out_ignored_tokens() -> None:
    outputs, targets = functional.one_hot(ids(4, 5, top=6), 6).float(), ids(4, 5, top=6)
    targets[:, 3:] = -100
    assert float(METRICS["accuracy"].function(outputs, targets)) == 1.0


def _half(outputs: Tensor, targets: Tensor) -> float:
    return 0.5


def test_metrics_of_the_users_own() -> None:
    model = _model(3)
    objective, _ = _objective(model, LABELS, metric=_half)
    assert objective.evaluate(model, [(INPUTS, LABELS)])["_half"] == 0.5
    own = Metric("error", lambda out, target: (out.argmax(1) != target).double().mean(), False)
    objective, _ = _objective(model, LABELS, metric=own)
    assert "error" in objective.evaluate(model, [(INPUTS, LABELS)])


def test_evaluation_weights_batches_by_size_and_restores_the_mode() -> None:
    model = nn.Sequential(nn.BatchNorm1d(6), made(mlp), nn.Dropout(0.5)).train()
    objective, _ = _objective(_model(3), LABELS)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    batches = [(INPUTS[:13], LABELS[:13]), (INPUTS[13:], LABELS[13:])]
    parts = objective.evaluate(model, batches)
    assert model.training
    assert parts == pytest.approx(objective.evaluate(model, [(INPUTS, LABELS)]))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    with pytest.raises(UserError, match="at least one batch"):
        objective.evaluate(model, [])


def test_a_training_step_is_the_loss() -> None:
    model = _model(3)
    objective, notes = _objective(model, LABELS, training_step=lambda m, b: m(b[0]).square().mean())
    expected = model(INPUTS).square().mean()
    torch.testing.assert_close(objective(model, (INPUTS, LABELS)), expected)
    result = objective.evaluate(model, [(INPUTS, LABELS)])
    assert result == {"loss": pytest.approx(expected.item())}
    assert any("training_step" in note for note in notes)


def test_autocast_lowers_the_precision_of_the_forward() -> None:
    model, seen = _model(3), []
    model.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    objective, _ = _objective(model, LABELS, autocast=torch.bfloat16)
    seen.clear()
    loss = objective(model, (INPUTS, LABELS))
    objective.evaluate(model, [(INPUTS, LABELS)])
    assert seen == [torch.bfloat16] * 2
    assert loss.item() == pytest.approx(
        functional.cross_entropy(model(INPUTS), LABELS).item(), 0.05
    )


@pytest.mark.parametrize(
    ("batch", "inputs", "targets"),
    [((INPUTS, LABELS), INPUTS, LABELS), ([INPUTS, LABELS], INPUTS, LABELS),
     ({"x": INPUTS, "labels": LABELS}, INPUTS, LABELS),
     ({"y": LABELS, "x": INPUTS}, INPUTS, LABELS),
     ((INPUTS,), INPUTS, INPUTS), (INPUTS, INPUTS, INPUTS),
     (TOKENS, TOKENS[:, :-1], TOKENS[:, 1:])],
)  # fmt: skip
def test_split_of_batches(batch: Any, inputs: Tensor, targets: Tensor) -> None:
    found = split(batch)
    assert torch.equal(found[0], inputs)
    assert torch.equal(found[1], targets)


def test_several_inputs_are_handed_over_by_position_or_name() -> None:
    inputs, targets = split((INPUTS, TOKENS, LABELS))
    assert isinstance(inputs, tuple)
    assert torch.equal(targets, LABELS)
    named, _ = split({"a": INPUTS, "b": TOKENS, "target": LABELS})
    assert list(named) == ["a", "b"]

    class Two(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return a.sum() + 10 * b.sum()

    expected = INPUTS.sum() + 10 * TOKENS.sum()
    assert call(Two(), inputs) == call(Two(), named) == expected


def test_class_count() -> None:
    assert class_count(draw(4, 9), ids(4)) == 9
    assert class_count(draw(4, 5, 9), ids(4, 5)) == 9
    assert class_count(draw(4, 9, 5), ids(4, 5)) == 9
    assert class_count(draw(4, 9, 3, 2), ids(4, 3, 2)) == 9


def test_labels_that_are_ignored_are_no_labels() -> None:
    check_labels(torch.tensor([0, 2, -100]), 3)
    check_labels(torch.tensor([0, 2, -1]), 3, ignored=-1)
    with pytest.raises(UserError, match="label -1"):
        check_labels(torch.tensor([0, 2, -1]), 3)
    loss = nn.CrossEntropyLoss(ignore_index=-1)
    targets = LABELS.clone()
    targets[0] = -1
    objective, _ = _objective(_model(3), targets, loss=loss)
    model = _model(3)
    torch.testing.assert_close(objective(model, (INPUTS, targets)), loss(model(INPUTS), targets))


@pytest.mark.parametrize(
    ("outputs", "targets", "chosen", "words"),
    [
        (3, LABELS + 1, {}, ("labels from 0 to 2", "label 3", "last layer")),
        (3, LABELS - 1, {}, ("labels from 0 to 2", "label -1")),
        (1, LABELS, {"loss": "cross_entropy"}, ("labels from 0 to 0",)),
        (3, INPUTS[:, 0], {}, ("one output per target", "(20, 3)", "(20,)")),
        (3, LABELS, {"loss": "mse"}, ("one output per target",)),
        (3, LABELS, {"loss": "cross_entropi"}, ("loss", "did you mean cross_entropy")),
        (3, LABELS, {"metric": "acuracy"}, ("metric", "did you mean", "accuracy")),
        (3, LABELS, {"metric": 3}, ("metric", "int")),
        (3, LABELS[:10], {"loss": "cross_entropy"}, ("check that model, targets and loss fit",)),
        (3, LABELS, {"loss": nn.CrossEntropyLoss(reduction="none")}, ("one number", "(20,)")),
        (3, LABELS, {"loss": lambda out, target: 1.0}, ("one number", "float")),
        (3, LABELS, {"training_step": lambda model, batch: model(batch[0])}, ("one number",)),
        (3, LABELS, {"training_step": lambda model, batch: model(batch[0]).detach().sum()},
         ("depends on the model's weights", "detach")),
        (3, LABELS, {"training_step": lambda model, batch: model(batch)}, ("TypeError",)),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_in_one_line(
    outputs: int, targets: Tensor, chosen: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(UserError) as error:
        _objective(_model(outputs), targets, **chosen)
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_a_flat_output_has_no_classes() -> None:
    with pytest.raises(UserError, match=r"\(samples, classes\), got shape \(20,\)"):
        _objective(_model(1, nn.Flatten(0)), LABELS, loss="cross_entropy")


def test_a_model_that_does_not_take_the_batch_is_told_the_shapes() -> None:
    model = mlp(5, 3)
    with pytest.raises(UserError) as error:
        _objective(model, LABELS)
    assert "(20, 6) float32" in str(error.value)
    with pytest.raises(UserError, match=r"keys a, b; rename the key"):
        make_objective(model, {"a": INPUTS, "b": INPUTS}, None, None, None)
    with pytest.raises(UserError, match="give loss or training_step"):
        make_objective(nn.LSTM(6, 3), (INPUTS, LABELS), None, None, None)
