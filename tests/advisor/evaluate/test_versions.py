from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from advisor.evaluate.versions import edition, versions
from probes.errors import UserError


def test_releases_in_the_order_asked() -> None:
    found = versions(["no such package", "numpy"])
    assert list(found.items()) == [("no such package", "source"), ("numpy", np.__version__)]


def test_edition_names_the_runs_and_the_manifest(tmp_path: Path) -> None:
    text = json.dumps({"counts": {"runs": 1234}, "files": {"runs.parquet": "12"}})
    (tmp_path / "manifest.json").write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert edition(tmp_path) == f"1,234 runs, manifest {digest[:12]}"
    (tmp_path / "manifest.json").write_text(text.replace("12", "13"))
    assert digest[:12] not in edition(tmp_path), "another file, another edition"


@pytest.mark.parametrize(
    "text", [None, "{", "[]", '{"counts": 3}', '{"counts": {}}', '{"counts": {"runs": "many"}}']
)
def test_no_edition_without_a_manifest(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json"):
        edition(tmp_path)
