"""The table of data sets: where each one comes from, how it is read, what it is.

Adding a data set means adding a row here, and a reader where its file is of a new kind.
"""

from knowledge_base.dataset_rows import (
    fields,
    images_and_series,
    more_tables,
    other_targets,
    r_tables,
    reconstructions,
    sequences,
    signals_and_motion,
    supplied,
    tables,
    temporal,
)
from knowledge_base.dataset_rows.row import Dataset, Modality, Source

__all__ = ["ROWS", "Dataset", "Modality", "Source"]

ROWS: tuple[Dataset, ...] = (
    *images_and_series.ROWS,
    *tables.ROWS,
    *more_tables.ROWS,
    *r_tables.ROWS,
    *other_targets.ROWS,
    *sequences.ROWS,
    *temporal.ROWS,
    *fields.ROWS,
    *reconstructions.ROWS,
    *signals_and_motion.ROWS,
    *supplied.ROWS,
)
