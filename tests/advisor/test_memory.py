"""Memory limits as people write them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.memory import parse_memory
from probes.errors import UserError


@pytest.mark.parametrize(
    ("text", "size"),
    [(None, None), (1024, 1024), (2.5e9, 2_500_000_000), ("2GB", 2 * 10**9), ("2 gb", 2 * 10**9),
     ("1.5KiB", 1536), ("4GiB", 4 * 2**30), ("300 MB", 3 * 10**8), ("7B", 7)],
)  # fmt: skip
def test_memory(text: Any, size: int | None) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize(
    "text", ["", "GB", "2 XB", "-1", -1, 0, "0GB", True, [1], "1e3", "nan", 10**400]
)
def test_wrong_memory(text: Any) -> None:
    with pytest.raises(UserError, match="max_memory"):
        parse_memory(text)


@given(st.integers(1, 2**50))
def test_any_whole_number_is_bytes(size: int) -> None:
    assert parse_memory(size) == parse_memory(str(size)) == size
