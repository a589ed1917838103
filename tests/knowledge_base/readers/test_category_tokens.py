"""Tables of categories as tokens, on tiny tables made here."""

from __future__ import annotations

import numpy as np
import pytest
from test_readers import files

from knowledge_base.partition import split
from knowledge_base.readers import CategoryTokens, Table


def test_columns_share_no_token_and_the_answer_stays_as_it_is() -> None:
    table = Table(("t",), categorical=("1",))
    arrays = CategoryTokens(table)(files(t="low,3,low,a\nhigh,2,low,b\nlow,2,mid,a\n"))
    assert arrays.inputs.tolist() == [[1, 3, 4], [0, 2, 4], [1, 2, 5]]
    assert (arrays.vocabulary, arrays.classes) == (6, 2)
    assert arrays.inputs.dtype == np.int64
    assert arrays.targets.tolist() == [0, 1, 0]


def test_numbers_can_be_told_from_tokens_which_no_split_scales() -> None:
    rows = "".join(f"{'xyz'[i % 3]},{'pq'[i % 2]},{i}\n" for i in range(40))
    arrays = CategoryTokens(Table(("t",), ("2",), "regression"))(files(t=rows))
    train = split(arrays, 0).train
    assert set(train.inputs[:, 0].tolist()) == {0, 1, 2}
    assert set(train.inputs[:, 1].tolist()) == {3, 4}
    assert train.targets.mean() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("text", ["x,5,a\ny,7,b\n", "x,1,a\ny,0,b\n"])
def test_a_column_of_numbers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="categories"):
        CategoryTokens(Table(("t",)))(files(t=text))
