from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch
from facts_cases import CASES, context
from torch import nn

from probes.measures.base import Measure
from probes.measures.data_facts import DataFacts
from probes.measures.device_facts import DeviceFacts
from probes.measures.model_facts import ModelFacts

MEASURES: list[Measure] = [ModelFacts(), DataFacts(), DeviceFacts()]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_every_measure_keeps_its_word(measure: Measure, name: str) -> None:
    where = context(CASES[name].make())
    assert measure.skip(where) is None
    found = measure.measure(where)
    assert found
    assert set(found) <= set(measure.units)
    assert all(isinstance(value, float) and math.isfinite(value) for value in found.values())
    assert where.spent == pytest.approx(measure.passes(where.tier))
    assert all(key.startswith(f"{measure.name}.") for key in measure.units)
    assert measure.measure(where).keys() == found.keys()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_nothing_of_the_users_changes(measure: Measure, name: str) -> None:
    task = CASES[name].make()
    model = task.model if isinstance(task.model, nn.Module) else nn.Identity()
    model.eval()
    next(iter(model.children()), model).train()
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    where = context(task)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    python_state = random.getstate()
    measure.measure(where)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    assert random.getstate() == python_state
    assert [module.training for module in model.modules()] == modes
    assert [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()] == hooks
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
