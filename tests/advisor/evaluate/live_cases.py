"""Live results written by hand: what each contender reached on each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from advisor.evaluate.results import LiveResults, LiveTask, Outcome

Regrets = Mapping[tuple[str, int], Sequence[float | None]]


def outcome(
    task: str, contender: str, runs: int, *,
    study: int = 0, regret: float | Sequence[float], time: float | Sequence[float] = 1.0,
    seconds: float | None = None, seconds_to_target: Sequence[float] | None = None,
) -> Outcome:  # fmt: skip
    test = (regret,) * 3 if isinstance(regret, float) else tuple(regret)
    times = (time,) * 3 if isinstance(time, float) else tuple(time)
    return Outcome(
        task=task, contender=contender, study=study, runs=runs, passes=float(runs), recipe="r",
        validation=test, test=test, to_target=times, seconds=seconds,
        seconds_to_target=None if seconds_to_target is None else tuple(seconds_to_target),
    )  # fmt: skip


def live(regrets: Regrets, times: Regrets | None = None, *, groups: Sequence[str] | None = None,
         noise: float = 0.01, seed: int = 0) -> LiveResults:  # fmt: skip
    """Results of one study; a number for each task t0, t1, ..., None where there is no outcome."""
    count = max(map(len, regrets.values()))
    tasks = [
        LiveTask(
            name=f"t{i}", group=groups[i] if groups else f"g{i}", family="mlp", steps=1000,
            seconds=0.5, target=0.3, noise=noise,
        )
        for i in range(count)
    ]  # fmt: skip
    outcomes = []
    for (contender, runs), values in regrets.items():
        reached = (times or {}).get((contender, runs), [1.0] * count)
        for task, value, time in zip(tasks, values, reached, strict=True):
            if value is not None and time is not None:
                outcomes.append(outcome(task.name, contender, runs, regret=value, time=time))
    return LiveResults(
        made_by="advisor evaluate --live", date="2026-01-02", versions={"torch": "2.6.0"},
        seed=seed, tasks=tuple(tasks), outcomes=tuple(outcomes),
    )  # fmt: skip


def falling(
    name: str, means: Sequence[float], tasks: int = 4
) -> dict[tuple[str, int], list[float]]:
    """A search whose regret after n trials is ``means[n - 1]`` on every task."""
    return {(name, n + 1): [mean] * tasks for n, mean in enumerate(means)}


def shuffled(results: LiveResults) -> LiveResults:
    """The same results, told in another order."""
    return results.model_copy(
        update={"tasks": results.tasks[::-1], "outcomes": results.outcomes[::-1]}
    )


def contest(*, advice: float = 0.09, trials: int = 100) -> LiveResults:
    """A whole evaluation on four tasks; TPE has 1 or 0.5 over n after n trials."""
    regrets: dict[tuple[str, int], list[float]] = {}
    for name, scale in (("TPE, full space", 1.0), ("TPE, expert space", 0.5)):
        regrets |= falling(name, [scale / n for n in range(1, trials + 1)])
    regrets |= {
        ("advice", 1): [advice] * 4,
        ("advice", 5): [0.004] * 4,
        ("refine", 10): [0.004] * 4,
    }
    regrets |= {("advice, fastest", 1): [0.2] * 4, ("portfolio", 1): [0.2] * 4}
    regrets |= {("AdamW 1e-3 cosine", 1): [0.4, 0.4, 0.4, 0.01]}
    times = {
        ("advice", 1): [0.3] * 4, ("advice, fastest", 1): [0.2] * 4, ("portfolio", 1): [0.36] * 4,
    }  # fmt: skip
    return live(regrets, times)
