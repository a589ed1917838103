"""Categories as tokens: a table whose cells are all categories, each row a short sequence."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from knowledge_base.readers.arrays import Arrays, Reader, ReadMember


@dataclass(frozen=True)
class CategoryTokens:
    """Reader of the one-hot inputs of another reader as tokens, one a column of the table.

    Columns share no token: the same word in two columns is two of them.

    Attributes:
        reader: Of a table whose columns are all words or `categorical`.
    """

    reader: Reader

    def __call__(self, read: ReadMember) -> Arrays:
        """The rows as int64 tokens (N, columns), in [0, categories of all columns).

        Raises:
            ValueError: The inputs are not zeros and ones, equally many ones a row.
        """
        arrays = self.reader(read)
        ones = arrays.inputs == 1
        counts = ones.sum(1)
        if not np.array_equal(ones, arrays.inputs) or len(np.unique(counts)) != 1:
            raise ValueError("columns that are all categories")
        tokens = np.nonzero(ones)[1].reshape(len(ones), -1).astype(np.int64)
        return replace(arrays, inputs=tokens, vocabulary=ones.shape[1], scale="none")
