"""The synthetic knowledge base and its meta-models, made once a test run; what searches need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import synthetic
import torch

from advisor import boosting, meta_model, shipped
from advisor.knowledge import Knowledge, load_knowledge
from advisor.meta_model import MetaModel


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the packed synthetic knowledge base."""
    return synthetic.write(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def knowledge(base: Path) -> Knowledge:
    return load_knowledge(synthetic.TIER, base)


@pytest.fixture(scope="session")
def model(knowledge: Knowledge) -> MetaModel:
    """Fitted on all twelve tasks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boosting, "ROUNDS", 20)
        return meta_model.fit(knowledge)


@pytest.fixture(scope="session")
def models_folder(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The meta-models of tiers 0 and 16 as files."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boosting, "ROUNDS", 20)
        patch.setattr(shipped, "ENOUGH_RUNS", 1)  # the base is small
        shipped.fit_shipped(base, folder, tiers=(0, synthetic.TIER))
    return folder


@pytest.fixture
def storage(tmp_path: Path) -> str:
    """Where a refinement keeps its trials."""
    return str(tmp_path / "journal.log")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Nets this small only wait for each other's threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process waits for others to claim its trial."""
    monkeypatch.setattr("advisor.refine_study.CLAIM_SECONDS", 0.0)
