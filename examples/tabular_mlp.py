"""A multilayer perceptron on the breast cancer table that comes with scikit-learn.

advisor recommend examples/tabular_mlp.py:task --budget 10%
"""

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn

from advisor import Task


def make_model() -> nn.Module:
    """Two hidden layers; one output, the logit of "benign"."""
    return nn.Sequential(
        nn.Linear(30, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 1)
    )


def task() -> Task:
    """569 tumours with 30 measurements each; validation and test are given."""
    table = load_breast_cancer()
    rest, test, rest_labels, test_labels = train_test_split(
        table.data, table.target, test_size=0.2, stratify=table.target, random_state=0
    )
    train, validation, train_labels, validation_labels = train_test_split(
        rest, rest_labels, test_size=0.2, stratify=rest_labels, random_state=0
    )
    scaler = StandardScaler().fit(train)

    def tensors(features, labels):
        scaled = torch.tensor(scaler.transform(features), dtype=torch.float32)
        return scaled, torch.tensor(labels, dtype=torch.float32)

    return Task(
        model=make_model,
        train=tensors(train, train_labels),
        validation=tensors(validation, validation_labels),
        test=tensors(test, test_labels),
        loss="binary_cross_entropy",
        steps=500,
        batch_size=32,
        name="breast cancer with an MLP",
    )
