"""Every form of data becomes the same samples."""

from __future__ import annotations

from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from cases import DictRows, draw, ids
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
    random_split,
)

from probes.batch import cut, map_tensors, size_of
from probes.data import IndexedSamples, LoaderSamples, as_samples, is_pair_of_sets, shuffled_indices
from probes.errors import UserError

INPUTS, LABELS = draw(40, 3), ids(40, top=4)


class Rows(Dataset[tuple[Tensor, Tensor]]):
    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return INPUTS[index], LABELS[index]


class PlainRows:
    """No Dataset, but it has what one needs."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return INPUTS[index], LABELS[index]


class Stream(IterableDataset[tuple[Tensor, Tensor]]):
    def __iter__(self) -> Any:
        return iter(zip(INPUTS, LABELS, strict=True))


def _sampled() -> DataLoader[Any]:
    return DataLoader(Rows(), batch_size=8, sampler=WeightedRandomSampler([1.0] * 40, 40))


SAME = {
    "tensors": (INPUTS, LABELS),
    "list of tensors": [INPUTS, LABELS],
    "arrays": (INPUTS.numpy(), LABELS.numpy()),
    "array and tensor": (INPUTS.numpy(), LABELS),
    "tensor dataset": TensorDataset(INPUTS, LABELS),
    "subset": Subset(TensorDataset(INPUTS, LABELS), range(40)),
    "dataset": Rows(),
    "plain rows": PlainRows(),
    "loader": DataLoader(Rows(), batch_size=8),
    "shuffling loader": DataLoader(TensorDataset(INPUTS, LABELS), batch_size=8, shuffle=True),
    "iterable": Stream(),
    "iterable loader": DataLoader(Stream(), batch_size=8),
}


@pytest.mark.parametrize(
    ("form", "in_memory"),
    [("tensors", True), ("arrays", True), ("tensor dataset", True), ("subset", True),
     ("shuffling loader", True), ("dataset", False), ("plain rows", False), ("loader", False)],
)  # fmt: skip
def test_what_is_in_memory_is_known_of_the_whole_and_of_a_part(form: str, in_memory: bool) -> None:
    samples = as_samples(SAME[form])
    assert isinstance(samples, IndexedSamples)
    assert samples.in_memory == in_memory
    assert samples.part(torch.arange(3)).in_memory == in_memory


@pytest.mark.parametrize("form", SAME)
def test_every_form_gives_each_sample_once_in_order(form: str) -> None:
    samples = as_samples(SAME[form])
    assert len(samples) == 40
    batches = list(samples.ordered(8))
    torch.testing.assert_close(torch.cat([inputs for inputs, _ in batches]), INPUTS)
    torch.testing.assert_close(torch.cat([labels for _, labels in batches]), LABELS)


@pytest.mark.parametrize("form", [form for form in SAME if "iterable" not in form])
def test_stream_is_seeded_shuffled_and_the_same_for_every_indexed_form(form: str) -> None:
    def rows(seed: int, count: int = 5) -> Tensor:
        return torch.cat([b[0] for b in islice(as_samples(SAME[form]).stream(8, seed), count)])

    reference = torch.cat([b[0] for b in islice(as_samples((INPUTS, LABELS)).stream(8, 3), 5)])
    torch.testing.assert_close(rows(3), reference)
    assert not torch.equal(rows(4), rows(3))
    epoch = rows(3)
    assert sorted(map(tuple, epoch.tolist())) == sorted(map(tuple, INPUTS.tolist()))
    assert not torch.equal(rows(3, 10)[40:], epoch)  # a fresh permutation in the second epoch


def test_incomplete_batch_is_dropped_from_the_stream_and_kept_in_order() -> None:
    samples = as_samples((INPUTS, LABELS))
    assert [size_of(batch) for batch in islice(samples.stream(15, 0), 5)] == [15] * 5
    assert [size_of(batch) for batch in samples.ordered(15)] == [15, 15, 10]
    epoch = torch.cat(list(islice(shuffled_indices(40, 15, 0), 2)))
    assert len(set(epoch.tolist())) == 30


@pytest.mark.parametrize("form", ["tensors", "dataset", "iterable loader"])
@pytest.mark.parametrize("limit", [1, 8, 13, 40, 100])
def test_ordered_keeps_to_its_limit(form: str, limit: int) -> None:
    batches = list(as_samples(SAME[form]).ordered(8, limit))
    assert sum(map(size_of, batches)) == min(limit, 40)


@pytest.mark.parametrize(
    ("data", "size"),
    [(SAME["loader"], 8), (SAME["iterable loader"], 8), (SAME["tensors"], None), (_sampled(), 8),
     (DataLoader(Rows(), batch_sampler=[[0, 1, 2], [3, 4, 5]]), 3)],
)  # fmt: skip
def test_batch_size_comes_with_the_data(data: Any, size: int | None) -> None:
    assert as_samples(data).batch_size == size


def test_a_sampler_of_the_users_own_decides_the_order() -> None:
    loader = DataLoader(Rows(), batch_size=4, sampler=[7, 7, 7, 7, 3, 3, 3, 3])
    samples = as_samples(loader)
    assert isinstance(samples, LoaderSamples)
    first, second = islice(samples.stream(4, 0), 2)
    torch.testing.assert_close(first[0], INPUTS[[7] * 4])
    torch.testing.assert_close(second[0], INPUTS[[3] * 4])


def test_a_loader_collates_as_the_user_says() -> None:
    def collate(rows: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        return {"x": torch.stack([x for x, _ in rows]), "y": torch.stack([y for _, y in rows]) + 1}

    batch = next(iter(as_samples(DataLoader(Rows(), 5, collate_fn=collate)).ordered(5)))
    torch.testing.assert_close(batch["y"], LABELS[:5] + 1)


def test_parts_of_samples() -> None:
    samples = as_samples((INPUTS, LABELS))
    assert isinstance(samples, IndexedSamples)
    part = samples.part(torch.tensor([5, 2, 9, 30])).part(torch.tensor([3, 0]))
    torch.testing.assert_close(next(iter(part.ordered(10)))[0], INPUTS[[30, 5]])
    loader = as_samples(SAME["iterable loader"])
    assert isinstance(loader, LoaderSamples)
    odd = loader.part(lambda position: position % 2 == 1)
    torch.testing.assert_close(next(iter(odd.ordered(8)))[0], INPUTS[8:16])
    assert len(odd) == 16


def test_a_random_split_stays_random() -> None:
    parts = random_split(Rows(), [30, 10], torch.Generator().manual_seed(1))
    held = torch.cat([batch[0] for batch in as_samples(parts[1]).ordered(4)])
    torch.testing.assert_close(held, INPUTS[list(parts[1].indices)])


def test_dict_rows_and_lone_tensors() -> None:
    batch = next(iter(as_samples(DictRows()).ordered(6)))
    assert set(batch) == {"left", "right", "labels"}
    assert size_of(batch) == 6
    tokens = ids(20, 5)
    assert torch.equal(next(iter(as_samples(tokens).ordered(20))), tokens)
    (alone,) = next(iter(as_samples(TensorDataset(tokens)).ordered(20)))  # as its loader gives it
    assert torch.equal(alone, tokens)


def _bad(inputs: Tensor, row: int, value: float) -> Tensor:
    changed = inputs.clone()
    changed[row, 1] = value
    return changed


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((INPUTS, LABELS[:39]), ("same length", "(40, 3)", "(39,)")),
        ((_bad(INPUTS, 17, float("nan")), LABELS), ("finite", "inputs", "row 17")),
        ((_bad(INPUTS, 3, float("inf")).numpy(), LABELS), ("finite", "inputs", "row 3")),
        ((INPUTS, _bad(INPUTS, 5, float("nan"))), ("finite", "targets", "row 5")),
        (_bad(INPUTS, 8, float("nan")).to(torch.complex64), ("finite", "row 8")),
        ((INPUTS[:0], LABELS[:0]), ("at least one sample", "none")),
        (TensorDataset(INPUTS[:0]), ("at least one sample",)),
        (Subset(TensorDataset(INPUTS), [0, 40]), ("below 40", "index 40")),
        (INPUTS.to("meta"), ("meta device",)),
        (INPUTS.to_sparse(), ("dense", "to_dense")),
        ((np.array(["a", "b"]), np.array([0, 1])), ("numbers", "<U1", "encode")),
        (((x, x) for x in INPUTS), ("DataLoader", "generator", "only once")),
        (iter([(INPUTS, LABELS)]), ("only once",)),
        ("train.csv", ("DataLoader", "str")),
        ({"x": INPUTS}, ("DataLoader", "dict")),
        (None, ("DataLoader", "NoneType")),
        ((INPUTS, "labels"), ("tuple of (Tensor, str)",)),
        ((), ("DataLoader",)),
        (torch.tensor(3.0), ("at least one sample",)),
    ],
)
def test_what_is_no_data_is_refused_in_one_line(data: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as error:
        as_samples(data)
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_a_dataset_without_a_length_is_refused() -> None:
    class Endless(Dataset[Tensor]):
        def __getitem__(self, index: int) -> Tensor:
            return INPUTS[0]

    with pytest.raises(UserError, match=r"__len__"):
        as_samples(Endless())


def test_an_empty_loader_is_refused() -> None:
    class Nothing(IterableDataset[Tensor]):
        def __iter__(self) -> Any:
            return iter(())

    with pytest.raises(UserError, match="at least one batch"):
        as_samples(DataLoader(Nothing(), batch_size=None))
    samples = as_samples(DataLoader(Nothing(), batch_size=4))
    with pytest.raises(UserError, match="gave none"):
        next(samples.stream(4, 0))


@pytest.mark.parametrize(
    "kind", ["float16", "float64", "longdouble", "int8", "int32", "uint8", "uint16", "uint32",
             "bool", "complex64", ">f4", ">i4"],
)  # fmt: skip
def test_arrays_of_every_kind_of_number(kind: str) -> None:
    array = np.array([[0, 1], [1, 0], [1, 1]]).astype(kind)
    (batch,) = as_samples(array).ordered(3)
    torch.testing.assert_close(batch.real.double() if batch.is_complex() else batch.double(),
                               torch.tensor([[0.0, 1], [1, 0], [1, 1]]).double())  # fmt: skip


def test_arrays_are_copied() -> None:
    array = np.zeros((4, 2), dtype=np.float32)
    (batch,) = as_samples(array).ordered(4)
    batch += 1
    assert not array.any()


@pytest.mark.parametrize(
    ("data", "expected"),
    [((INPUTS, LABELS), False), ((INPUTS.numpy(), LABELS), False), ((Rows(), Rows()), True),
     (((INPUTS, LABELS), (INPUTS, LABELS)), True), ([Rows(), (INPUTS, LABELS)], True),
     (INPUTS, False), ((INPUTS, INPUTS, LABELS), False), (Rows(), False)],
)  # fmt: skip
def test_pairs_of_sets_are_told_from_pairs_of_tensors(data: Any, expected: bool) -> None:
    assert is_pair_of_sets(data) is expected


class Named(NamedTuple):
    inputs: Tensor
    label: Tensor


@pytest.mark.parametrize(
    "batch",
    [INPUTS, (INPUTS, LABELS), [INPUTS, (LABELS, INPUTS)], {"x": INPUTS, "y": {"z": LABELS}},
     Named(INPUTS, LABELS), (INPUTS, LABELS, 3)],
)  # fmt: skip
def test_batches_of_every_shape_are_cut_and_keep_their_type(batch: Any) -> None:
    part = cut(batch, 10, 14)
    assert type(part) is type(batch)
    assert size_of(part) == 4
    seen: list[int] = []
    map_tensors(part, lambda tensor: seen.append(len(tensor)) or tensor)
    assert set(seen) == {4}


def test_a_batch_of_another_shape_is_refused() -> None:
    with pytest.raises(UserError, match="collate_fn"):
        size_of("text")
