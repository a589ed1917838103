"""The live tasks: what the file holds, and the rule by which it came about."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from advisor.evaluate.live_tasks import (
    COUNT,
    MAX_SECONDS,
    choose_live_tasks,
    comes_with_packages,
    copied_losses,
    live_tasks,
)
from advisor.knowledge import Knowledge
from knowledge_base.splits import FAMILY_GROUPS
from knowledge_base.tasks import task_row
from probes.errors import UserError


def test_the_file_holds_tasks_of_as_many_data_sets_and_many_families() -> None:
    tasks = live_tasks()
    assert len(tasks) == COUNT >= 16
    assert len({task.group for task in tasks}) == COUNT
    families = Counter(FAMILY_GROUPS[task.family] for task in tasks)
    assert len(families) >= 7
    assert max(families.values()) <= COUNT // 3


@pytest.mark.parametrize("task", live_tasks(), ids=lambda task: task.name)
def test_every_task_is_the_knowledge_base_s(task: object) -> None:
    row = task_row(getattr(task, "name"))  # noqa: B009
    facts = {name: getattr(task, name) for name in ("group", "family", "steps")}
    assert facts == {"group": row.group, "family": row.family, "steps": row.steps}
    assert comes_with_packages(row)
    assert 0.0 < getattr(task, "seconds") <= MAX_SECONDS  # noqa: B009


@pytest.mark.slow
def test_targets_are_what_adamw_reaches_in_the_knowledge_base() -> None:
    known = copied_losses()
    for task in live_tasks():
        assert task.target == pytest.approx(known[task.name], rel=0.05)


def test_tasks_by_name() -> None:
    names = [task.name for task in live_tasks()]
    assert [task.name for task in live_tasks([names[3], names[1], names[3]])] == [
        names[3], names[1],
    ]  # fmt: skip
    with pytest.raises(UserError, match="a task of the live evaluation"):
        live_tasks(["digit-mlp"])


def test_the_rule_takes_cheap_tasks_of_different_families(knowledge: Knowledge) -> None:
    names = [row.name for row in knowledge.rows]
    seconds = dict.fromkeys(names, 0.1)
    targets = dict.fromkeys(names, 1.0)
    chosen = choose_live_tasks(knowledge, seconds, targets, count=5)
    families = [FAMILY_GROUPS[task.family] for task in chosen]
    available = {FAMILY_GROUPS[row.family] for row in knowledge.rows}
    assert len(set(families)) == min(5, len(available))
    assert chosen == choose_live_tasks(knowledge, seconds, targets, count=5)
    dear = chosen[0].name
    without = choose_live_tasks(knowledge, {**seconds, dear: 2 * MAX_SECONDS}, targets, count=5)
    assert dear not in {task.name for task in without}
    everything = choose_live_tasks(knowledge, seconds, targets, count=100)
    assert len({task.group for task in everything}) == len(everything) > 5


def test_what_was_chosen_stays_and_counts_for_its_family(knowledge: Knowledge) -> None:
    names = [row.name for row in knowledge.rows]
    seconds, targets = dict.fromkeys(names, 0.1), dict.fromkeys(names, 1.0)
    everything = choose_live_tasks(knowledge, seconds, targets, count=100)
    families = Counter(FAMILY_GROUPS[task.family] for task in everything)
    common = max(families, key=lambda family: families[family])
    kept = tuple(task for task in everything if FAMILY_GROUPS[task.family] == common)[:2]
    filled = choose_live_tasks(knowledge, seconds, targets, count=3, kept=kept)
    assert filled[:2] == kept
    assert FAMILY_GROUPS[filled[2].family] != common or len(families) == 1
    assert len({task.group for task in filled}) == 3


def test_the_rule_leaves_out_what_tells_nothing(knowledge: Knowledge) -> None:
    names = [row.name for row in knowledge.rows]

    def chosen(changed: Knowledge) -> set[str]:
        seconds, targets = dict.fromkeys(names, 0.1), dict.fromkeys(names, 1.0)
        return {task.name for task in choose_live_tasks(changed, seconds, targets, 100)}

    before = chosen(knowledge)
    place = next(i for i, name in enumerate(names) if name in before)
    backwards, flat = knowledge.test_regrets.copy(), knowledge.test_regrets.copy()
    backwards[place] = backwards[place][::-1]
    flat[place] = np.where(knowledge.regrets[place] < np.median(flat[place]), 0.0, flat[place])
    noisy = list(knowledge.scales)
    noisy[place] = tuple(dataclasses.replace(scale, seed_spread=0.5) for scale in noisy[place])
    for changes in (
        {"test_regrets": backwards}, {"test_regrets": flat}, {"scales": tuple(noisy)},
    ):  # fmt: skip
        assert before - chosen(dataclasses.replace(knowledge, **changes)) == {names[place]}
