from __future__ import annotations

from pathlib import Path

import pytest

from advisor.evaluate.blocks import between_marks
from probes.errors import UserError


def test_only_what_is_between_the_marks_changes(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("before\n<b>\nold\n<e>\nafter\n", encoding="utf-8")
    between_marks(path, "<b>", "<e>", "new é")
    between_marks(path, "<b>", "<e>", "newer é")
    assert path.read_text(encoding="utf-8") == "before\n<b>\nnewer é\n<e>\nafter\n"


@pytest.mark.parametrize("text", ["", "<b>", "<e>", "<e> <b>"], ids=["none", "b", "e", "swapped"])
def test_a_file_without_the_marks_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "page.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="<b> and <e>"):
        between_marks(path, "<b>", "<e>", "new")
    assert path.read_text(encoding="utf-8") == text
