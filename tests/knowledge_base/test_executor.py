"""The loop over an executor: what is lost is tried once more, what fails does not stop the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from knowledge_base.executor import LOST, make_executor, work
from knowledge_base.limits import Limits
from knowledge_base.work import SEVERAL, Item, Result
from probes.errors import UserError

Behaviour = Callable[[Item, int], Result]
"""What becomes of an item at its n-th try."""


class Scripted:
    """An executor whose items end as a function says, the latest first."""

    def __init__(self, behaviour: Behaviour, slots: int = 2) -> None:
        self._behaviour, self._slots = behaviour, slots
        self._out: list[Item] = []
        self.tries: Counter[Item] = Counter()
        self.most = 0

    def slots(self) -> int:
        return self._slots

    def submit(self, item: Item) -> None:
        self._out.append(item)
        self.tries[item] += 1
        self.most = max(self.most, len(self._out))

    def completed(self) -> list[Result]:
        item = self._out.pop()
        return [self._behaviour(item, self.tries[item])]

    def close(self) -> None:
        self._out = []


ITEMS = [Item("wine-mlp-1", seed=seed) for seed in range(5)]


def give(items: list[Item]) -> Callable[[], Item | None]:
    left = list(items)
    return lambda: left.pop(0) if left else None


def done(item: Item, tries: int) -> Result:
    return item, "run", {"seed": item.seed}


def test_everything_is_done_once() -> None:
    executor = Scripted(done)
    found = [item for results in work(executor, give(ITEMS)) for item, _, _ in results]
    assert sorted(item.seed for item in found) == [0, 1, 2, 3, 4]
    assert executor.most == 2, "no more out than there are slots"


@pytest.mark.parametrize(("deaths", "kind"), [(1, "run"), (2, "failed")])
def test_a_dead_worker_costs_one_more_try(deaths: int, kind: str) -> None:
    def deadly(item: Item, tries: int) -> Result:
        return (item, LOST, {}) if item.seed == 2 and tries <= deaths else done(item, tries)

    executor = Scripted(deadly)
    kinds = {item.seed: (how, record) for results in work(executor, give(ITEMS))
             for item, how, record in results}  # fmt: skip
    assert len(kinds) == 5, "the rest goes on"
    how, record = kinds[2]
    assert how == kind
    assert executor.tries[ITEMS[2]] == 2
    if kind == "failed":
        assert "died 2 times" in record["reason"]
        assert {"task", "recipe", "seed", "tier"} < set(record)


@pytest.mark.parametrize("deaths", [0, 1])
def test_what_a_worker_leaves_of_several_is_handed_out_again(deaths: int) -> None:
    several = replace(ITEMS[0], others=tuple(ITEMS[1:]))

    def first_of_them(item: Item, tries: int) -> Result:
        if not item.others:
            return done(item, tries)
        if tries <= deaths:
            return item, LOST, {}
        first, *left = item.singles()
        return item, SEVERAL, {"results": [done(first, tries)], "left": left}

    executor = Scripted(first_of_them)
    found = [item for results in work(executor, give([several])) for item, _, _ in results]
    assert sorted(item.seed for item in found) == [0, 1, 2, 3, 4]
    assert executor.most == 2, "others help with what is left"


def test_what_the_user_must_mend_stops_the_build_after_what_is_done() -> None:
    class Together(Scripted):
        def completed(self) -> list[Result]:
            return [result for _ in range(len(self._out)) for result in super(
                Together, self).completed()]  # fmt: skip

    def unmended(item: Item, tries: int) -> Result:
        if item.seed == 0:
            return item, "stop", {"expected": "a network", "got": "none", "fix": "find one"}
        return done(item, tries)

    results = work(Together(unmended), give(ITEMS))
    assert [item.seed for item, _, _ in next(results)] == [1]
    with pytest.raises(UserError, match="expected a network, got none; find one"):
        next(results)


def test_slots_may_grow_meanwhile() -> None:
    executor = Scripted(done, slots=1)
    for count, _ in enumerate(work(executor, give(ITEMS)), start=1):
        executor._slots = 1 + count
    assert executor.most > 1


def test_an_unknown_executor() -> None:
    with pytest.raises(UserError, match="did you mean local"):
        make_executor("locale", None, Limits())
