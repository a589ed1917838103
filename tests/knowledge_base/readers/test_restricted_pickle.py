"""What is in a pickle comes out as it went in, and nothing that it asks for is done."""

from __future__ import annotations

import collections
import io
import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pickled_frames import (
    Opcodes,
    block,
    built,
    called,
    frame,
    from_buffer,
    index,
    named,
    objects,
    sequence,
    value,
    whole,
)

from knowledge_base.readers.frames import PANDAS_STAND_INS, frame_columns
from knowledge_base.readers.restricted_pickle import NUMPY_STAND_INS, load_arrays

ARRAYS = {
    "float": np.linspace(0, 1, 5),
    "big_endian": np.arange(3, dtype=">i4"),
    "order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "text": np.asarray(["a", "bc"]),
    "swapped_text": np.asarray([["a", "bc"]], dtype=">U3"),
    "bytes": np.asarray([b"\xff\x00x"]),
    "objects": np.asarray([1, "a", None], dtype=object),
    "object_order": np.asfortranarray(np.asarray([[1, "a", None], [2, "b", 0.5]], dtype=object)),
    "empty": np.zeros((0, 4), dtype=np.float32),
    "truth": np.asarray([True, False]),
}


def same(read: np.ndarray, array: np.ndarray) -> None:
    """Check values, shape and type; the bytes of numbers are turned to the machine's order."""
    assert type(read) is np.ndarray
    assert np.array_equal(read, array)
    assert read.shape == array.shape
    assert read.dtype == array.dtype.newbyteorder("=")
    assert read.flags.writeable


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_containers_come_back(protocol: int) -> None:
    content = {"rows": [ARRAYS], "pair": (1, 2.5, None, "é", b"\x80", b""), "truth": True}
    got = load_arrays(pickle.dumps(content, protocol=protocol))
    assert got["pair"] == content["pair"]
    assert got["truth"] is True
    (read,) = got["rows"]
    assert read.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        same(read[name], array)


@pytest.mark.parametrize("kind", ["?", "i1", "<i2", ">i4", "<i8", "u1", "<u8", "<f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("at_once", [False, True])
def test_arrays_come_as_numpy_saved_them(
    kind: str, order: Literal["C", "F"], at_once: bool
) -> None:
    array = np.arange(6).reshape(2, 3).astype(kind, order=order)
    same(load_arrays(whole(from_buffer(array) if at_once else value(array))), array)


def test_arrays_in_the_cells_of_an_array_come_back() -> None:
    cells = np.empty(3, dtype=object)
    cells[:] = [np.arange(2.0), [np.ones((2, 1)), 3], "word"]
    read = load_arrays(pickle.dumps({"X": cells, "again": cells}))
    same(read["X"][0], cells[0])
    same(read["X"][1][0], cells[1][0])
    assert read["X"][2] == "word"
    assert read["again"] is read["X"]


def npy(content: object) -> bytes:
    """A file in which NumPy saved one value that is no array of numbers."""
    stream = io.BytesIO()
    np.save(stream, np.asarray(content, dtype=object))
    return stream.getvalue()


def test_an_object_that_numpy_saved_comes_back() -> None:
    assert load_arrays(npy({"a": [1]})) == {"a": [1]}
    with pytest.raises(ValueError, match="single object"):
        load_arrays(npy([1, 2]))
    stream = io.BytesIO()
    np.save(stream, np.arange(3))
    with pytest.raises(ValueError, match="single object"):
        load_arrays(stream.getvalue())


class Calls:
    """Something whose pickle calls a function when it is read."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


PLACES: dict[str, tuple[Callable[[Any], bytes], Callable[[bytes], Any]]] = {
    "pickle": (lambda content: pickle.dumps([ARRAYS, content]), load_arrays),
    "npy": (lambda content: npy({"a": content}), load_arrays),
    "no frame": (pickle.dumps, frame_columns),
    "a frame's cell": (
        lambda content: frame(["w"], block(objects("a", content), (0, 1, 1))), frame_columns
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(Calls(os.mkdir, "made"), id="a function of the system"),
        pytest.param(Calls(os.system, "mkdir made"), id="a command"),
        pytest.param(Calls(subprocess.Popen, ["mkdir", "made"]), id="a process"),
        pytest.param(Calls(eval, "open('made', 'w')"), id="a builtin"),
        pytest.param(Calls(np.fromfile, "made"), id="another function of numpy"),
        pytest.param(collections.OrderedDict(a=1), id="a harmless class"),
        pytest.param(np.float64(1), id="a scalar of numpy"),
        pytest.param(os.mkdir, id="a name that is not called"),
    ],
)
@pytest.mark.parametrize("place", PLACES)
def test_every_other_name_is_refused(
    content: object, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made, read = PLACES[place]
    with pytest.raises(ValueError, match="may not name"):
        read(made(content))
    assert list(tmp_path.iterdir()) == []


def test_a_pickle_that_is_trusted_would_make_the_call(tmp_path: Path) -> None:
    pickle.loads(whole(called("os.mkdir", str(tmp_path / "made"))))
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


@pytest.mark.parametrize("read", [load_arrays, frame_columns])
@pytest.mark.parametrize(
    "name",
    [
        "builtins.getattr",
        "numpy.load",
        "copyreg._reconstructor",
        "pandas.core.frame.DataFrame.eval",
    ],
)
def test_what_is_refused_is_told(name: str, read: Callable[[bytes], Any]) -> None:
    with pytest.raises(ValueError, match=f"may not name {name} here$"):
        read(whole(called(name, "true")))


@pytest.mark.parametrize("name", PANDAS_STAND_INS)
def test_arrays_know_nothing_of_frames(name: str) -> None:
    with pytest.raises(ValueError, match=f"may not name {name} here$"):
        load_arrays(whole(named(name)))


@pytest.mark.parametrize(
    "content",
    [
        *(pytest.param(named(name), id=name) for name in (*NUMPY_STAND_INS, *PANDAS_STAND_INS)),
        pytest.param(from_buffer(np.ones(2)), id="an array made at once"),
        pytest.param(index(["a"]), id="an index"),
        pytest.param(block(np.ones((1, 2)), (0, 1, 1)), id="a block"),
    ],
)
@pytest.mark.parametrize("slots", [False, True])
def test_what_may_be_named_may_not_be_changed(content: Opcodes, slots: bool) -> None:
    state = sequence("values", 1, end=b"d")
    state = sequence(None, state, end=b"t") if slots else state
    with pytest.raises(ValueError, match=r"broken pickle|may not change"):
        frame_columns(whole(built(content, state)))
    same(load_arrays(whole(from_buffer(np.ones(2)))), np.ones(2))


def saved_type(code: str, *state: Any) -> Opcodes:
    return built(called("numpy.dtype", code, False, True), sequence(*state, end=b"t"))


def saved_array(kind: Opcodes, shape: Any, cells: Any) -> bytes:
    empty = called("numpy.core.multiarray._reconstruct", named("numpy.ndarray"), (0,), b"b")
    return whole(built(empty, sequence(1, shape, kind, False, cells, end=b"t")))


NUMBERS = saved_type("f8", 3, "<", None, None, None, -1, -1, 0)
OBJECTS = saved_type("O8", 3, "|", None, None, None, -1, -1, 0)
NESTED = b"\x80\x03]q\0" + b"]" * 5000 + b"a" * 5000 + b"."


@pytest.mark.parametrize(
    ("content", "what"),
    [
        pytest.param(b"", "broken", id="empty"),
        pytest.param(b"\x80\x02]q", "broken", id="cut off"),
        pytest.param(b"text", "broken", id="no pickle"),
        pytest.param(b"Pname\n.", "broken", id="a persistent name"),
        pytest.param(NESTED, "broken", id="thousands of lists in each other"),
        pytest.param(whole(called("numpy.dtype", "i4,i4")), "not 'i4,i4'", id="a record"),
        pytest.param(whole(called("numpy.dtype", "M8")), "not 'M8'", id="times"),
        pytest.param(whole(called("_codecs.encode", "a", "rot13")), "latin1", id="an encoding"),
        pytest.param(
            whole(called("_codecs.encode", "Δ", "latin1")), "ordinal", id="no latin1"
        ),
        pytest.param(whole(called("numpy.ndarray", 10**12)), "broken", id="a huge array"),
        pytest.param(whole(named("numpy.ndarray")), "may not hold", id="a class"),
        pytest.param(whole(value(np.dtype("f8"))), "may not hold", id="a type"),
        # With no flags set NumPy would take these bytes for the addresses of objects.
        pytest.param(saved_array(OBJECTS, (1,), b"AAAAAAAA"), "no list", id="addresses"),
        pytest.param(saved_array(NUMBERS, (1,), [1.0]), "broken", id="a list of numbers"),
        pytest.param(saved_array(NUMBERS, (1,), "AAAAAAAA"), "broken", id="a text of numbers"),
        pytest.param(saved_array(NUMBERS, (2,), b"AAAAAAAA"), "reshape", id="too few numbers"),
        pytest.param(saved_array(NUMBERS, (-1,), b"AAAAAAAA"), "shape", id="a shape left open"),
        pytest.param(
            saved_array(saved_type("f8", 3, "S", None, None, None), (1,), b"AAAAAAAA"),
            "the type", id="an unknown order of bytes",
        ),
        pytest.param(
            saved_array(saved_type("U1", 3, "<", None, None, None), (1,), b"\0\0\x11\0"),
            "no text", id="no characters",
        ),
        pytest.param(
            saved_array(saved_type("f8", 3, "<", None, ("a",), {}), (1,), b"AAAAAAAA"),
            "the type", id="a type with parts",
        ),
        pytest.param(
            whole(called("numpy.core.numeric._frombuffer", b"A" * 8, np.dtype(object), (1,), "C")),
            "OBJECT", id="addresses at once",
        ),
    ],
)  # fmt: skip
def test_broken_pickles_are_refused(content: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        load_arrays(content)


WHOLE = pickle.dumps(ARRAYS)
# "r" asks for a place in the unpickler's own memory, of which it then makes gigabytes.
BYTES = st.integers(0, 255).filter(lambda byte: byte != ord("r"))


@given(place=st.integers(2, len(WHOLE) - 1), byte=BYTES)
def test_a_changed_byte_gives_other_values_or_is_refused(place: int, byte: int) -> None:
    try:
        read = load_arrays(WHOLE[:place] + bytes([byte]) + WHOLE[place + 1 :])
    except (ValueError, MemoryError):
        return
    assert repr(read)
