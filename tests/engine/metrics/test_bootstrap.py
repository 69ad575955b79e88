import numpy as np
import pytest

from mlops.metrics import bootstrap
from mlops.metrics.arrays import mean


def test_weights_are_counts_of_a_draw_with_replacement() -> None:
    found = bootstrap.weights(50, 3, range(20))
    assert found.shape == (20, 50)
    assert (found.sum(axis=1) == 50).all()
    assert len(np.unique(found, axis=0)) == 20


def test_rows_of_a_group_share_their_weight() -> None:
    groups = np.array([0, 1, 0, 2, 2, 1])
    found = bootstrap.weights(6, 3, range(10), groups)
    assert (found[:, 0] == found[:, 2]).all()
    assert (found[:, 3] == found[:, 4]).all()
    assert (found[:, [0, 1, 3]].sum(axis=1) == 3).all()


@pytest.mark.parametrize(("chunk", "threads"), [(1, 1), (700, 1), (700, 2)])
def test_neither_chunks_nor_threads_change_a_draw(
    chunk: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(0).normal(size=100)

    def statistic(weights: np.ndarray) -> np.ndarray:
        return mean(weights, values)[:, None]

    whole = bootstrap.resample(statistic, 100, 30, seed=5)
    monkeypatch.setattr(bootstrap, "CHUNK", chunk)
    assert np.allclose(bootstrap.resample(statistic, 100, 30, 5, threads=threads), whole)
    assert not np.allclose(bootstrap.resample(statistic, 100, 30, seed=6), whole)


def test_the_interval_of_a_mean_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    draws = bootstrap.resample(lambda w: mean(w, values)[:, None], 1000, 2000, seed=1)
    found = bootstrap.estimate(float(values.mean()), draws[:, 0], 0.95)
    assert found.high - found.low == pytest.approx(2 * 1.96 / np.sqrt(1000), rel=0.1)
    assert found.low < found.value < found.high


def test_groups_widen_the_interval_of_rows_that_repeat_each_other() -> None:
    values = np.repeat(np.random.default_rng(0).normal(size=50), 20)
    groups = np.repeat(np.arange(50), 20)
    draws = [
        bootstrap.resample(lambda w: mean(w, values)[:, None], 1000, 300, 1, one).std()
        for one in (None, groups)
    ]
    assert draws[1] > 3 * draws[0]


def test_few_undefined_draws_are_counted_and_many_leave_no_interval() -> None:
    draws = np.arange(100.0)
    draws[:10] = np.nan
    assert bootstrap.estimate(50, draws, 0.9).undefined == 10
    assert bootstrap.estimate(50, draws, 0.9).low == pytest.approx(14.45)
    draws[10] = np.nan
    value, low, high, undefined = bootstrap.estimate(50, draws, 0.9)
    assert (value, undefined) == (50, 11)
    assert np.isnan([low, high]).all()


@pytest.mark.parametrize(
    "column",
    [np.array(["b", None, "a", "b"], dtype=object), np.array([2.0, np.nan, 1.0, 2.0])],
)
def test_group_codes_tell_groups_apart(column: np.ndarray) -> None:
    codes = bootstrap.group_codes(column)
    assert codes[0] == codes[3]
    assert sorted(set(codes.tolist())) == [0, 1, 2]


def test_draws_of_many_units_are_multinomial_block_by_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bootstrap, "BLOCK", 16)
    found = bootstrap.weights(50, 3, range(20_000))
    assert (found.sum(axis=1) == 50).all()
    assert found.mean(axis=0) == pytest.approx(np.ones(50), abs=0.05)
    assert np.cov(found.T) == pytest.approx(np.eye(50) - 1 / 50, abs=0.06)


def spread(units: int, **options: object) -> np.ndarray:
    """Return draws of the mean of one value a unit, in units of its standard error."""
    values = np.random.default_rng(0).normal(size=units)
    codes = np.repeat(np.arange(units), 30)

    def statistic(weights: np.ndarray) -> np.ndarray:
        return np.repeat(mean(weights, values[codes])[:, None], 2, axis=1)

    found = bootstrap.resample(statistic, len(codes), 20_000, 1, codes, **options)  # type: ignore[arg-type]
    return (found - values.mean()) / (values.std(ddof=1) / np.sqrt(units))


def test_draws_of_few_units_spread_as_students_t() -> None:
    assert np.quantile(spread(12)[:, 0], 0.975) == pytest.approx(2.2, rel=0.08)  # of 11 degrees
    assert np.quantile(spread(400)[:, 0], 0.975) == pytest.approx(1.96, rel=0.05)


def test_each_share_of_the_figures_has_the_units_of_its_rows() -> None:
    found = spread(400, parts=(None, np.arange(30)))
    assert np.isfinite(found[:, 0]).all()
    assert np.isnan(found[:, 1]).all()  # one unit alone


def test_deviations_of_two_ways_add_up() -> None:
    rows, columns = (one.ravel() for one in np.mgrid[:500, :500])
    values = np.random.default_rng(0).normal(size=500)[rows] + columns % 2

    def statistic(weights: np.ndarray) -> np.ndarray:
        return mean(weights, values)[:, None]

    one, other, both = (
        bootstrap.resample(statistic, len(rows), 40, 1, ways).std()
        for ways in (rows, columns, (rows, columns))
    )
    assert both == pytest.approx(np.hypot(one, other), rel=0.35)
    assert both > max(one, other)
