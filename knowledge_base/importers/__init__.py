"""Results that others published, read from a path into the columns of our own runs, kept apart.

Nothing of these publications is part of the project: whoever has them imports them. Nothing learns
from them either unless it is handed a folder of theirs: they are on other tasks, and censored where
a run stops at its target. ``knowledge_base.store.load_runs`` reads such a folder.
"""

from knowledge_base.importers.base import (
    Curve,
    Ending,
    ImportedMethod,
    ImportedRun,
    Importer,
    Problem,
    Report,
)
from knowledge_base.importers.imports import FORMATS, Summary, import_results
from knowledge_base.importers.loading import (
    check_imported,
    default_folder,
    formats_in,
    load_imported,
    load_methods,
)

__all__ = [
    "FORMATS", "Curve", "Ending", "ImportedMethod", "ImportedRun", "Importer", "Problem", "Report",
    "Summary", "check_imported", "default_folder", "formats_in", "import_results", "load_imported",
    "load_methods",
]  # fmt: skip
