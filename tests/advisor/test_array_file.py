"""Arrays in files: damage is told in our words, whatever the bytes are."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.array_file import Arrays, read_arrays, write_arrays
from advisor.curves import FILE, load_allowance
from advisor.fitted_file import FOLDER
from probes.errors import UserError


def _sum(arrays: Arrays) -> float:
    return float(arrays["numbers"].sum() + len(arrays["names"]))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "a.npz"
    write_arrays(path, {"numbers": np.arange(50.0), "names": np.asarray(["a", "b"])})
    assert read_arrays(path, "numbers", _sum)[0] == 1227.0
    return path.read_bytes()


@pytest.mark.parametrize(
    "content", [b"", b"damaged", b"PK\x03\x04 torn", b"\x93NUMPY\x01\x00", b"\x80\x04\x95pickle"]
)
def test_the_words_are_ours(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UserError) as error:
        read_arrays(tmp_path / "a.npz", "numbers", _sum)
    path = tmp_path / "a.npz"
    assert str(error.value) == (
        f"expected numbers, got {path}, which is damaged; run advisor kb fit --out {tmp_path}"
    )


def test_a_missing_file_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"got no .*a\.npz; run advisor kb fit"):
        read_arrays(tmp_path / "a.npz", "numbers", _sum)
    with pytest.raises(UserError, match=r"no .*a\.npz; run advisor kb fit$"):
        read_arrays(FOLDER / "a.npz", "numbers", _sum)
    with pytest.raises(UserError, match=r"fit --out '.*of my own'$"):
        read_arrays(tmp_path / "of my own" / "a.npz", "numbers", _sum)
    with pytest.raises(UserError, match="Is a directory"):
        read_arrays(tmp_path, "numbers", _sum)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_changed_bytes_are_damage_or_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(whole) - 1))
    junk = data.draw(st.binary(min_size=1, max_size=4))
    path = tmp_path_factory.getbasetemp() / "changed.npz"
    path.write_bytes(whole[:place] + junk + whole[place + len(junk) :])
    with suppress(UserError):
        assert read_arrays(path, "numbers", _sum)[0] == 1227.0


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 1, "constant": 1}', "\udcff"])
def test_a_damaged_allowance_is_the_users_error(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match="which is damaged; run advisor kb fit"):
        load_allowance(tmp_path)


def test_a_missing_allowance_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"no .*{FILE}; run advisor kb fit"):
        load_allowance(tmp_path)
