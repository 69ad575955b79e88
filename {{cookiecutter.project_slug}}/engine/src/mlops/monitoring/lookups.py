"""Whether what a server looked up on a day is what the views of its bundle said then."""

import os
from datetime import date
from pathlib import Path

from ..errors import ProjectError
from ..log_layout import PREDICTIONS, hashing
from .case import LookUps
from .log import Source

SECRET = "MLOPS_LOG_KEY"  # as servers have it; without one, the log's folder holds a key


def looked_up(source: Source, day: date, root: Path = Path()) -> LookUps | None:
    """Compute a day's look-ups again from the project's tables; None where the bundle has none."""
    views = source.bundle.settings.features.views
    online = {name: view for name, view in views.items() if view.online}
    if not online:
        return None
    where = f"date={day.isoformat()}/model={source.model}"
    files = sorted((source.folder / PREDICTIONS / where).glob("part-*.parquet"))
    if not files:
        return LookUps({}, "no row of the day is in the log any more")
    from ..views.replay import replay

    try:
        secret = os.environ.get(SECRET, "").encode() or None
        hashed = hashing(source.folder, secret)
        found = replay(files, source.bundle.contract, online, hashed, root)
    except ProjectError as error:
        return LookUps({}, str(error))
    features = {
        name: (one.rows, one.differing, one.example) for name, one in found.features.items()
    }
    return LookUps(features, unread=found.unread)
