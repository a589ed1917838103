"""Further rows whose inputs are features of a table."""

from __future__ import annotations

from knowledge_base import wheels
from knowledge_base.dataset_rows.row import Dataset
from knowledge_base.dataset_rows.tables import keel
from knowledge_base.readers import Kind, Table


def _islp(
    name: str, file: str, target: str, kind: Kind, description: str, drop: str = "",
    log_target: bool = False, skip_gaps: bool = False,
) -> Dataset:  # fmt: skip
    """A table of "An Introduction to Statistical Learning"."""
    table = Table(
        (f"ISLP/data/{file}.csv",), (target,), kind, header=True, drop=tuple(drop.split()),
        log_target=log_target, missing="left out" if skip_gaps else "refused",
    )  # fmt: skip
    return Dataset(name, "tabular", kind, wheels.ISLP, table, description)


ROWS: tuple[Dataset, ...] = (
    keel("vehicle", "Silhouettes of a bus, a van and two cars"),
    keel("tic_tac_toe", "End positions of the game, one-hot: has x won?", file="tic-tac-toe"),
    keel("ionosphere", "Radar returns of the ionosphere: with structure or without"),
    keel("sonar", "Sonar returns of a metal cylinder or a rock"),
    keel("pima", "Medical measurements of Pima women: diabetes or not"),
    keel("bands", "Settings of a rotogravure press: bands on the print or not"),
    keel("led7digit", "Seven segments of a display, each wrong one time in ten, to the digit"),
    keel(
        "page_blocks", "Shape of blocks on a scanned page: text, or anything else (10 %)",
        file="page-blocks0", folder="imbalanced",
    ),
    _islp(
        "caravan", "Caravan", "Purchase", "classification",
        "Postcode and policies of customers: do they insure a caravan (6 %)?",
    ),
    _islp(
        "orange_juice", "OJ", "Purchase", "classification",
        "Prices, offers and loyalty of a purchase to the brand of juice", "WeekofPurchase",
    ),
    _islp(
        "college", "College", "Apps", "regression",
        "Facts of colleges to the logarithm of applications received", "Accept Enroll",
        log_target=True,
    ),
    _islp(
        "carseats", "Carseats", "Sales", "regression",
        "Price, advertising and place of a shop to child car seats sold",
    ),
    _islp(
        "boston", "Boston", "medv", "regression",
        "Crime, rooms, taxes and other facts of Boston suburbs to the median house value",
    ),
    _islp(
        "credit", "Credit", "Balance", "regression",
        "Income, limit and person of card holders to their balance", "ID",
    ),
    _islp(
        "hitters", "Hitters", "Salary", "regression",
        "Batting and fielding of baseball players to the logarithm of the salary",
        log_target=True, skip_gaps=True,
    ),
    _islp(
        "auto", "Auto", "mpg", "regression",
        "Engine, weight, year and origin of cars to miles per gallon", "name",
    ),
)  # fmt: skip
