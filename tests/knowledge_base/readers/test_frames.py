"""Pickled data frames: what is in them comes out, and nothing that they ask for is done."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pickled_frames import (
    Opcodes,
    block,
    frame,
    from_buffer,
    index,
    named,
    objects,
    sequence,
    value,
    whole,
    words_frame,
)

from knowledge_base.readers import FrameSentences, FrameTable, LabelledSentences, Ratings
from knowledge_base.readers.frames import frame_columns

MIXED = frame(
    ["a", "word", "b", "whole"],
    block(np.asarray([[0.5, 1.5, np.nan], [4, 5, 6]]), (0, 4, 2)),
    block(objects("x", float("nan"), "x"), (1, 2, 1)),
    block(from_buffer(np.asarray([[7, 8, 9]])), from_buffer(np.asarray([3]))),
)


def test_columns_of_all_blocks_come_by_name_and_in_order() -> None:
    columns = frame_columns(MIXED)
    assert list(columns) == ["a", "word", "b", "whole"]
    np.testing.assert_array_equal(columns["a"], [0.5, 1.5, np.nan])
    assert columns["b"].tolist() == [4, 5, 6]
    assert columns["whole"].tolist() == [7, 8, 9]
    assert columns["whole"].dtype.kind == "i"
    assert columns["word"].dtype == object
    assert [columns["word"][0], columns["word"][2]] == ["x", "x"]
    assert np.isnan(columns["word"][1])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("at_once", [False, True])
def test_a_block_keeps_its_columns_however_it_lies_in_memory(
    order: Literal["C", "F"], at_once: bool
) -> None:
    array = np.arange(6.0).reshape(2, 3).copy(order=order)
    columns = frame_columns(
        frame(["p", "q"], block(from_buffer(array) if at_once else array, (0, 2, 1)))
    )
    assert np.array_equal(np.stack([columns["p"], columns["q"]]), array)
    words = np.asarray([["a", "b", "c"], ["d", "e", "f"]], dtype=object).copy(order=order)
    columns = frame_columns(frame(["p", "q"], block(words, (0, 2, 1))))
    assert [columns["p"].tolist(), columns["q"].tolist()] == words.tolist()


@given(end=st.integers(0, len(MIXED) - 1))
def test_a_pickle_that_ends_early_is_refused(end: int) -> None:
    with pytest.raises(ValueError, match="broken pickle"):
        frame_columns(MIXED[:end])


@pytest.mark.parametrize(
    "content",
    [
        b"no pickle",
        whole(value([1, 2])),
        frame(["a", "b"], block(np.ones((1, 3)), (0, 1, 1))),
        frame(["a"], block(np.ones((2, 3)), (0, 1, 1))),
        frame(["a", "b"], block(np.ones((1, 3)), (0, 1, 1)), block(np.ones((1, 2)), (1, 2, 1))),
        frame(["a"], block(np.ones((1, 3)), from_buffer(np.asarray([1])))),
        frame(["a"], block(np.ones((2, 3)), from_buffer(np.asarray([0, 0])))),
        frame(["a"], block(value(np.asarray([["1", "2"]])), (0, 1, 1))),
        frame(["a"], block(Opcodes(b"K\1"), (0, 1, 1))),
        frame(["a"], block(objects("x", named("numpy.ndarray")), (0, 1, 1))),
        frame(["a"], block(objects("x", named("numpy.dtype")), (0, 1, 1))),
        frame(["a"], block(objects("x", np.ones(2)), (0, 1, 1))),
        frame(["a"], block(objects("x", from_buffer(np.ones(2))), (0, 1, 1))),
        frame(["a"], block(objects("x", index(["b"])), (0, 1, 1))),
        frame(["a"], block(objects("x", sequence(named("numpy.ndarray"))), (0, 1, 1))),
        frame(["a"], block(np.ones(1), (0, 1, 1))),
        frame(["a"], block(np.ones((1, 3, 2)), (0, 1, 1))),
        frame(["a", "a"], block(np.ones((2, 3)), (0, 2, 1))),
    ],
    ids=[
        "text", "list", "no block", "two columns", "lengths", "place", "twice", "strings",
        "number", "name in a cell", "type in a cell", "array in a cell", "array made at once",
        "index in a cell", "name in a cell's list", "scalars", "matrices", "one name",
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="pickle"):
        frame_columns(content)


def test_a_table_joins_frames_and_keeps_words_apart() -> None:
    members = {
        "one": words_frame(rownames=[1, 2], n=[3, 4], town=["B", "A"], y=["no", "yes"]),
        "two": words_frame(rownames=[1], n=[5], town=["B"], y=["no"]),
    }
    arrays = FrameTable(("one", "two"), ("y",), drop=("rownames",))(members.__getitem__)
    assert arrays.inputs.tolist() == [[3, 0, 1], [4, 1, 0], [5, 0, 1]]
    assert arrays.targets.tolist() == [0, 1, 0]
    members["two"] = words_frame(other=["x"])
    with pytest.raises(ValueError, match="different columns"):
        FrameTable(("one", "two"), ("y",))(members.__getitem__)


def test_a_missing_word_may_be_a_category_and_a_missing_number_may_not() -> None:
    gap = float("nan")
    content = words_frame(word=["a", gap, "b"], y=[1.0, 2.0, 3.0])
    reader = FrameTable(("t",), ("y",), "regression", missing="category")
    assert reader(lambda _: content).inputs.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    with pytest.raises(ValueError, match="missing"):
        FrameTable(("t",), ("y",), "regression")(lambda _: content)
    with pytest.raises(ValueError, match="missing"):
        reader(lambda _: words_frame(n=[1.0, gap], y=[1.0, 2.0]))
    left_out = FrameTable(("t",), ("y",), "regression", missing="left out")
    assert left_out(lambda _: content).targets.tolist() == [1, 3]


def test_texts_of_a_frame_are_numbered_as_lines_are() -> None:
    content = words_frame(
        said=["Good, good!", "bad", "fine", "", "bad"], by=["p", "q", "r", "p", "q"]
    )
    reader = FrameSentences(("f",), "said", "by", ("p", "q"), length=4, words=9)
    arrays = reader(lambda _: content)
    lines = LabelledSentences(("f",), length=4, words=9)(lambda _: b"p Good, good!\nq bad\n")
    assert np.array_equal(arrays.inputs, lines.inputs)
    assert arrays.targets.tolist() == lines.targets.tolist() == [0, 1]
    assert arrays.vocabulary == lines.vocabulary
    with pytest.raises(ValueError, match="no columns heard"):
        FrameSentences(("f",), "heard", "by")(lambda _: content)


@pytest.mark.parametrize("gap", [float("nan"), None])
def test_rows_without_text_or_label_are_left_out(gap: object) -> None:
    whole_rows = words_frame(said=["good", "bad", "good one"], by=["p", "q", "p"])
    gaps = words_frame(said=["good", gap, "bad", "fine", "good one"], by=["p", "q", "q", gap, "p"])
    for labels in ((), ("p", "q")):
        reader = FrameSentences(("f",), "said", "by", labels)
        expected, arrays = reader(lambda _: whole_rows), reader(lambda _: gaps)
        assert arrays.inputs.tolist() == expected.inputs.tolist()
        assert arrays.targets.tolist() == expected.targets.tolist() == [0, 1, 0]
        assert (arrays.classes, arrays.vocabulary) == (2, expected.vocabulary)


def test_ratings_keep_what_was_rated_most_and_then_who_rated_most_of_it() -> None:
    content = words_frame(
        who=[5, 5, 5, 9, 9, 2, 7],
        what=[30, 10, 40, 30, 10, 10, 20],
        stars=[1.0, 2.0, 3.0, 4.0, 5.0, 2.5, 0.5],
    )
    arrays = Ratings("r", "who", "what", "stars", users=2, items=2)(lambda _: content)
    # items 10 and 30, users 5 and 9: the rows 0, 1, 3 and 4
    assert arrays.inputs.tolist() == [[0, 3], [0, 2], [1, 3], [1, 2]]
    assert arrays.targets.tolist() == [1, 2, 4, 5]
    assert (arrays.vocabulary, arrays.kind, arrays.scale) == (4, "regression", "none")
    with pytest.raises(ValueError, match="no columns score"):
        Ratings("r", "who", "what", "score")(lambda _: content)
