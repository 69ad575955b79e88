"""What fills the store in which servers look features up."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .verb import Arguments, Verb

if TYPE_CHECKING:
    from ..config.views import View


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    add = verb(materialise, "have an online store hold the newest features of every entity")
    add.add_argument(
        "--view",
        metavar="NAME",
        action="append",
        help="a view of conf/feature_views; may stand more than once (default: all with `online`)",
    )
    add.add_argument("--at", metavar="TIME", type=_moment, help="as known then (default: now)")
    add.add_argument(
        "--store", metavar="URL", help="like sqlite:///data/online.db (default: MLOPS_ONLINE)"
    )
    add.add_argument(
        "--bundle", metavar="DIR", type=Path, help="the views as a bundle has them, not conf/"
    )
    add.add_argument(
        "--prune", action="store_true", help="drop what other definitions of the views wrote"
    )


def materialise(arguments: Arguments) -> None:
    from ..serving.online.stores import opened, shown
    from ..views.materialise import materialise
    from ..views.online import OnlineError

    url = arguments.store or _told()
    views = _views(arguments.view, arguments.bundle)
    if not views:
        raise OnlineError(
            "no view has `online: true`: set it in conf/feature_views, or name one with --view"
        )
    at = arguments.at or datetime.now(UTC)
    store = opened(url, write=True)
    try:
        for view in views:
            done = materialise(view, store, at, prune=arguments.prune)
            print(
                f"{view.name}: {done.entities:,} entities as of {at:%Y-%m-%dT%H:%M:%SZ}, "
                f"{done.written:,} written, {done.gone:,} gone ({shown(url)})"
            )
            for name in done.dropped:
                print(f"- dropped {name}")
    finally:
        store.close()


def _told() -> str:
    """Return the store that servers are told of; raises OnlineError where there is none."""
    from ..serving.settings import load
    from ..views.online import OnlineError

    online = load().online
    if online is None:
        raise OnlineError("no online store is named: set MLOPS_ONLINE, or give --store URL")
    return online.get_secret_value()


def _views(names: list[str] | None, bundle: Path | None) -> "list[View]":
    from ..config.compose import CONF
    from ..config.expansion import VIEWS, read_view
    from ..views.online import OnlineError

    if bundle is None:
        chosen = names or sorted(path.stem for path in (CONF / VIEWS).glob("*.yaml"))
        found = {name: read_view(CONF, name) for name in chosen}
    else:
        from ..bundle import contents
        from ..bundle.reading import declared

        found = declared(contents.read(bundle))[1].features.views
        if unknown := [name for name in names or () if name not in found]:
            offered = ", ".join(found) or "none"
            raise OnlineError(f"{bundle} reads no view {unknown[0]}: choose from {offered}")
    return [view for name, view in found.items() if (name in names if names else view.online)]


def _moment(text: str) -> datetime:
    """Read a time like 2026-01-31T09:30:00Z; one without an offset is in UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time like 2026-01-31T09:30:00Z"
        ) from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
