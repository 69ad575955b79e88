"""Rows that stop coming are an alert; a log that is young says nothing."""

from datetime import timedelta

import pytest
from scipy import stats
from windows import AT, case

from mlops.monitoring.rules.traffic import Arrival, Freshness

ARRIVAL = Arrival(at_least=0.3, at_most=3.0)


def came(rows: dict[int, int], weeks: int = 9, usual: int = 100) -> dict[str, int]:
    """Rows by day: `usual`, or what is given for so many days before the last."""
    days = {back: rows.get(back, usual) for back in range(7 * weeks)}
    return {
        (AT - timedelta(days=back)).isoformat(): count
        for back, count in sorted(days.items(), reverse=True)
        if count
    }


@pytest.mark.parametrize(("silent", "verdict"), [(0, "quiet"), (2, "quiet"), (3, "alert")])
def test_a_server_that_stopped_is_an_alert(silent: int, verdict: str) -> None:
    traffic = came(dict.fromkeys(range(silent), 0))
    (one,) = Freshness(days=2).judge(case(days=1, traffic=traffic))
    assert (one.verdict, one.value, one.threshold) == (verdict, silent, 2)


def test_a_log_without_rows_is_not_judged() -> None:
    assert Freshness(days=2).judge(case(days=0, traffic={}))[0].verdict == "not judged"
    (one,) = ARRIVAL.judge(case(days=0, traffic={}))
    assert (one.verdict, one.reason) == ("not judged", "the log is younger than four weeks")


@pytest.mark.parametrize("rows", [5, 0])
def test_a_day_with_too_few_rows_has_the_chance_of_a_poisson(rows: int) -> None:
    (one,) = ARRIVAL.judge(case(days=1, traffic=came({0: rows})))
    assert one.verdict == "alert"
    assert one.p == pytest.approx(stats.poisson.cdf(rows, 30))
    assert (one.value, one.threshold) == (rows / 100, 0.3)


def test_a_day_as_usual_has_no_small_chance() -> None:
    for rows in (100, 60, 200):
        (one,) = ARRIVAL.judge(case(days=1, traffic=came({0: rows})))
        assert one.p is not None
        assert one.p > 0.9
    quiet = {7 * week: 4 for week in range(9)}  # on a Sunday four come, and four came
    (one,) = ARRIVAL.judge(case(days=1, traffic=came(quiet)))
    assert one.p is not None
    assert one.p > 0.9


def test_many_rows_are_noted() -> None:
    (one,) = ARRIVAL.judge(case(days=1, traffic=came({0: 900})))
    assert (one.verdict, one.value, one.threshold) == ("note", 9, 3)
    assert one.p == pytest.approx(stats.poisson.sf(899, 300))


def test_a_young_log_is_not_judged_and_a_closed_weekday_is_quiet() -> None:
    assert ARRIVAL.judge(case(days=1, traffic=came({}, weeks=4)))[0].verdict == "not judged"
    assert ARRIVAL.judge(case(days=1, traffic=came({}, weeks=5)))[0].verdict == "alert"
    closed = dict.fromkeys(range(0, 63, 7), 0)
    (one,) = ARRIVAL.judge(case(days=1, traffic=came(closed)))
    assert (one.verdict, one.reason) == ("quiet", "no rows are usual on this weekday")
