"""Work that is stopped midway: between the moves that put finished files in their places."""

from __future__ import annotations

from pathlib import Path

import pytest


def stop_at_move_into(folder: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop, as the user's keys would, before the move of this number (from 0) into the folder."""
    replace, moved = Path.replace, 0

    def stopping(path: Path, target: Path) -> Path:
        nonlocal moved
        if target.parent != folder:
            return replace(path, target)
        moved += 1
        if moved > number:
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", stopping)
