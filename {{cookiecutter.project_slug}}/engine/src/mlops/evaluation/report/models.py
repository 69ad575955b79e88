"""One page that shows every model of conf/model on the same training rows."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from ...config.settings import Settings
from ...metrics.bootstrap import Estimate
from ...metrics.catalogue import known
from . import rowcharts
from .page import FILTERS, TEMPLATES
from .rendering import render

Row = tuple[str, Estimate, Estimate | None, float]


def page(settings: Settings, rows: Sequence[Row], folds: int, templates: Path = TEMPLATES) -> str:
    """Return the page; a row has model, metric, what it is behind the best, seconds of a fit."""
    title = known()[settings.evaluation.primary].title
    context = {
        "settings": settings,
        "title": title,
        "folds": folds,
        "models": [
            {"name": name, "score": score, "behind": behind, "seconds": seconds}
            for name, score, behind, seconds in rows
        ],
        "plot": Markup(rowcharts.models(rows, title)),
    }
    return render("models.html", context, FILTERS, templates)
