"""Readers of fields, forecasts, sentences, graphs and photographs, on tiny files made here."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_readers import files, png

from knowledge_base.partition import split
from knowledge_base.readers import (
    CitationGraph,
    Forecast,
    LabelledSentences,
    OneDimensionalDigits,
    Photographs,
    PictureCoordinates,
    Reconstruction,
    Table,
    TimeSeriesFile,
)
from knowledge_base.readers.coordinates import shrunk
from knowledge_base.readers.photographs import decode_jpeg
from probes.errors import UserError


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def test_a_picture_is_told_from_the_centres_of_its_cells() -> None:
    picture = np.arange(16, dtype=np.uint8).reshape(4, 4)
    arrays = PictureCoordinates("p", side=2)(lambda _: png(picture, [0] * 4))
    assert arrays.inputs.tolist() == [[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]
    assert arrays.targets.tolist() == [[2.5], [4.5], [10.5], [12.5]]
    assert (arrays.kind, arrays.scale, arrays.target_scale) == ("regression", "none", "overall")


def test_a_colour_picture_has_three_targets_and_is_cut_to_its_centre() -> None:
    picture = np.zeros((2, 6, 3), np.uint8)
    picture[:, 2:4] = [10, 20, 30]
    arrays = PictureCoordinates("p", side=2)(lambda _: png(picture, [0] * 2))
    assert arrays.targets.tolist() == [[10, 20, 30]] * 4
    with pytest.raises(ValueError, match="at least 7"):
        PictureCoordinates("p", side=7)(lambda _: png(picture, [0] * 2))


@given(height=st.integers(3, 20), width=st.integers(3, 20), side=st.integers(1, 3))
def test_shrinking_keeps_the_mean_of_what_it_covers(height: int, width: int, side: int) -> None:
    pixels = np.random.default_rng(0).random((height, width, 2)).astype(np.float32)
    small = shrunk(pixels, side)
    assert small.shape == (side, side, 2)
    covered = min(height, width) // side * side
    if covered == height == width:
        assert small.mean() == pytest.approx(pixels.mean(), rel=1e-5)


def test_a_table_may_have_several_numbers_as_targets() -> None:
    table = Table(("t",), ("u", "v"), "regression", header=True)
    arrays = table(files(t="x,u,v\n1,2,3\n4,5,6\n"))
    assert arrays.targets.tolist() == [[2, 3], [5, 6]]
    assert arrays.inputs.tolist() == [[1], [4]]


def test_reconstruction_targets_are_the_inputs_on_one_scale() -> None:
    rows = "".join(f"{i},{i * 7 % 5},{i % 2}\n" for i in range(40))
    arrays = Reconstruction(Table(("t",)))(files(t=rows))
    assert arrays.kind == "autoencoding"
    assert arrays.classes is None
    parts = split(arrays, 0)
    for part in (parts.train, parts.validation, parts.test):
        np.testing.assert_allclose(part.inputs, part.targets, rtol=1e-6)
    with pytest.raises(ValueError, match="tokens"):
        Reconstruction(LabelledSentences(("s",)))(files(s="a one\nb two\n"))


def test_reconstructed_series_are_scaled_step_by_step() -> None:
    lines = "".join(f"{i},{10 * i + 3}:{i % 5},{i}:a\n" for i in range(40))
    arrays = Reconstruction(TimeSeriesFile(("t",)))(files(t=f"@data\n{lines}"))
    assert arrays.targets.shape == (40, 4)
    train = split(arrays, 0).train
    np.testing.assert_allclose(train.targets.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(train.targets.std(0), 1, rtol=1e-5)
    assert abs(train.inputs[:, 0, 0].std() - 1) > 0.1


def series(count: int) -> str:
    return "t,x,y\n" + "".join(f"{i},{i * i + 1},{i}\n" for i in range(count))


def test_windows_and_what_comes_after_them() -> None:
    arrays = Forecast("f", ("x", "y"), past=3, future=2, stride=2)(files(f=series(8)))
    assert arrays.inputs.tolist() == [
        [[1, 0], [2, 1], [5, 2]],
        [[5, 2], [10, 3], [17, 4]],
    ]
    assert arrays.targets.tolist() == [[10, 17], [26, 37]]
    assert (arrays.kind, arrays.in_order, arrays.gap) == ("forecasting", True, 2)


def test_a_series_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="fewer than 4"):
        Forecast("f", ("x",), past=3, future=1)(files(f=series(3)))


@pytest.mark.parametrize("stride", [1, 2, 3, 7])
def test_no_step_of_a_series_is_in_two_parts(stride: int) -> None:
    past, future = 5, 3
    reader = Forecast("f", ("t",), past=past, future=future, stride=stride)
    arrays = reader(files(f=series(400)))
    times = arrays.inputs[:, 0, 0].astype(int)
    parts = split(replace(arrays, scale="none"), 0)
    seen = []
    for part in (parts.train, parts.validation, parts.test):
        starts = part.inputs[:, 0, 0].astype(int)
        assert set(starts.tolist()) <= set(times.tolist())
        seen.append({start + step for start in starts.tolist() for step in range(past + future)})
    assert all(seen)
    assert max(seen[0]) < min(seen[1])
    assert max(seen[1]) < min(seen[2])


def test_sentences_are_numbers_of_their_words() -> None:
    text = "NUM:date When was it , when ?\nHUM:ind Who was when ?\nNUM:count When was rare\n"
    arrays = LabelledSentences(("s",), length=6, words=5)(files(s=text))
    # "when" occurs four times, "was" three times, "?" twice; every other word is unknown
    assert arrays.inputs.tolist() == [
        [2, 3, 1, 1, 2, 4],
        [1, 3, 2, 4, 0, 0],
        [2, 3, 1, 0, 0, 0],
    ]
    assert arrays.targets.tolist() == [1, 0, 1]
    assert (arrays.classes, arrays.vocabulary) == (2, 5)


def test_sentences_that_only_unknown_words_tell_apart_are_one() -> None:
    # of the words only "see" is known; a bird and a wolf are the same with different labels
    lines = ["A see cat", "A see dog", "B see see", "A see see see", "A bird see", "B wolf see"]
    text = "\n".join([*lines, "B see hen see", "B see hen see"])
    found = LabelledSentences(("s",), length=4, words=3)(files(s=text))
    assert found.inputs.tolist() == [[2, 1, 0, 0], [2, 2, 0, 0], [2, 2, 2, 0], [2, 1, 2, 0]]
    assert found.targets.tolist() == [0, 1, 0, 1], "once each, and no row with two answers"


def test_sentences_labelled_by_file_lose_those_in_both() -> None:
    read = files(a="good film .\nbad film .\n", b="bad film .\n\nno film .\n")
    arrays = LabelledSentences(("a", "b"), label_first=False)(read)
    assert arrays.targets.tolist() == [0, 1]
    with pytest.raises(ValueError, match="no labelled sentence"):
        LabelledSentences(("a",))(files(a="\n"))


def test_a_citation_counts_both_ways_and_once() -> None:
    content = npz(
        adj_data=np.ones(4), adj_indices=np.asarray([1, 1, 0, 2]), adj_shape=np.asarray([3, 3]),
        adj_indptr=np.asarray([0, 1, 3, 4]), attr_data=np.ones(3), attr_shape=np.asarray([3, 4]),
        attr_indices=np.asarray([0, 3, 2]), attr_indptr=np.asarray([0, 2, 2, 3]),
        labels=np.asarray([1, 0, 1], np.int8), node_names=np.asarray(["a", "b", "c"]),
    )  # fmt: skip
    arrays = CitationGraph("c")(lambda _: content)
    assert arrays.graph is not None
    assert arrays.graph.edges.tolist() == [[0, 1], [1, 0]]
    assert arrays.graph.features.tolist() == [[0.5, 0, 0, 0.5], [0, 0, 0, 0], [0, 0, 1, 0]]
    assert arrays.inputs.tolist() == [[0], [1], [2]]
    assert arrays.targets.tolist() == [1, 0, 1]


TEMPLATES = "".join(
    f"    d{digit} = np.asarray([5,{digit},6.5,{9 - digit},5])\n" for digit in range(10)
)


def test_series_of_digits_follow_their_templates() -> None:
    reader = OneDimensionalDigits("d", count=500)
    arrays = reader(files(d=TEMPLATES))
    assert arrays.inputs.shape == (500, 40, 1)
    assert np.bincount(arrays.targets).tolist() == [50] * 10
    assert np.array_equal(arrays.inputs, reader(files(d=TEMPLATES)).inputs)
    other = OneDimensionalDigits("d", count=500, seed=1)(files(d=TEMPLATES))
    assert not np.array_equal(arrays.inputs, other.inputs)
    with pytest.raises(ValueError, match="9 templates"):
        reader(files(d=TEMPLATES.replace("d7", "e7")))


def photographs() -> dict[str, Any]:
    image = pytest.importorskip("PIL.Image", reason="decoding photographs needs Pillow")
    content: dict[str, Any] = {}
    for part, shades in (("train", (0, 100, 200)), ("test", (50,))):
        data, offsets = b"", [0]
        for shade in shades:
            stream = io.BytesIO()
            pixels = np.full((8, 8, 3), [shade, 255 - shade, 128], np.uint8)
            image.fromarray(pixels).save(stream, "JPEG", quality=95)
            data += stream.getvalue()
            offsets.append(len(data))
        content[f"{part}_jpeg"] = np.frombuffer(data, np.uint8)
        content[f"{part}_offsets"] = np.asarray(offsets)
        content[f"{part}_labels"] = np.arange(len(shades), dtype=np.uint8)
    return content


def test_photographs_come_channel_first_and_smaller_if_asked() -> None:
    content = npz(**photographs())
    arrays = Photographs("p")(lambda _: content)
    assert arrays.inputs.shape == (4, 3, 8, 8)
    assert arrays.targets.tolist() == [0, 1, 2, 0]
    np.testing.assert_allclose(arrays.inputs[:, 0, 0, 0], [0, 100, 200, 50], atol=4)
    small = Photographs("p", parts=("train",), count=2, shrink=4)(lambda _: content)
    assert small.inputs.shape == (2, 3, 2, 2)
    np.testing.assert_allclose(small.inputs[1, 1], 155, atol=4)


def test_without_pillow_the_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UserError, match="Pillow"):
        decode_jpeg(b"")
