"""Policies that were never in force: a threshold, a bundle, a rule of the owner's, one action."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from .. import owner
from ..bundle import reading
from ..data import prepared
from ..log_layout import stored
from ..rollout.declaration import ExperimentError
from .assigned import Logged

RULES = "policy.decisions"
FILE = "src/policy/decisions.py"
GRAMMAR = "threshold:0.3, bundle:FOLDER, rule:NAME or always:ACTION"


class Policy(NamedTuple):
    """A policy: the inputs that it reads (None for all), and the action that each row gets."""

    name: str
    inputs: Sequence[str] | None
    act: Callable[[Logged], np.ndarray]


def parse(text: str, actions: Sequence[str] | None = None) -> Policy:
    """Return the policy that a text names; `actions` are those below and above a threshold.

    Raises ExperimentError for a text that names none.
    """
    kind, _, rest = text.partition(":")
    if kind == "always" and rest:
        return Policy(text, (), lambda logged: _constant(rest, len(logged.action)))
    if kind == "threshold" and rest:
        return _threshold(text, rest, actions)
    if kind == "bundle" and rest:
        return _bundle(text, Path(rest))
    if kind == "rule" and rest:
        return _rule(text, rest)
    raise ExperimentError(f"{text!r} is no policy: write {GRAMMAR}")


def _threshold(text: str, rest: str, actions: Sequence[str] | None) -> Policy:
    try:
        limit = float(rest)
    except ValueError:
        limit = -1.0
    if not 0 <= limit <= 1:
        raise ExperimentError(f"{text!r} is no policy: a threshold lies between 0 and 1")
    if actions is None:
        raise ExperimentError(
            f"{text!r} does not say what is done: add `--actions BELOW ABOVE`, in the words of "
            "the log"
        )
    below, above = actions

    def act(logged: Logged) -> np.ndarray:
        if not np.isfinite(logged.probability).all():
            raise ExperimentError(f"{text!r} needs probabilities, and the log has rows without")
        return np.where(logged.probability > limit, above, below).astype(object)

    return Policy(text, (), act)


def _bundle(text: str, folder: Path) -> Policy:
    loaded = reading.load(folder)
    if not loaded.actions:
        raise ExperimentError(
            f"{folder} decides nothing: declare evaluation.value and make it again "
            "(engine/docs/value.md)"
        )
    encoder, contract = loaded.encoder, loaded.contract

    def act(logged: Logged) -> np.ndarray:
        columns = {}
        for name in encoder.inputs:
            found = logged.columns[stored(name)].combine_chunks()
            if contract.is_private(name) or pa.types.is_null(found.type):
                raise ExperimentError(
                    f"{folder} reads {name}, which the log does not keep: a bundle can be judged "
                    "on what was recorded alone"
                )
            columns[name] = prepared.array(found, contract.columns[name])
        return np.array(loaded.actions, dtype=object)[loaded.acted(loaded.answer(columns))]

    return Policy(text, encoder.inputs, act)


def _rule(text: str, name: str) -> Policy:
    module = owner.module(RULES)
    function = getattr(module, name, None) if name.isidentifier() else None
    if not callable(function):
        raise ExperimentError(
            f"{FILE} has no function {name}: write it there, as engine/docs/value.md has one"
        )

    def act(logged: Logged) -> np.ndarray:
        columns = {one: _plain(logged.columns[one]) for one in logged.columns.column_names}
        try:
            said = np.asarray(function({**columns, "probability": logged.probability}))
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise ExperimentError(
                f"{owner.place(error, RULES)}: {name} fails ({reason}): mend it there"
            ) from error
        if said.shape != logged.action.shape or not all(isinstance(one, str) for one in said):
            raise ExperimentError(
                f"{FILE}: {name} returns no action for each of {len(logged.action):,} rows: "
                "return an array of names"
            )
        return said.astype(object)

    return Policy(text, None, act)


def _constant(action: str, rows: int) -> np.ndarray:
    return np.full(rows, action, dtype=object)


def _plain(column: pa.ChunkedArray) -> np.ndarray:
    """Return numbers as floats (NaN missing), truths too, and what is text as objects."""
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=float)
    if pa.types.is_timestamp(kind):
        return np.asarray(column.to_numpy())
    return np.array(column.to_pylist(), dtype=object)
