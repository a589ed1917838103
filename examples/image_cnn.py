"""A small convolutional net on the handwritten digits that come with scikit-learn.

advisor recommend examples/image_cnn.py:task --budget 10%
"""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from advisor import Task


def make_model() -> nn.Module:
    """Two convolutions and a linear layer, for images of 8 x 8 pixels."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 10),
    )


def task() -> Task:
    """1,797 images in ten classes; a fifth is kept for the test."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(digits.target)
    rest, test = train_test_split(
        range(len(labels)), test_size=0.2, stratify=digits.target, random_state=0
    )
    return Task(
        model=make_model,
        train=(images[rest], labels[rest]),  # validation is held out of this
        test=(images[test], labels[test]),
        steps=400,
        batch_size=64,
        name="digits with a CNN",
    )
