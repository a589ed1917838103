"""What ``refine`` answers survives a file."""

from __future__ import annotations

import json
from pathlib import Path

from refine_cases import (
    GOOD,
    SMALL,
    WHOLE_SEARCHES,
    WILD,
    make_advice,
    make_task,
)

from advisor.refine import refine
from advisor.tuned import Tuned

pytestmark = WHOLE_SEARCHES


def test_an_answer_survives_a_file(tmp_path: Path) -> None:
    tuned = refine(make_advice(WILD), make_task(), trials=1, **SMALL)
    tuned.save(tmp_path / "tuned.json")
    assert Tuned.load(tmp_path / "tuned.json") == tuned


def test_a_file_without_the_newer_fields_is_read(tmp_path: Path) -> None:
    plain = json.loads(refine(make_advice(GOOD), make_task(), trials=1, **SMALL).to_json())
    assert plain.pop("expected_gain") is None  # one trial tells nothing
    assert plain.pop("stopped") == ""
    (tmp_path / "old.json").write_text(json.dumps(plain))
    assert Tuned.load(tmp_path / "old.json").expected_gain is None
