"""Arrays come out of a pickle as they went in, and nothing else is called."""

from __future__ import annotations

import collections
import io
import os
import pickle
from typing import Any

import numpy as np
import pytest

from knowledge_base.readers.restricted_pickle import load_arrays

ARRAYS = {
    "float": np.linspace(0, 1, 5),
    "big_endian": np.arange(3, dtype=">i4"),
    "order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "text": np.asarray(["a", "bc"]),
    "bytes": np.asarray([b"\xff\x00x"]),
    "objects": np.asarray([1, "a", None], dtype=object),
    "empty": np.zeros((0, 4), dtype=np.float32),
    "truth": np.asarray([True, False]),
}


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL))
def test_arrays_and_containers_come_back(protocol: int) -> None:
    content = {"rows": [ARRAYS], "pair": (1, 2.5, None, "é", b"\x80"), "truth": True}
    got = load_arrays(pickle.dumps(content, protocol=protocol))
    assert got["pair"] == content["pair"]
    assert got["truth"] is True
    (read,) = got["rows"]
    assert read.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert np.array_equal(read[name], array)
        # NumPy itself turns the bytes of numbers to the machine's order
        assert read[name].dtype == array.dtype.newbyteorder("=")
        assert read[name].shape == array.shape


def test_an_object_that_numpy_saved_comes_back() -> None:
    stream = io.BytesIO()
    np.save(stream, np.asarray({"a": [1]}, dtype=object))
    assert load_arrays(stream.getvalue()) == {"a": [1]}
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


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(Calls(os.mkdir, "made"), id="a function of the system"),
        pytest.param(Calls(eval, "open('made', 'w')"), id="a builtin"),
        pytest.param(Calls(np.fromfile, "made"), id="another function of numpy"),
        pytest.param(collections.OrderedDict(a=1), id="a harmless class"),
        pytest.param(np.float64(1), id="a scalar of numpy"),
        pytest.param(os.mkdir, id="a name that is not called"),
    ],
)
@pytest.mark.parametrize("saved", [False, True], ids=["pickle", "npy"])
def test_every_other_name_is_refused(
    value: object, saved: bool, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stream = io.BytesIO()
    if saved:
        np.save(stream, np.asarray({"a": value}, dtype=object))
    else:
        pickle.dump([ARRAYS, value], stream)
    with pytest.raises(ValueError, match="which no array needs"):
        load_arrays(stream.getvalue())
    assert list(tmp_path.iterdir()) == []


DTYPE = b"cnumpy\ndtype\n"
ENCODE = b"c_codecs\nencode\n"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        pytest.param(b"", "no pickle", id="empty"),
        pytest.param(b"\x80\x02]q", "no pickle", id="cut off"),
        pytest.param(b"text", "no pickle", id="no pickle"),
        pytest.param(DTYPE + b"(S'i4,i4'\ntR.", "not ", id="fields of a record"),
        pytest.param(ENCODE + b"(Vabc\nVrot13\ntR.", "latin1", id="another encoding"),
        pytest.param(ENCODE + b"(V\\u0394\nVlatin1\ntR.", "ordinal", id="no latin1"),
        pytest.param(b"cnumpy\nndarray\n(I1000000000000\ntR.", "no pickle", id="a huge array"),
        pytest.param(ENCODE + b"}S'function'\nI1\nsb.", "no pickle", id="state for a function"),
        pytest.param(b"Pname\n.", "no pickle", id="a persistent name"),
    ],
)
def test_broken_pickles_are_refused(content: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        load_arrays(content)
