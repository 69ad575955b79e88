"""What a search asks: parameters in batches, told by the seed and by what finished before."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..config.settings import SearchRange
from .study import Trial, TuningError

if TYPE_CHECKING:
    import optuna

Direction = Literal["maximize", "minimize"]


class Sampler:
    """Optuna's TPE over the ranges of a model.

    The first trial has the values of `first`, as near as the ranges allow; the ranges of others
    are drawn from. Raises TuningError for what is no range.
    """

    def __init__(
        self,
        search: Mapping[str, SearchRange],
        direction: Direction,
        *,
        seed: int,
        batch: int,
        first: Mapping[str, Any],
    ) -> None:
        self._search = search
        self._distributions = _distributions(search)
        self._direction = direction
        self._seed = seed
        self._batch = batch
        self._first = first

    def batch(self, earlier: Sequence[Trial]) -> list[dict[str, Any]]:
        """Return the parameters of the next batch, given all trials of those before."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        number = len(earlier) // self._batch
        drawn = np.random.SeedSequence([self._seed, number]).generate_state(1)
        sampler = optuna.samplers.TPESampler(seed=int(drawn[0]))
        study = optuna.create_study(sampler=sampler, direction=self._direction)
        study.add_trials([self._told(trial) for trial in earlier])
        if not earlier:
            study.enqueue_trial(self._nearest())
        asked = [study.ask(dict(self._distributions)).params for _ in range(self._batch)]
        return [
            {
                name: given[name] if space.choices is None else _choices(space)[given[name]]
                for name, space in self._search.items()
            }
            for given in asked
        ]

    def _nearest(self) -> dict[str, Any]:
        """Return the values of the first trial that are in their ranges, or at an end of them."""
        nearest: dict[str, Any] = {}
        for name, space in self._search.items():
            value = self._first.get(name)
            if space.choices is not None:
                if name in self._first and _text(value) in _choices(space):
                    nearest[name] = _text(value)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                within = float(np.clip(value, space.low, space.high))
                nearest[name] = round(within) if space.integer else within
        return nearest

    def _told(self, trial: Trial) -> "optuna.trial.FrozenTrial":
        """Return a trial as Optuna knows it.

        One that is not finite is pruned there, not failed, or it would be asked again for ever.
        """
        from optuna.trial import TrialState, create_trial

        given = {
            name: value if self._search[name].choices is None else _text(value)
            for name, value in trial.parameters.items()
        }
        means = {at: trial.mean(at + 1) for at in range(len(trial.scores))}
        return create_trial(
            state=TrialState.PRUNED if trial.value is None else TrialState.COMPLETE,
            value=trial.value,
            params=given,
            distributions=dict(self._distributions),
            intermediate_values={at: mean for at, mean in means.items() if math.isfinite(mean)},
        )


def _distributions(
    search: Mapping[str, SearchRange],
) -> "dict[str, optuna.distributions.BaseDistribution]":
    if not search:
        raise TuningError(
            "there is nothing to tune: give the model's file in conf/model/ a `search:` section, "
            "or set tuning.use to none"
        )
    distributions = {}
    for name, space in search.items():
        try:
            distributions[name] = _distribution(space)
        except (TypeError, ValueError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise TuningError(
                f"model.search.{name} is no range to search ({reason}): correct it in the model's "
                "file of conf/model/, or in params.yaml"
            ) from error
    return distributions


def _distribution(space: SearchRange) -> "optuna.distributions.BaseDistribution":
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if space.choices is not None:
        # Optuna takes plain values only; as text, a list or null can be a choice too.
        return CategoricalDistribution(list(_choices(space)))
    if space.low is None or space.high is None:
        raise ValueError("`low` or `high` is missing")
    if not space.integer:
        return FloatDistribution(space.low, space.high, log=space.log)
    if not (float(space.low).is_integer() and float(space.high).is_integer()):
        raise ValueError("`low` and `high` of an integer must be whole numbers")
    return IntDistribution(int(space.low), int(space.high), log=space.log)


def _choices(space: SearchRange) -> dict[str, Any]:
    return {_text(choice): choice for choice in space.choices or ()}


def _text(choice: Any) -> str:
    return json.dumps(choice, sort_keys=True)
