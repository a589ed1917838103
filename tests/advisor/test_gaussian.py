"""The Kronecker Gaussian against the textbook posterior with its dense covariance."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from advisor.covariance import distances_between, likelihood
from advisor.gaussian import OutcomeGaussian
from advisor.standard import Standard

Matrix = NDArray[np.float64]
TASK_GROUPS, RECIPE_GROUPS = [[0, 1], [2]], [[0], [1]]
INITIAL = np.log([1.0, 1.0, 0.5, 0.5, 0.05])


class Small:
    """Five tasks, four recipes, a task that is new, recipes that are new; some values missing."""

    def __init__(self, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.tasks = random.standard_normal((5, 3))
        self.tasks[1, 1] = np.nan
        self.recipes = random.standard_normal((4, 2))
        self.regrets = random.uniform(size=(5, 4))
        self.new_task = np.array([0.3, np.nan, -0.2])
        self.new_recipes = random.standard_normal((6, 2))
        self.parameters = 0.5 * random.standard_normal(5 + 2 + 2)

    def fit(self, start: Matrix | None = None, iterations: int = 0) -> OutcomeGaussian:
        begin = self.parameters if start is None else start
        return OutcomeGaussian.fit(
            self.tasks, self.recipes, self.regrets, TASK_GROUPS, RECIPE_GROUPS, begin, iterations
        )


def standard(known: Matrix, rows: Matrix) -> Matrix:
    mean, deviation = np.nanmean(known, 0), np.nanstd(known, 0)
    return np.clip((np.where(np.isnan(rows), mean, rows) - mean) / deviation, -3, 3)


def kernel(left: Matrix, right: Matrix, groups: list[list[int]], scales: Matrix) -> Matrix:
    found = np.ones((len(left), len(right)))
    for group, scale in zip(groups, np.exp(scales), strict=True):
        for i, x in enumerate(left):
            for j, y in enumerate(right):
                distance = np.mean([(x[c] - y[c]) ** 2 for c in group])
                found[i, j] *= np.exp(-distance / (2 * scale**2))
    return found


def dense(small: Small, parameters: Matrix) -> tuple[Matrix, float]:
    """(prediction for the new recipes on the new task, log marginal likelihood)."""
    a, b, d, c, s = np.exp(parameters[:5])
    x, z = standard(small.tasks, small.tasks), standard(small.recipes, small.recipes)
    left = a + b * kernel(x, x, TASK_GROUPS, parameters[5:7]) + d * np.eye(5)
    right = c + kernel(z, z, RECIPE_GROUPS, parameters[7:]) + 1e-6 * np.eye(4)
    covariance = np.kron(left, right) + s * np.eye(20)
    level, scale = small.regrets.mean(), small.regrets.std()
    y = ((small.regrets - level) / scale).ravel()
    new_x = standard(small.tasks, small.new_task[None])
    new_z = standard(small.recipes, small.new_recipes)
    row = a + b * kernel(new_x, x, TASK_GROUPS, parameters[5:7])
    cross = np.kron(row, c + kernel(new_z, z, RECIPE_GROUPS, parameters[7:]))
    predicted = level + scale * cross @ np.linalg.solve(covariance, y)
    likelihood = -0.5 * y @ np.linalg.solve(covariance, y)
    return predicted, float(likelihood - 0.5 * np.linalg.slogdet(covariance)[1])


@pytest.mark.parametrize("seed", range(4))
def test_prediction_is_the_dense_posterior_mean(seed: int) -> None:
    small = Small(seed)
    expected, _ = dense(small, small.parameters)
    found = small.fit().predict(small.new_task, small.new_recipes)
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def dense_covariance(small: Small, recipes: Matrix) -> Matrix:
    """Posterior covariance of standardized recipes' outcomes on the new task, without noise."""
    a, b, d, c, s = np.exp(small.parameters[:5])
    x, z = standard(small.tasks, small.tasks), standard(small.recipes, small.recipes)
    known = np.kron(
        a + b * kernel(x, x, TASK_GROUPS, small.parameters[5:7]) + d * np.eye(5),
        c + kernel(z, z, RECIPE_GROUPS, small.parameters[7:]) + 1e-6 * np.eye(4),
    ) + s * np.eye(20)
    row = a + b * kernel(
        standard(small.tasks, small.new_task[None]), x, TASK_GROUPS, small.parameters[5:7]
    )
    cross = np.kron(row, c + kernel(recipes, z, RECIPE_GROUPS, small.parameters[7:]))
    prior = (a + b + d) * (c + kernel(recipes, recipes, RECIPE_GROUPS, small.parameters[7:]))
    found: Matrix = small.regrets.var() * (prior - cross @ np.linalg.solve(known, cross.T))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_excess_is_the_dense_posterior_deviation_beyond_the_best_known(seed: int) -> None:
    small = Small(seed)
    new, known = (
        np.sqrt(np.diag(dense_covariance(small, standard(small.recipes, recipes))))
        for recipes in (small.new_recipes, small.recipes)
    )
    gaussian = small.fit()
    found = gaussian.outlook(small.new_task, small.new_recipes)
    np.testing.assert_allclose(found.excess, new - known.min(), atol=1e-7)
    np.testing.assert_allclose(found.mean, gaussian.predict(small.new_task, small.new_recipes))


@pytest.mark.parametrize("seed", range(4))
def test_covariance_is_the_dense_posterior_covariance(seed: int) -> None:
    small = Small(seed)
    gaussian = small.fit()
    expected = dense_covariance(small, standard(small.recipes, small.recipes))
    np.testing.assert_allclose(gaussian.covariance(small.new_task), expected, atol=1e-7)
    noise = small.regrets.var() * np.exp(small.parameters[4])
    assert gaussian.noise == pytest.approx(noise)


@pytest.mark.parametrize("seed", range(2))
def test_fitting_raises_the_posterior_of_the_hyperparameters(seed: int) -> None:
    small = Small(seed)
    centre = np.concatenate([INITIAL, np.zeros(4)])

    def posterior(parameters: Matrix) -> float:
        return dense(small, parameters)[1] - float(((parameters - centre) ** 2).sum()) / 2

    fitted = small.fit(iterations=200).parameters
    assert posterior(fitted) > posterior(small.parameters)
    random = np.random.default_rng(0)
    for _ in range(20):
        nearby = fitted + 0.1 * random.standard_normal(len(fitted))
        assert posterior(nearby) <= posterior(fitted) + 1e-4, "it is a maximum"


def test_without_noise_it_interpolates() -> None:
    small = Small()
    small.parameters[[2, 4]] = np.log(1e-7)
    small.tasks[1, 1] = 0.0
    gaussian = small.fit()
    for task, regrets in zip(small.tasks, small.regrets, strict=True):
        np.testing.assert_allclose(gaussian.predict(task, small.recipes), regrets, atol=1e-3)


def test_far_from_everything_it_gives_the_prior_over_recipes() -> None:
    small = Small()
    small.parameters[0], small.parameters[5:7] = np.log(1e-9), np.log(0.05)
    gaussian = small.fit()
    far = np.array([50.0, 50.0, 50.0])
    assert gaussian.similarity(far).max() < 1e-6
    np.testing.assert_allclose(gaussian.predict(far, small.recipes), small.regrets.mean())


def test_similarity_is_a_kernel() -> None:
    small = Small()
    gaussian = small.fit()
    for i, task in enumerate(small.tasks):
        row = gaussian.similarity(task)
        assert row[i] == pytest.approx(1.0)
        assert ((row >= 0) & (row <= 1)).all()


def test_round_trip() -> None:
    small = Small()
    small.recipes[:, 1] = 4.0  # a constant column has no deviation
    gaussian = small.fit()
    plain = json.loads(json.dumps(gaussian.to_plain(), allow_nan=False))
    again = OutcomeGaussian.from_plain(plain)
    expected = gaussian.predict(small.new_task, small.new_recipes)
    found = again.predict(small.new_task, small.new_recipes)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert again.to_plain() == plain


def test_standardization() -> None:
    rows = np.array([[1.0, 5.0, np.nan], [3.0, 5.0, 2.0], [np.nan, 5.0, 4.0]])
    scaled = Standard.of(rows)(rows)
    np.testing.assert_allclose(scaled, [[-1, 0, 0], [1, 0, -1], [0, 0, 1]])
    assert Standard.of(rows)(np.array([[1e9, -1e9, np.inf]])).tolist() == [[3.0, 0.0, 0.0]]


def test_correlation_is_that_of_the_covariance_between_recipes() -> None:
    small = Small()
    gaussian = small.fit()
    z = standard(small.recipes, small.new_recipes)
    c = np.exp(small.parameters[3])
    covariance = c + kernel(z, z, RECIPE_GROUPS, small.parameters[7:])
    deviation = np.sqrt(np.diag(covariance))
    expected = covariance / np.outer(deviation, deviation)
    np.testing.assert_allclose(gaussian.correlation(small.new_recipes), expected, rtol=1e-9)


def test_columns_that_tell_names_keep_their_scale() -> None:
    rows = np.array([[10.0, 1.0], [20.0, 0.0], [30.0, 0.0]])
    scaled = Standard.of(rows, [1])(rows)
    np.testing.assert_allclose(scaled[:, 1], rows[:, 1])
    assert scaled[:, 0].mean() == pytest.approx(0.0)


def test_what_is_known_of_a_name_carries_over_to_its_other_recipes() -> None:
    """Two optimizers with the same features, one always better: a new rate of it is better too."""
    random = np.random.default_rng(0)
    rates = np.tile([-3.0, -2.0, -1.0], 2)
    first = np.repeat([1.0, 0.0], 3)
    recipes = np.stack([rates, first, 1.0 - first], 1)
    tasks = random.standard_normal((12, 3))
    regrets = 0.5 + 0.3 * (1.0 - 2.0 * first) + 0.02 * random.standard_normal((12, 6))
    gaussian = OutcomeGaussian.fit(
        tasks, recipes, regrets, TASK_GROUPS, [[0], [1, 2]], None, 40, recipe_names=[1, 2]
    )
    new = np.array([[-1.5, 1.0, 0.0], [-1.5, 0.0, 1.0]])
    better, worse = gaussian.predict(np.zeros(3), new)
    assert better < worse - 0.3


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_that_of_the_dense_likelihood(seed: int) -> None:
    small = Small(seed)
    x, z = standard(small.tasks, small.tasks), standard(small.recipes, small.recipes)
    y = (small.regrets - small.regrets.mean()) / small.regrets.std()
    dx, dz = distances_between(x, x, TASK_GROUPS), distances_between(z, z, RECIPE_GROUPS)
    _, gradient, _ = likelihood(small.parameters, dx, dz, y, len(TASK_GROUPS))
    for place, step in enumerate(1e-5 * np.eye(len(small.parameters))):
        up, down = (dense(small, small.parameters + sign * step)[1] for sign in (1, -1))
        assert gradient[place] == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-6)
