"""What the reader is shown of either model: figures, intervals, and the worst slices."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from mlops.evaluation.evaluate import MANY_ROWS
from mlops.gate import overview
from mlops.gate.case import Case
from mlops.gate.resampling import figures
from mlops.metrics.bootstrap import estimate
from mlops.metrics.catalogue import allowed, compute, own


@pytest.fixture
def case(workshop: Any, answered: Callable[..., Any]) -> Case:
    """A candidate, and a champion that knows less."""
    case: Case = workshop.case()
    return replace(case, champion=answered(case, case.candidate.predictions * 0.5 + 0.1))


def plain(values: np.ndarray, draws: np.ndarray, at: int) -> dict[str, Any]:
    one = estimate(float(values[at]), draws[:, at], 0.95)
    return {name: float(f"{getattr(one, name):.6g}") for name in ("value", "low", "high")}


def test_every_metric_stands_with_its_paired_difference(case: Case) -> None:
    assert case.champion is not None
    names = [name for name in allowed("binary") if name not in own()]
    models = [case.candidate.predictions, case.champion.predictions]
    values, draws = figures(case, names, models)
    found = overview.metrics(case)
    assert [row["metric"] for row in found] == names
    for at, row in enumerate(found):
        assert row["candidate"] == plain(values[0, 0], draws[:, 0, 0], at)
        assert row["champion"] == plain(values[1, 0], draws[:, 1, 0], at)
        assert row["difference"] == plain(
            values[0, 0] - values[1, 0], draws[:, 0, 0] - draws[:, 1, 0], at
        )
    better = {row["metric"]: row["better"] for row in found}
    assert (better["roc_auc"], better["log_loss"]) == ("more", "less")


def test_a_metric_of_the_owners_is_shown_where_it_is_measured(case: Case) -> None:
    evaluation = msgspec.structs.replace(case.settings.evaluation, metrics=[*own()])
    settings = msgspec.structs.replace(case.settings, evaluation=evaluation)
    row = overview.metrics(replace(case, settings=settings))[-1]
    assert row["metric"] == "recall_in_top_tenth"
    assert row["candidate"]["low"] < row["candidate"]["value"] < row["candidate"]["high"]


def test_a_first_model_stands_alone(case: Case) -> None:
    alone = replace(case, champion=None)
    assert {frozenset(row) for row in overview.metrics(alone)} == {
        frozenset(("metric", "better", "candidate"))
    }
    assert {frozenset(row) for row in overview.worst(alone)} == {
        frozenset(("slice", "rows", "metric", "candidate"))
    }


@pytest.mark.parametrize(("primary", "rising"), [("roc_auc", True), ("log_loss", False)])
def test_the_worst_slice_comes_first(case: Case, primary: str, rising: bool) -> None:
    assert case.champion is not None
    evaluation = msgspec.structs.replace(case.settings.evaluation, primary=primary)
    settings = msgspec.structs.replace(case.settings, evaluation=evaluation)
    found = overview.worst(replace(case, settings=settings))
    values = [row["candidate"] for row in found]
    assert values == sorted(values, reverse=not rising)
    assert len(set(values)) > 3
    places = {name: at for at, name in enumerate(("basic", "plus", "max"))}
    for label, place in places.items():
        rows = np.flatnonzero(case.columns["plan"] == place)
        (row,) = [one for one in found if one["slice"] == f"plan={label}"]
        assert (row["rows"], row["metric"]) == (len(rows), primary)
        for who, judged in (("candidate", case.candidate), ("champion", case.champion)):
            wanted = compute("binary", [primary], case.target[rows], judged.predictions[rows])
            assert row[who] == pytest.approx(wanted[primary], rel=1e-5)


def test_slices_without_support_or_figure(case: Case) -> None:
    small = msgspec.structs.replace(case.settings.evaluation.slices, min_rows=200)
    evaluation = msgspec.structs.replace(case.settings.evaluation, slices=small)
    settings = msgspec.structs.replace(case.settings, evaluation=evaluation)
    names = {row["slice"] for row in overview.worst(replace(case, settings=settings))}
    assert "plan=plus" in names
    assert not {"plan=max", "gender=x"} & names
    one = np.where(case.columns["plan"] == 2, 0, case.target)
    last = overview.worst(replace(case, target=one))[-1]
    assert (last["slice"], last["candidate"], last["champion"]) == ("plan=max", None, None)


def test_only_the_worst_are_shown(workshop: Any) -> None:
    labels = [f"l{at}" for at in range(12)]
    case = workshop.case(declare={"plan": {"categories": labels}})
    plan = np.arange(len(case.target)) % 12 + 0.0
    limits = msgspec.structs.replace(case.settings.evaluation.slices, min_rows=1)
    evaluation = msgspec.structs.replace(case.settings.evaluation, slices=limits)
    settings = msgspec.structs.replace(case.settings, evaluation=evaluation)
    found = overview.worst(replace(case, settings=settings, columns=case.columns | {"plan": plan}))
    assert len(found) == overview.SHOWN


def test_many_rows_are_drawn_less_often(case: Case) -> None:
    often = replace(case, resamples=900)
    for rows, draws in ((MANY_ROWS - 1, 900), (MANY_ROWS, 200), (MANY_ROWS + 1, 200)):
        many = replace(often, target=np.zeros(rows))
        assert overview.resamples(many) == draws
    assert overview.resamples(replace(case, resamples=50, target=np.zeros(MANY_ROWS))) == 50


def test_figures_keep_six_digits() -> None:
    assert overview.rounded(0.123456789) == 0.123457
    assert overview.rounded(float("nan")) is None
