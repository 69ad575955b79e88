"""Rows whose action was drawn, as the log has them: what was to be done, and what came of it."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..log_layout import ASSIGNED, stored
from ..monitoring.outcomes import outcomes
from ..rollout.declaration import ExperimentError

REMEDY = (
    "have actions drawn by the server (MLOPS_ACTIONS, engine/docs/value.md), and read the log of "
    "those days"
)
NEEDED = ("request_id", "unit", "time", "digest", ASSIGNED)


class Logged(NamedTuple):
    """One entry for each row whose action was drawn by a known lot.

    `unit` has a code from 0 for each routing key; `arm`, `action` and `taken` (what was reported
    to be done) are names. `value` is what was reported of the row, 0 where nothing was, `cost` that
    of the action that was drawn. `probability` is that of the last label, NaN without labels;
    `columns` are inputs as they came. `nameless` rows have no routing key and are left out.
    """

    unit: np.ndarray
    time: np.ndarray
    arm: np.ndarray
    action: np.ndarray
    propensity: np.ndarray
    value: np.ndarray
    cost: np.ndarray
    taken: np.ndarray
    probability: np.ndarray
    columns: pa.Table
    nameless: int

    @property
    def net(self) -> np.ndarray:
        """What each row brought, less the cost."""
        return self.value - self.cost

    def some(self, chosen: np.ndarray) -> "Logged":
        """Return some of the rows."""
        arrays = {
            name: getattr(self, name)[chosen]
            for name in self._fields
            if name not in ("columns", "nameless")
        }
        return self._replace(**arrays, columns=self.columns.filter(pa.array(chosen)))


def read(
    log: Path,
    at: date,
    costs: Mapping[str, float],
    inputs: Sequence[str] | None = (),
    since: datetime | None = None,
    model: str | None = None,
    maturity: timedelta = timedelta(0),
) -> Logged:
    """Return the rows that were answered from `since` on, and are mature at the end of `at` (UTC).

    `inputs` are the columns that are kept of them, None for all. Raises ExperimentError where no
    action was drawn, or its probability is none.
    """
    end = datetime(at.year, at.month, at.day) + timedelta(days=1) - maturity
    kept, tables, nameless = None if inputs is None else [stored(n) for n in inputs], [], 0
    wanted = None if kept is None else [*NEEDED, "probabilities", *kept]
    model12 = None if model is None else model[:12]
    for batch in outcomes(log, since and since.date(), at, model12, at=at, columns=wanted):
        _check(batch, kept or ())
        chosen = pc.and_(pc.is_valid(batch[ASSIGNED]), pc.less(batch["time"], end))
        if since is not None:
            chosen = pc.and_(chosen, pc.greater_equal(batch["time"], since))
        if model is not None:
            chosen = pc.and_(chosen, pc.equal(batch["digest"].cast(pa.string()), model))
        batch = batch.filter(chosen)
        named = batch.filter(batch["unit"].is_valid())
        nameless += batch.num_rows - named.num_rows
        tables.append(pa.Table.from_batches([named]))
    whole = pa.concat_tables(tables, promote_options="permissive") if tables else None
    if whole is None or not whole.num_rows:
        raise ExperimentError(
            f"{log} has no row of a known routing key whose action was drawn, and that is "
            f"{maturity.days} days old by {at}: {REMEDY}"
        )
    return _logged(whole, costs, nameless)


def _logged(whole: pa.Table, costs: Mapping[str, float], nameless: int) -> Logged:
    drawn = whole[ASSIGNED].combine_chunks()
    propensity = drawn.field("propensity").to_numpy(zero_copy_only=False).astype(float)
    if not ((propensity > 0) & (propensity <= 1)).all():
        raise ExperimentError(
            "the log has actions whose probability is not above 0 and at most 1: leave the days "
            "of such rows out, since nothing follows from them"
        )
    arm, action = (drawn.field(one).to_numpy(zero_copy_only=False) for one in ("arm", "action"))
    value = whole["value"].to_numpy().astype(float)
    cost = np.array([costs.get(name, 0.0) for name in action], dtype=float)
    ours = {*NEEDED, "probabilities", "outcome", "outcome_time", "value", "currency", "action"}
    return Logged(
        np.unique(whole["unit"].to_numpy().astype(str), return_inverse=True)[1],
        whole["time"].to_numpy(),
        arm,
        action,
        propensity,
        np.where(np.isfinite(value), value, 0.0),
        cost,
        whole["action"].to_numpy(),
        _probability(whole),
        whole.select([name for name in whole.column_names if name not in ours]),
        nameless,
    )


def _probability(whole: pa.Table) -> np.ndarray:
    """Return the probability of the last label, NaN where there are no labels."""
    lists = whole["probabilities"].combine_chunks()
    if not len(lists) or lists.null_count:
        return np.full(whole.num_rows, np.nan)
    width = pc.list_value_length(lists)[0].as_py()
    flat = lists.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat.reshape(-1, width)[:, -1], dtype=float)


def _check(batch: pa.RecordBatch, kept: Sequence[str]) -> None:
    if ASSIGNED not in batch.schema.names:
        raise ExperimentError(
            f"the log has no actions that were drawn, and so no propensities: {REMEDY}"
        )
    for name in kept:
        if name not in batch.schema.names:
            raise ExperimentError(f"the log has no {name}: name a column that it has")
