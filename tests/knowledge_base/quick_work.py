"""Runs of moments: a worker sleeps and makes a record up. It starts at once, without torch."""

from __future__ import annotations

import time
import zlib

from knowledge_base.limits import Limits
from knowledge_base.records import RunRecord
from knowledge_base.work import SEVERAL, Item, Result
from probes.recipe.schema import Recipe

MOMENT = 0.02
"""Seconds of a run."""


def quick(item: Item, limits: Limits) -> Result:
    """In place of ``knowledge_base.work.attempt``: of several runs the first, the others left."""
    first, *left = item.singles()
    time.sleep(MOMENT)
    key = Recipe.model_validate_json(item.recipe).key
    loss = 0.5 + (zlib.crc32(key.encode()) % 1000) / 1e4
    record = RunRecord(
        task=item.task, recipe=key, seed=item.seed, role=item.role, initial=2.0, final=loss,
        test=loss, metric=0.5, test_metric=0.5, steps=10, passes=10.0, seconds_per_step=MOMENT,
        diverged=False, curve_steps=(0, 10), curve_validation=(2.0, loss), curve_train=(2.0, loss),
    ).model_dump()  # fmt: skip
    done: Result = (first, "run", record)
    return (item, SEVERAL, {"results": [done], "left": left}) if left else done
