"""Feature views: which there are, where they come from, and their values."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .verb import Arguments, Run, Verb, day

if TYPE_CHECKING:
    from ..config.settings import Settings
    from ..views.usage import Use


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    parts = verb(features, "feature views: list, show, lineage, build, check, replay, served, …")
    of = parts.add_subparsers(dest="part", required=True, metavar="WHAT")

    def part(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        added = of.add_parser(name, help=text, description=text)
        added.set_defaults(part_run=run)
        return added

    add = part("list", _list, "every view, of whom, and who uses it")
    add.add_argument("word", nargs="?", help="only those in which it stands")

    add = part("show", _show, "one view, its features and its uses")
    add.add_argument("name")

    add = part("lineage", _lineage, "where a view's values come from, and where they go")
    add.add_argument("name")
    add.add_argument("--against", metavar="REF", help="and how they moved since, on the same rows")

    add = part("build", _build, "write the views' values at the label rows to data/features")
    add.add_argument("name", nargs="*", help="default: those of the experiment")

    add = part("backfill", _backfill, "write a view's values at each day to data/features")
    add.add_argument("name")
    add.add_argument("--since", required=True, type=day, metavar="DATE")
    add.add_argument("--until", required=True, type=day, metavar="DATE")

    add = part("check", _check, "exit 1 where tables or views are not as they should be")
    add.add_argument("--now", type=day, metavar="DATE", help="as if it were then (default: now)")

    add = part("replay", _replay, "exit 1 where a server used other values than are computed again")
    add.add_argument("--log", metavar="DIR", type=Path, required=True)
    add.add_argument(
        "--bundle", metavar="DIR", type=Path, default=Path("deploy/production/champion")
    )

    add = part("served", _served, "write what a server used and what came of it, to train on")
    add.add_argument("--log", metavar="DIR", type=Path, required=True)
    add.add_argument("--out", metavar="FILE", type=Path, required=True, help="a .parquet")
    add.add_argument("--bundle", metavar="DIR", type=Path, help="only what this bundle answered")
    add.add_argument("--since", type=day, metavar="DATE", help="the first day")
    add.add_argument("--until", type=day, metavar="DATE", help="the last day")


def features(arguments: Arguments) -> int:
    return int(arguments.part_run(arguments) or 0)


def _list(arguments: Arguments) -> None:
    from ..views.usage import listed, matching

    uses = _uses()
    if arguments.word is not None:
        uses = matching(uses, arguments.word)
    print(listed(uses) if uses else f"no view says {arguments.word}")


def _show(arguments: Arguments) -> None:
    import yaml

    from ..views.usage import shown

    print(yaml.safe_dump(shown(_use(arguments.name)), sort_keys=False, allow_unicode=True), end="")


def _lineage(arguments: Arguments) -> None:
    from ..config.compose import CONF
    from ..git.repository import Repository
    from ..views.lineage import moved, origin

    use = _use(arguments.name)
    print("\n".join(origin(use, CONF, Path())))
    if arguments.against is not None:
        print(f"since {arguments.against}, on the rows of data/raw:")
        for one in moved(Repository(), use.view, _settings().data, arguments.against):
            print(f"  {one}")


def _build(arguments: Arguments) -> None:
    from ..config.compose import CONF
    from ..config.expansion import read_view
    from ..config.settings import ConfigError
    from ..views.backfill import build

    settings = _settings()
    views = [read_view(CONF, name) for name in arguments.name]
    views = views or list(settings.features.views.values())
    if not views:
        raise ConfigError(
            "the experiment uses no view: name one, or list some under `views` in conf/features"
        )
    for path, rows in build(settings.data, views):
        print(f"{path}: {rows:,} rows")


def _backfill(arguments: Arguments) -> None:
    from ..config.compose import CONF
    from ..config.expansion import read_view
    from ..views.backfill import backfill

    view = read_view(CONF, arguments.name)
    for path, rows in backfill(view, arguments.since, arguments.until):
        print(f"{path}: {rows:,} rows")


def _check(arguments: Arguments) -> int:
    from datetime import UTC, datetime

    import numpy as np

    from ..config.compose import CONF
    from ..views.checks import check

    now = arguments.now or datetime.now(UTC).replace(tzinfo=None)
    found = check(CONF, Path(), np.datetime64(now, "us"))
    for one in found:
        print(one)
    if not found:
        print("tables and views are as they should be")
    return int(bool(found))


def _uses() -> "list[Use]":
    from ..config.compose import CONF
    from ..git.repository import Repository
    from ..views.usage import uses

    return uses(CONF, Repository())


def _use(name: str) -> "Use":
    from ..config.settings import ConfigError

    uses = {use.view.name: use for use in _uses()}
    if name not in uses:
        offered = ", ".join(uses)
        raise ConfigError(f"there is no view {name!r} in conf/feature_views: choose from {offered}")
    return uses[name]


def _settings() -> "Settings":
    from ..config.compose import CONF, settings_of
    from ..config.experiment import EXPERIMENT, read_experiment

    return settings_of(CONF, read_experiment(EXPERIMENT))


def _replay(arguments: Arguments) -> int:
    from ..bundle import contents
    from ..bundle.reading import load
    from ..log_layout import PREDICTIONS, hashing
    from ..serving.settings import load as settings
    from ..views.replay import ReplayError, replay

    loaded = load(arguments.bundle)
    model = contents.read(arguments.bundle).bundle_digest[:12]
    files = sorted((arguments.log / PREDICTIONS).glob(f"date=*/model={model}/part-*.parquet"))
    if not files:
        raise ReplayError(
            f"{arguments.log} has no predictions of the bundle {model}: name the log with --log, "
            "and the bundle that was served with --bundle"
        )
    secret = settings().log_key
    told = None if secret is None else secret.get_secret_value().encode()
    hashed = hashing(arguments.log, told)
    found = replay(files, loaded.contract, loaded.settings.features.views, hashed)
    for name, one in found.features.items():
        example = f"; {one.example}" if one.differing else ""
        print(f"{name}: {one.differing:,} of {one.rows:,} values differ{example}")
    if found.unread:
        print(
            f"{found.unread:,} rows name their entity by a keyed hash: set MLOPS_LOG_KEY to the "
            "secret of the log, and they are compared as well"
        )
    if found.unrecorded:
        print(f"not in the log, as personal data: {', '.join(found.unrecorded)}")
    return 1 if found.differing else 0


def _served(arguments: Arguments) -> None:
    from ..bundle import contents
    from ..data.errors import DataError
    from ..engine import version
    from ..monitoring.served import Asked, lineage, served
    from ..serving.delivery import delivered, target

    if arguments.out.suffix != ".parquet":
        raise DataError(f"{arguments.out} must end in .parquet: the rows have columns of columns")
    bundle = arguments.bundle
    model = None if bundle is None else contents.read(bundle).bundle_digest[:12]
    asked = Asked(arguments.log, model, arguments.since, arguments.until)
    place, rows, known = target(arguments.out), 0, 0
    with delivered(place) as delivery:
        for table in served(asked):
            delivery.write(table)
            rows += table.num_rows
            known += table.num_rows - table.column("outcome").null_count
        if not rows:
            raise DataError(
                f"{asked.log} has no such answers: name other days, or the bundle that answered"
            )
        told = {"rows": rows, "outcomes": known, **lineage(asked)}
        delivery.lineage = {"format": 1, "engine": version(), **told}
    print(f"{rows:,} rows, {known:,} of them with an outcome: {place.out}")
