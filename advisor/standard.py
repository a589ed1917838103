"""Features on a common scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from advisor.features import Matrix


@dataclass(frozen=True)
class Standard:
    """Standardization: missing values take the mean, outliers are cut at three deviations."""

    mean: Matrix
    deviation: Matrix

    @classmethod
    def of(cls, rows: Matrix, kept: Sequence[int] = ()) -> Standard:
        """Means and deviations of the columns, missing values left out.

        Args:
            rows: (n, p) values, NaN missing.
            kept: Columns that stay on their own scale (0 or 1 for a name).
        """
        known = np.isfinite(rows)
        count = np.maximum(known.sum(0), 1)
        mean = np.where(known, rows, 0.0).sum(0) / count
        spread = np.where(known, rows - mean, 0.0)
        deviation = np.sqrt((spread**2).sum(0) / count)
        deviation = np.where(deviation > 1e-9, deviation, np.inf)
        mean[list(kept)], deviation[list(kept)] = 0.0, 1.0
        return cls(mean, deviation)

    def __call__(self, rows: Matrix) -> Matrix:
        """The rows on the common scale."""
        scaled = (np.where(np.isfinite(rows), rows, self.mean) - self.mean) / self.deviation
        clipped: Matrix = np.clip(scaled, -3.0, 3.0)
        return clipped
