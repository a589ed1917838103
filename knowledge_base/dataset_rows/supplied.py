"""Rows that no package ships: their files lie in the user's data folder."""

from __future__ import annotations

from knowledge_base import wheels
from knowledge_base.data_folder import DataFile
from knowledge_base.dataset_rows.row import Dataset
from knowledge_base.readers import CitationGraph, LabelledSentences, Photographs, WikiPages

_CIFAR = DataFile(
    "cifar10_jpeg.npz",
    "7f41f100c0c76b9db3853181f55194924c74f93df09a6ca4dda2132e6c17c544",
    "not stated; Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
)
_SENTENCES = DataFile(
    "trec_subj.tar.xz",
    "32413fd46fee416d92e01a9c065726dcbfed811932a9217fdcc054c52f2f5ba7",
    "MIT",
)
_CORA = DataFile(
    "cora.tar.xz",
    "18fc28fe7c737021f3d8c53024c27b4b18cb6582685c4d0b3c1a8403f3b3d0c4",
    "not stated; McCallum et al., Automating the Construction of Internet Portals, 2000",
)

ROWS: tuple[Dataset, ...] = (
    Dataset(
        "cifar10",
        "image",
        "classification",
        _CIFAR,
        Photographs("cifar10_jpeg.npz"),
        "Colour photographs of ten kinds of things, 32 x 32 pixels, stored as JPEG",
    ),
    Dataset(
        "cifar10_small",
        "image",
        "classification",
        _CIFAR,
        Photographs("cifar10_jpeg.npz", parts=("train",), count=5000, shrink=2),
        "5,000 of the photographs, averaged down to 16 x 16 pixels",
        "cifar10",
    ),
    Dataset(
        "trec",
        "text",
        "classification",
        _SENTENCES,
        LabelledSentences(("raw/TREC.train", "raw/TREC.test")),
        "Words of a question to one of six kinds of answer",
    ),
    Dataset(
        "subjectivity",
        "text",
        "classification",
        _SENTENCES,
        LabelledSentences(("raw/subj.objective", "raw/subj.subjective"), label_first=False),
        "Words of a sentence about a film: plot or opinion",
    ),
    Dataset(
        "cora",
        "graph",
        "classification",
        _CORA,
        CitationGraph("data/npz/cora.npz"),
        "Words and citations of papers on machine learning to one of seven fields",
    ),
    Dataset(
        "wiki_pages",
        "text",
        "next_token",
        wheels.GENSIM,
        WikiPages(
            "gensim/test/test_data/"
            "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2",
            per_page=100_000,
            length=256,
        ),
        "Whole pages of the English Wikipedia with their markup, in windows of 256 characters",
        "wiki_characters",
    ),
)
