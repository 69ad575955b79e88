"""The target column and the task that it sets."""

import numpy as np

from ..contract import Column, Task
from ..data.sources import DataError
from .inference import FEW_TEXTS, ROWS_A_CATEGORY, bounds
from .statistics import Statistics, shortened

MOST_CLASSES = 20  # of whole numbers; more are an amount
MOST_LABELS = 1000  # of a target of texts
LARGEST_SHARE = 0.05  # of different whole numbers in the rows, to be classes
YES = {"yes", "y", "ja", "oui", "si", "sim", "tak", "true", "t", "1", "1.0", "positive", "pos"}
NO = {"no", "n", "nein", "non", "não", "nee", "nej", "nie", "false", "f", "negative", "neg"}
NO |= {"0", "0.0", "-1", "-1.0"}
ONES = {"1", "1.0"}
ZEROS = {"0", "0.0", "-1", "-1.0"}


def decide(facts: Statistics, task: Task | None = None) -> tuple[Column, Task]:
    """Return the target's column, and the task that it sets or that was asked for.

    Raises DataError where there is nothing to predict, and where the column cannot be the
    target of that task.
    """
    _check(facts)
    chosen = task or _task(facts)
    if chosen == "regression":
        if not facts.numeric:
            raise DataError(
                f"{facts.name} holds texts like {shortened(facts.texts[0])} and --task "
                "regression needs numbers: drop --task, or choose another --target"
            )
        low, high = bounds(facts.numbers)
        kind = "integer" if facts.integral else "number"
        return Column(kind, role="target", min=low, max=high), chosen  # type: ignore[arg-type]
    if chosen == "binary":
        if facts.distinct != 2:
            raise DataError(
                f"{facts.name} has {facts.distinct:,} different values and --task binary needs "
                "two: drop --task, or choose another --target"
            )
        return Column("category", role="target", categories=_ordered(facts)), chosen
    _check_classes(facts)
    return Column("category", role="target", categories=facts.labels), chosen


def _check(facts: Statistics) -> None:
    if not facts.present:
        raise DataError(f"the target {facts.name} holds no value: choose another --target")
    if facts.distinct == 1:
        raise DataError(
            f"the target {facts.name} is {shortened(facts.texts[0])} in every row, which leaves "
            "nothing to predict: choose another --target"
        )
    if facts.unreadable or facts.moment is not None:
        raise DataError(
            f"the target {facts.name} holds dates, lists or durations: predict a class or a "
            "number, such as the days until then"
        )


def _task(facts: Statistics) -> Task:
    if facts.distinct == 2:
        return "binary"
    if not facts.numeric:
        return "multiclass"
    few = facts.distinct <= min(MOST_CLASSES, LARGEST_SHARE * facts.present)
    return "multiclass" if few and facts.whole else "regression"


def _check_classes(facts: Statistics) -> None:
    hint = "drop --task, or choose another --target"
    if facts.distinct == 2:
        raise DataError(
            f"{facts.name} has two different values and --task multiclass needs more: {hint}"
        )
    if facts.numeric and not facts.whole:
        raise DataError(
            f"{facts.name} holds fractions like {facts.texts[0]} and --task multiclass needs "
            f"classes: {hint}"
        )
    if facts.distinct > MOST_LABELS:
        raise DataError(
            f"{facts.name} has {facts.distinct:,} different values and at most "
            f"{MOST_LABELS:,} can be classes: merge the rare ones, or choose another --target"
        )
    if facts.distinct > FEW_TEXTS and facts.present / facts.distinct < ROWS_A_CATEGORY:
        raise DataError(
            f"{facts.name} has {facts.distinct:,} different values in {facts.present:,} rows, "
            "which is free text and no set of classes: merge them, or choose another --target"
        )


def _ordered(facts: Statistics) -> list[str]:
    """Return the two labels, the positive one last: a yes, else what no no is, else the rarer."""
    one, other = labels = facts.labels
    for label, rest in ((one, other), (other, one)):
        word, against = label.lower(), rest.lower()
        yes = word in YES and (word not in ONES or against in NO)
        no = against in NO and (against not in ZEROS or word in ONES)
        if yes or no:
            return [rest, label]
    counts = np.array([facts.counts[label] for label in labels])
    return labels if counts[1] <= counts[0] else [other, one]
