from __future__ import annotations

import pytest
import torch
from facts_cases import CASES, blobs, context, text

from probes.measures.base import Context
from probes.measures.device_facts import DeviceFacts
from probes.measures.model_facts import ModelFacts


def test_device_facts_of_this_machine() -> None:
    task = text()
    found = DeviceFacts().measure(context(task))
    assert found["device.cuda"] == found["device.autocast"] == 0
    assert found["device.threads"] == torch.get_num_threads()
    assert found["device.cores"] >= 1
    assert 6 < found["device.log_throughput"] < 15
    assert "device.capability" not in found
    lower = blobs()
    lower.autocast = "bfloat16"
    assert DeviceFacts().measure(context(lower))["device.autocast"] == 1
    assert ModelFacts().measure(context(lower))["model.depth"] == 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", CASES)
def test_facts_on_a_gpu_are_those_on_the_cpu(name: str) -> None:
    here, there = (
        ModelFacts().measure(Context(task=CASES[name].make(), device=device, seed=0, tier=16))
        for device in ("cpu", "cuda")
    )
    assert here.keys() == there.keys()
    for key in here:
        assert here[key] == pytest.approx(there[key], rel=0.2), key
    found = DeviceFacts().measure(Context(task=blobs(), device="cuda", seed=0, tier=16))
    assert found["device.cuda"] == 1
    assert found["device.capability"] >= 5
