"""What decisions are worth: what is done, what it costs, and what it brings by what turns out."""

import math
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from ..contract import Contract
from ..files import in_quotes

TABLE = "table"
Label = bool | int | str  # as YAML reads it: true, 3 or "yes"


class Scaled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount that differs from row to row: a column's number, `times` so much."""

    column: str
    times: float = 1.0


Amount = float | str | Scaled  # a column alone is its number as it is


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done with a row: what that `brings` by the label that turns out, and its `cost`."""

    brings: dict[Label, Amount]
    cost: Amount = 0.0

    def by_label(self) -> dict[str, Amount]:
        """Return what it brings by the label's name in the contract."""
        return {_named(label): amount for label, amount in self.brings.items()}

    def amounts(self) -> Iterator[Amount]:
        """Yield every amount."""
        yield from self.brings.values()
        yield self.cost


class Capacity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many rows get the second action: a `share` of all, or the `most` best of each `per`.

    `spend` is a budget in place of a number: what those of each `per` may cost together. Of a
    `table` are the rows that `mlops predict` scores at once.
    """

    share: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    most: Annotated[float, msgspec.Meta(gt=0, le=1e12)] | None = None
    spend: Annotated[float, msgspec.Meta(gt=0, le=1e15)] | None = None
    per: Literal["day", "week", "month", "table"] | None = None

    def __post_init__(self) -> None:
        if sum(one is not None for one in (self.share, self.most, self.spend)) != 1:
            raise ValueError("`capacity` is one of `share`, `most` and `spend`")
        if (self.share is None) != (self.per is not None):
            raise ValueError("`most` and `spend` need `per`: day, week, month or table")


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The value table: what is done at or below the threshold, then what is done above it.

    Of more than two labels there are as many actions as one likes, and no threshold: a row gets the
    one that is worth most by its probabilities.
    """

    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    actions: dict[Annotated[str, msgspec.Meta(min_length=1, max_length=100)], Action]
    capacity: Capacity | None = None

    def __post_init__(self) -> None:
        if len(self.actions) < 2:
            raise ValueError("`actions` are two or more, of which one is done with a row")
        for name, action in self.actions.items():
            if not all(math.isfinite(one) for one in _numbers(action)):
                raise ValueError(f"an amount of {name} is not finite")

    @property
    def names(self) -> tuple[str, str]:
        """The two actions of a target of two labels."""
        below, above = self.actions
        return below, above

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that amounts are read from."""
        every = (one for action in self.actions.values() for one in action.amounts())
        found = (_column(one) for one in every)
        return tuple(dict.fromkeys(name for name in found if name))

    def check(self, contract: Contract, folds: int) -> None:
        """Raise ValueError where the table does not fit the contract, or nothing can choose by it.

        `folds` is how often training is cross-validated.
        """
        if contract.task == "regression":
            raise ValueError(
                f"evaluation.value is about decisions on a target of labels, and {contract.target} "
                "is a number: leave it out, or predict whether what matters happens"
            )
        self._check_costs(contract)
        if contract.task == "multiclass":
            self._check_several(contract)
            return
        if len(self.actions) != 2:
            raise ValueError(
                f"evaluation.value.actions of a target of two labels are two, what is done below "
                f"the threshold and what above it, and not {len(self.actions)}: compare more of "
                "them by an experiment of actions"
            )
        self._check_labels(contract)
        for name in self.columns:
            _check_amount(contract, name)
        per = self.capacity and self.capacity.per
        if per not in (None, TABLE) and contract.time is None:
            raise ValueError(
                f"evaluation.value.capacity is per {per}, and no column of {contract.name} has the "
                "role time: declare one, or give a `share`, or so many per `table`"
            )
        if not folds:
            raise ValueError(
                "evaluation.value needs predictions of rows that no fit has seen: set "
                "training.folds to 5 in params.yaml"
            )

    def _check_labels(self, contract: Contract) -> None:
        for name, action in self.actions.items():
            if set(given := action.by_label()) != set(contract.labels):
                quotes = in_quotes(one for one in contract.labels if one not in given)
                raise ValueError(
                    f"evaluation.value.actions.{name}.brings has {', '.join(given)}, and "
                    f"{contract.target} is {' or '.join(contract.labels)}: "
                    f"{quotes or 'give each an amount'}"
                )

    def _check_costs(self, contract: Contract) -> None:
        """Raise ValueError for a cost below 0: it is subtracted, so that it would be a gain.

        No bundle is refused for it, since those from before were made so.
        """
        for name, action in self.actions.items():
            column, number = split(action.cost)
            least = contract.columns[column].min if column in contract.columns else None
            if number < 0 and (not column or (least is not None and least >= 0)):
                wrong = f"{number:g} times {column}" if column else f"{number:g}"
                right = f"times {-number:g}" if column else f"{-number:g}"
                raise ValueError(
                    f"evaluation.value.actions.{name}.cost is {wrong}, and a cost is 0 or more, "
                    f"since it is taken off what the action brings: write {right}, or add what "
                    "it earns to `brings`"
                )

    def _check_several(self, contract: Contract) -> None:
        """Raise ValueError where the table does not fit a target of more than two labels."""
        self._check_labels(contract)
        if self.columns:
            raise ValueError(
                f"evaluation.value reads amounts from {self.columns[0]}, and {contract.target} has "
                f"{len(contract.labels)} labels, of which amounts are numbers: write numbers"
            )
        if self.capacity is not None:
            raise ValueError(
                f"evaluation.value.capacity is of a target of two labels, and {contract.target} "
                f"has {len(contract.labels)}: leave it out, or predict whether what matters happens"
            )


def split(amount: Amount) -> tuple[str, float]:
    """Return the column of an amount and what it is multiplied by; no column for a number."""
    if isinstance(amount, Scaled):
        return amount.column, amount.times
    return (amount, 1.0) if isinstance(amount, str) else ("", float(amount))


def _check_amount(contract: Contract, name: str) -> None:
    column = contract.columns.get(name)
    is_read = column is not None and name in dict(contract.kept())
    if column is None or not is_read or column.type not in ("number", "integer") or column.nullable:
        raise ValueError(
            f"evaluation.value reads amounts from {name}, which is no number of {contract.name} "
            "that is never missing: name one that is"
        )


def _column(amount: Amount) -> str:
    return split(amount)[0]


def _numbers(action: Action) -> list[float]:
    return [split(one)[1] for one in action.amounts()]


def _named(label: Label) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)
