"""Too few rows to learn from, or to tell how good a model is."""

import math

from ..contract import Contract, Task
from ..evaluation.suspicion import LEAST, LEAST_OF_A_CLASS
from ..metrics.power import detectable, upwards
from .statistics import Statistics, shortened
from .timeliness import HOLDOUT

AUC = 0.8
MOST = 0.25  # a loss that is no margin
INSIDE = 0.95  # of an interval
NAMES: dict[Task, str] = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "r2"}


def scarcity(target: Statistics, contract: Contract) -> list[str]:
    """Say which class, or that the whole table, has too few rows, and how many would be enough."""
    if contract.task == "regression":
        enough = round(LEAST / HOLDOUT)
        if target.present >= enough:
            return []
        return [
            f"{target.present:,} rows leave about {target.present * HOLDOUT:.0f} to measure on, "
            f"too few to tell one model from another: {enough:,} rows would be enough"
        ]
    enough = round(LEAST_OF_A_CLASS / HOLDOUT)
    rare = [(str(text), int(rows)) for text, rows in target.counts.items() if rows < enough]
    if not rare:
        return []
    shown = ", ".join(f"{shortened(label)} in {rows:,}" for label, rows in reversed(rare[-3:]))
    more = f", as are {len(rare) - 3} more classes" if len(rare) > 3 else ""
    held = round(rare[-1][1] * HOLDOUT)
    return [
        f"{contract.target} is {shown} of {target.present:,} rows{more}: the holdout would have "
        f"about {held} of {shortened(rare[-1][0])}, too few to tell one model from another; "
        f"{enough} rows of each class would be enough"
    ]


def tells(target: Statistics, contract: Contract) -> str:
    """Say which loss the gate could tell on the holdout, between models that share no error.

    Of an AUC of 0.8 after Hanley and McNeil; of log loss and R², whose errors nobody knows yet, as
    if rows differed by one.
    """
    held = target.present * HOLDOUT
    about = f"about {held:,.0f} rows hold out"
    error = math.sqrt(1 / held) if held else math.inf
    if contract.task == "binary":
        rare = min(int(rows) for rows in target.counts) * HOLDOUT
        about += f", {rare:,.0f} of the rarer label"
        error = math.sqrt(2) * _auc_error(rare, held - rare)
    metric = NAMES[contract.task]
    margin = upwards(detectable(error, INSIDE))
    if not margin < MOST:
        return f"{about}: too few for the gate to tell any two models apart"
    return (
        f"{about}: they tell a loss of {margin:g} in {metric}, the margin to propose for "
        "non_inferiority in conf/gate; below it, most models as good as the champion that err "
        "elsewhere are blocked"
    )


def _auc_error(positive: float, negative: float) -> float:
    """Return the standard error of an area under the ROC curve of AUC."""
    if min(positive, negative) < 1:
        return math.inf
    one, other = AUC / (2 - AUC), 2 * AUC**2 / (1 + AUC)
    spread = AUC * (1 - AUC) + (positive - 1) * (one - AUC**2) + (negative - 1) * (other - AUC**2)
    return math.sqrt(spread / (positive * negative))
