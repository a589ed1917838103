"""The data sets that scikit-learn carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from knowledge_base.readers.arrays import Arrays, ReadMember


@dataclass(frozen=True)
class ScikitLearn:
    """Reader of one of scikit-learn's bundled data sets.

    Attributes:
        name: Which one. The digits come as images (N, 1, 8, 8), the others as features (N, F).
    """

    name: Literal["digits", "wine", "breast_cancer", "diabetes"]

    def __call__(self, read: ReadMember) -> Arrays:
        """The data set; no member is read."""
        # Imported here: reading the table of data sets must not take the second that this takes.
        from sklearn import datasets as sklearn_datasets

        if self.name == "diabetes":
            features, values = sklearn_datasets.load_diabetes(return_X_y=True, scaled=False)
            return Arrays(features.astype(np.float32), values.astype(np.float32), "regression")
        loaders = {
            "digits": sklearn_datasets.load_digits,
            "wine": sklearn_datasets.load_wine,
            "breast_cancer": sklearn_datasets.load_breast_cancer,
        }
        features, labels = loaders[self.name](return_X_y=True)
        inputs, numbers = features.astype(np.float32), labels.astype(np.int64)
        classes = int(numbers.max()) + 1
        if self.name == "digits":
            images = inputs.reshape(-1, 1, 8, 8)
            return Arrays(images, numbers, "classification", classes, scale="overall")
        return Arrays(inputs, numbers, "classification", classes)
