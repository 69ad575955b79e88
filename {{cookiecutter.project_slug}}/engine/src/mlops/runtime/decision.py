"""What a bundle decides: the threshold that its value table is worth most at, and what follows."""

from typing import Annotated, Literal, Self

import msgspec

from ..config.settings import Settings
from ..config.value import Value, split
from ..errors import ProjectError

DECISION = "decision.json"
HELD_OUT = "held_out.npy"  # of model/, and never of a bundle: predictions of the training rows
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class DecisionError(ProjectError):
    """A decision cannot be chosen or read."""


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done at or below the threshold, what above it, and what it is worth in.

    `share` is the most of all rows that the second action may be taken of; `costs` are those of a
    row, none where they differ. `break_even` is the threshold without a capacity: a row above it is
    worth the second action, if it is among those that may get it.
    """

    format: Literal[1]
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)]
    actions: tuple[Name, Name]
    currency: str
    share: float = 1.0
    costs: tuple[float | None, float | None] = (None, None)
    break_even: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None

    @classmethod
    def of(
        cls, settings: Settings, threshold: float, share: float, break_even: float | None = None
    ) -> Self:
        """Return the decision that a value table implies with a threshold."""
        value = settings.evaluation.value
        assert value is not None
        below, above = (
            float(one.cost) if isinstance(one.cost, int | float) else None
            for one in value.actions.values()
        )
        return cls(1, threshold, value.names, value.currency, share, (below, above), break_even)


def most(value: Value) -> float | None:
    """Return how many rows of a period may get the second action; None where no number is set.

    Raises DecisionError for a budget where what a row costs is no number.
    """
    asked = value.capacity
    if asked is None or asked.spend is None:
        return None if asked is None else asked.most
    name, cost = split(value.actions[value.names[1]].cost)
    if name or cost <= 0:
        raise DecisionError(
            f"evaluation.value.capacity spends on {value.names[1]}, whose cost is no number above "
            "0: give it one, or say how many are the `most`"
        )
    return asked.spend / cost


def parsed(content: bytes | None, settings: Settings) -> Decision | None:
    """Return the decision of a bundle's file; raises DecisionError for another than is declared."""
    value = settings.evaluation.value
    if settings.data.task == "multiclass":  # of which no threshold was chosen: expectation.py
        value = None
    if content is None and value is None:
        return None
    try:
        if content is None or value is None:
            raise ValueError("the value table of the bundle says otherwise")
        found = msgspec.json.decode(content, type=Decision)
        if found.actions != value.names or found.currency != value.currency:
            raise ValueError("the value table of the bundle says otherwise")
    except (ValueError, RecursionError) as error:
        raise DecisionError(
            f"{DECISION} of the bundle cannot be used ({error}): rebuild it with `dvc repro`"
        ) from error
    return found


def decided(settings: Settings, decision: Decision | None) -> Settings:
    """Return the settings by which everything is decided: with the threshold that was chosen."""
    if decision is None:
        return settings
    asked = msgspec.structs.replace(settings.evaluation, threshold=decision.threshold)
    return msgspec.structs.replace(settings, evaluation=asked)
