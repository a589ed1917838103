"""A record is let in as its model has it or named and set aside; none spoils the store it is in."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journals import NAN, RECIPES, filled, run

from knowledge_base.journal import Journal
from knowledge_base.records import RECORDS, checked
from knowledge_base.state import State
from knowledge_base.store import load_profiles, load_runs, pack

TASK, KEY = "wine-mlp-1", RECIPES[0].key
PROFILE = {
    "schema_version": 1, "tier": 16, "passes": 14.0, "seconds": 0.5, "seconds_per_pass": None,
    "seed": 3, "device": "cpu", "values": {"data.samples": 100.0}, "missing": {"races": "no"},
}  # fmt: skip
GOOD: dict[str, dict[str, Any]] = {
    "recipe": {"key": KEY, "recipe": RECIPES[0].plain()},
    "run": run(seed=3),
    "refused": {"task": TASK, "recipe": KEY, "reason": "no"},
    "failed": {"task": TASK, "recipe": KEY, "seed": 3, "tier": 0, "reason": "it crashed"},
    "profile": {"task": TASK, "tier": 16, "seed": 3, "profile": PROFILE},
    "stage": {"stage": "reference", "total": 5, "began": 1.7e9},
    "rows": {"dataset": "wine", "rows": "0" * 64},
    "seeding": {"records": 5},
    "seeded": {"records": 5},
}


def appended(journal: Journal, kind: str, record: dict[str, Any]) -> Journal:
    with journal:
        journal.append(kind, record)
    return journal


def test_every_kind_has_a_model_and_a_good_record_passes(tmp_path: Path) -> None:
    assert set(GOOD) == set(RECORDS)
    journal = filled(tmp_path)
    for kind, record in GOOD.items():
        appended(journal, kind, record)
    assert State.of(journal).damaged == []


BAD = [
    ("run", {"seed": 10**40}, "seed: "), ("run", {"seed": -5}, "seed: "),
    ("run", {"seed": 2**15}, "seed: "), ("run", {"seed": 0.5}, "seed: "),
    ("run", {"steps": 2**31}, "steps: "), ("run", {"passes": NAN}, "passes: "),
    ("run", {"final": 10**400}, "final: "), ("run", {"curve_steps": [-1, 5, 10]}, "curve_steps.0"),
    ("run", {"curve_train": [NAN]}, "different numbers of points"),
    ("run", {"task": "zebra-1"}, "its task, 'zebra-1', is not of this release"),
    ("run", {"comment": "more"}, "comment: "), ("run", {"role": "lucky"}, "role: "),
    ("refused", {"task": 5}, "task: "), ("refused", {"task": "zebra-1"}, "not of this release"),
    ("failed", {"seed": "x"}, "seed: "), ("failed", {"reason": "\ud800"}, "reason: "),
    ("failed", {"recipe": []}, "recipe: "), ("failed", {"tier": -1}, "tier: "),
    ("profile", {"tier": "x"}, "tier: "), ("profile", {"profile": 5}, "profile: "),
    ("profile", {"profile": {"values": None}}, "profile.values: "),
    ("profile", {"profile": {"values": {"a": "b"}}}, "profile.values.a: "),
    ("profile", {"profile": {"missing": {"\ud800": "b"}}}, "profile.missing."),
    ("profile", {"profile": {"device": 5}}, "profile.device: "),
    ("profile", {"task": "zebra-1"}, "not of this release"),
    ("rows", {"rows": 5}, "rows: "), ("rows", {"dataset": None}, "dataset: "),
    ("stage", {"total": "x"}, "total: "), ("stage", {"total": NAN}, "total: "),
    ("stage", {"total": -5}, "total: "), ("stage", {"total": 10**30}, "total: "),
    ("stage", {"began": "y"}, "began: "), ("stage", {"began": NAN}, "began: "),
    ("stage", {"began": -1.0}, "began: "), ("stage", {"began": 1e300}, "began: "),
    ("stage", {"stage": 5}, "stage: "), ("seeding", {"records": -1}, "records: "),
    ("recipe", {"recipe": 5}, "recipe: "), ("recipe", {"key": 5}, "key: "),
    ("run", {"seed": "3"}, "seed: "), ("run", {"steps": 10.0}, "steps: "),
    ("run", {"diverged": 0}, "diverged: "), ("run", {"final": "0.5"}, "final: "),
    ("run", {"test": True}, "test: "), ("run", {"curve_steps": [False, 5, 10]}, "curve_steps.0"),
    ("run", {"curve_train": [1.0, "1", 0.5]}, "curve_train.1"),
    ("failed", {"seed": "3"}, "seed: "), ("failed", {"tier": True}, "tier: "),
    ("profile", {"tier": 16.0}, "tier: "),
    ("profile", {"profile": {"passes": "14"}}, "profile.passes: "),
    ("profile", {"profile": {"values": {"a": True}}}, "profile.values.a: "),
    ("stage", {"began": "1.7e9"}, "began: "), ("seeded", {"records": True}, "records: "),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "change", "said"), BAD)
def test_a_wrong_value_with_a_right_checksum_is_set_aside_and_named(
    tmp_path: Path, kind: str, change: dict[str, Any], said: str
) -> None:
    journal = appended(filled(tmp_path), kind, {**GOOD[kind], **change})
    state = State.of(journal)
    (damaged,) = state.damaged
    place, _, reason = damaged.partition(f"{kind} that cannot be used (")
    assert place == f"{journal.path}:10: "
    assert reason.startswith(said) or said in reason
    assert (len(state.runs), state.stage, state.half_seeded) == (4, None, False)
    counts = pack(journal, tmp_path / "packed", "a test", {})["counts"]
    assert (counts["runs"], counts["profiles"], counts["set_aside"]) == (4, 2, 1)
    assert "zebra-1" not in load_runs(tmp_path / "packed")["task"]


@pytest.mark.parametrize("kind", GOOD)
def test_a_record_that_lacks_a_field_is_told(kind: str) -> None:
    for name in GOOD[kind]:
        less = {key: value for key, value in GOOD[kind].items() if key != name}
        with pytest.raises(ValueError, match=rf"^{name}: Field required$"):
            checked(kind, less)


def test_a_kind_that_is_not_known_obeys_no_terminal() -> None:
    with pytest.raises(ValueError, match=r"^no such kind of record: '\\x1b\[2J'$"):
        checked("\x1b[2J", {})


def test_numbers_are_let_in_as_what_the_columns_take(tmp_path: Path) -> None:
    """JSON has one kind of number; a loss of 2**24 + 1 is no exact float32."""
    record = run(seed=3, initial=2**24 + 1, curve_validation=(2**24 + 1, 1, 0))
    journal = appended(filled(tmp_path), "run", {**record, "initial": 2**24 + 1})
    appended(journal, "profile", {**GOOD["profile"], "profile": {"values": {"a": 2**60 + 1}}})
    state = State.of(journal)
    assert state.damaged == []
    assert type(state.runs[TASK, KEY, 3]["initial"]) is float
    pack(journal, tmp_path / "packed", "a test", {})
    assert load_runs(tmp_path / "packed")["initial"].max() == 2.0**24
    assert {"a": 2.0**60} in [
        profile["profile"]["values"] for profile in load_profiles(tmp_path / "packed")
    ]


ODD: st.SearchStrategy[Any] = st.sampled_from([
    None, True, -1, 2**15, 2**31, 2**63, 10**40, 1e300, NAN, float("-inf"), "", "x", "\ud800",
    "\x00", [], [[]], [None], {}, {"": {}}, {"\ud800": 1},
])  # fmt: skip


@st.composite
def spoiled(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A good record of some kind with something odd somewhere in it."""
    kind = draw(st.sampled_from(sorted(GOOD)))
    record = copy.deepcopy(GOOD[kind])
    inside: Any = record
    while True:
        places = sorted(inside) if isinstance(inside, dict) else list(range(len(inside)))
        place = draw(st.sampled_from(places))
        if not isinstance(inside[place], (dict, list)) or not inside[place] or draw(st.booleans()):
            break
        inside = inside[place]
    inside[place] = draw(ODD)
    return kind, record


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(spoilt=spoiled())
def test_no_record_makes_a_store_impossible_to_pack(
    tmp_path: Path, spoilt: tuple[str, dict[str, Any]]
) -> None:
    (tmp_path / "journal.log").unlink(missing_ok=True)
    journal = appended(filled(tmp_path), *spoilt)
    state = State.of(journal)
    assert len(state.damaged) in (0, 1)
    counts = pack(journal, tmp_path / "packed", "a test", {})["counts"]
    assert counts["runs"] == len(state.runs) >= 4
    assert len(load_profiles(tmp_path / "packed")) == len(state.profiles)
