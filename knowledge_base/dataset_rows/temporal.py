"""Further series: gestures, outlines and digits to classify, measured series to forecast."""

from __future__ import annotations

from knowledge_base import wheels
from knowledge_base.dataset_rows.images_and_series import aeon
from knowledge_base.dataset_rows.row import Dataset
from knowledge_base.readers import Forecast, OneDimensionalDigits


def _forecast(name: str, reader: Forecast, description: str, group: str = "") -> Dataset:
    return Dataset(name, "series", "forecasting", wheels.ISLP, reader, description, group)


ROWS: tuple[Dataset, ...] = (
    aeon("arrow_head", "ArrowHead", "Outlines of projectile points of three cultures"),
    aeon("basic_motions", "BasicMotions", "Acceleration and rotation of a wrist, four activities"),
    aeon("gun_point", "GunPoint", "Path of a hand that draws a gun or points a finger"),
    aeon("wiimote_gesture", "PickupGestureWiimoteZ", "Acceleration of a remote, ten gestures",
         "PickupGestureWiimoteZ_eq"),
    Dataset(
        "mnist1d",
        "series",
        "classification",
        wheels.MNIST1D,
        OneDimensionalDigits("mnist1d/data.py"),
        "Ten shapes drawn as short series, moved, bent and noisy",
    ),
    _forecast(
        "trading_volume",
        Forecast("ISLP/data/NYSE.csv", ("log_volume", "DJ_return", "log_volatility"), past=20,
                 future=1, stride=2),
        "20 days of volume, return and volatility of the New York exchange to the next volume",
    ),
    _forecast(
        "daily_volume",
        Forecast("ISLP/data/Smarket.csv", ("Volume", "Today"), past=15, future=1),
        "15 days of volume and return of the S&P 500, 2001 to 2005, to the next volume",
        "sp500",
    ),
    _forecast(
        "weekly_volume",
        Forecast("ISLP/data/Weekly.csv", ("Volume", "Today"), past=16, future=2),
        "16 weeks of volume and return of the S&P 500, 1990 to 2010, to the next two volumes",
        "sp500",
    ),
    _forecast(
        "bike_hours",
        Forecast("ISLP/data/Bikeshare.csv", ("bikers", "temp", "hum", "windspeed"), past=24,
                 future=6, stride=2),
        "A day of bikes rented and weather, hour by hour, to the next six hours",
        "bikeshare",
    ),
)  # fmt: skip
