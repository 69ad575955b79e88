"""Too few rows to learn from, or to tell how good a model is."""

from ..contract import Contract
from .statistics import Statistics, shortened
from .timeliness import HOLDOUT

# An AUC of 0.8 is then known within 0.07 on either side (Hanley and McNeil, The meaning and use of
# the area under a ROC curve, Radiology 143, 1982), an RMSE within a fifth.
LEAST_OF_A_CLASS = 20  # rows in the holdout
LEAST = 50


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
