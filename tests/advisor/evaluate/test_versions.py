from __future__ import annotations

import numpy as np

from advisor.evaluate.versions import versions


def test_releases_in_the_order_asked() -> None:
    found = versions(["no such package", "numpy"])
    assert list(found.items()) == [("no such package", "source"), ("numpy", np.__version__)]
