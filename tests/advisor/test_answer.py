"""Answers as files: read back equal, told apart, and checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from refine_cases import (
    GOOD,
    ODD,
    WHOLE_SEARCHES,
    make_advice,
    make_task,
)

from advisor.advice import Advice, load_ranked
from advisor.refine import refine
from advisor.tuned import Tuned
from probes.errors import UserError

pytestmark = WHOLE_SEARCHES


def test_advice_read_back_is_equal(tmp_path: Path) -> None:
    advice = make_advice(GOOD, ODD).attach(make_task())
    advice.save(tmp_path / "advice.json")
    assert Advice.load(tmp_path / "advice.json") == advice
    assert make_advice(GOOD) != advice


def test_a_tuned_file_is_no_advice_and_the_other_way_round(tmp_path: Path) -> None:
    advice = make_advice(GOOD)
    advice.save(tmp_path / "advice.json")
    refine(advice, make_task(), trials=1, fresh_seeds=1).save(tmp_path / "tuned.json")
    with pytest.raises(UserError, match=r"tuned\.json, which is a tuned file"):
        Advice.load(tmp_path / "tuned.json")
    with pytest.raises(UserError, match=r"advice\.json, which is an advice file"):
        Tuned.load(tmp_path / "advice.json")


def test_a_limit_of_memory_is_kept_and_an_older_file_has_none(tmp_path: Path) -> None:
    file = tmp_path / "advice.json"
    advice = make_advice(GOOD).model_copy(update={"max_memory": 2**31})
    advice.save(file)
    assert Advice.load(file).max_memory == 2**31
    plain = json.loads(file.read_text())
    del plain["max_memory"]
    file.write_text(json.dumps(plain))
    assert Advice.load(file).max_memory is None
    file.write_text(json.dumps({**plain, "max_memory": 0}))
    with pytest.raises(UserError, match="max_memory"):
        Advice.load(file)


@pytest.mark.parametrize("rank", [0, 2, -1, True, 1.0, "1", None])
def test_a_rank_is_a_whole_number_of_the_ranking(tmp_path: Path, rank: Any) -> None:
    advice = make_advice(GOOD)
    advice.save(tmp_path / "advice.json")
    for call in (
        lambda: advice.export(rank=rank),
        lambda: load_ranked(tmp_path / "advice.json", rank),
    ):
        with pytest.raises(UserError, match="a rank from 1 to 1"):
            call()


def test_a_path_is_checked() -> None:
    for call in (lambda: make_advice(GOOD).save(7), lambda: make_advice(GOOD).export(7)):  # type: ignore[arg-type]
        with pytest.raises(UserError, match="a path as text"):
            call()


@pytest.mark.parametrize("field", ["batch_size", "steps"])
def test_facts_have_at_least_one(tmp_path: Path, field: str) -> None:
    file = tmp_path / "advice.json"
    plain = json.loads(make_advice(GOOD).to_json())
    plain["task"][field] = 0
    file.write_text(json.dumps(plain))
    with pytest.raises(UserError, match=rf"task\.{field}"):
        Advice.load(file)
