"""Which feature views there are, and who uses them: experiments, and models that are declared."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..config.expansion import VIEWS, read_view
from ..config.experiment import plain
from ..config.settings import RESOLVED, ConfigError
from ..config.views import Feature, View
from ..files import parse_yaml
from ..git.repository import Repository

RELEASES = "deploy/*/release.yaml"


class Use(NamedTuple):
    """A view, the choices of conf/features that name it, and the environments that serve it."""

    view: View
    experiments: list[str]
    environments: list[str]


def uses(conf: Path, repository: Repository | None = None) -> list[Use]:
    """Return every view of conf/ and its uses; raises ConfigError for one that is wrong."""
    names = sorted(path.stem for path in (conf / VIEWS).glob("*.yaml"))
    if not names:
        raise ConfigError(f"{conf / VIEWS}/ declares no view: engine/docs/features.md has one")
    served = {} if repository is None else dict(champions(repository))
    chosen = dict(_experiments(conf))
    return [
        Use(
            read_view(conf, name),
            [choice for choice, views in chosen.items() if name in views],
            [environment for environment, views in served.items() if name in views],
        )
        for name in names
    ]


def champions(repository: Repository) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every environment and the views of the model that it declares, as HEAD has them.

    The commit that last wrote a declaration has the resolved.yaml of the model that it promoted.
    """
    if repository.commit() is None:
        return
    for path in sorted(repository.root.glob(RELEASES)):
        declared = path.relative_to(repository.root).as_posix()
        for commit in repository.commits([declared], 1):
            text = repository.text_at(commit, RESOLVED.as_posix())
            resolved = parse_yaml(text) if text else {}
            yield path.parent.name, dict((resolved.get("features") or {}).get("views") or {})


def matching(found: list[Use], word: str) -> list[Use]:
    """Return the views in whose names, descriptions or definitions a word stands."""
    return [use for use in found if word.lower() in _words(use.view).lower()]


def listed(found: list[Use]) -> str:
    """Return a few lines for each view."""
    return "\n".join(line for use in found for line in _lines(use))


def shown(use: Use) -> dict[str, Any]:
    """Return what `show` says of a view, to be printed as YAML."""
    view = use.view
    return {
        "view": view.name,
        "description": view.description,
        "owner": view.owner,
        "entity": view.entity,
        "table": f"{view.table.name} ({view.table.place})",
        "happened": f"{view.table.event_time}, at most {view.ttl} ago",
        "known": view.table.known_time or f"{view.table.lag} after {view.table.event_time}",
        "features": {name: _told(view, one) for name, one in view.features.items()},
        "online": view.online,
        "experiments": use.experiments,
        "champions": use.environments,
    }


def _told(view: View, feature: Feature) -> dict[str, Any]:
    said: Mapping[str, Any] = {
        "type": feature.type,
        "computed": definition(feature),
        "window": feature.window or view.ttl,
        "default": feature.default,
        "description": feature.description,
        "owner": feature.owner or view.owner,
    }
    return {key: value for key, value in said.items() if value not in (None, "")}


def definition(feature: Feature) -> str:
    """Return how a feature is computed, in a line."""
    if feature.latest is not None:
        return f"latest {feature.latest}"
    return feature.sql or f"{feature.function}({', '.join(feature.columns)})"


def _experiments(conf: Path) -> Iterator[tuple[str, list[str]]]:
    for path in sorted((conf / "features").glob("*.yaml")):
        yield path.stem, list(plain(path).get("views") or [])


def _words(view: View) -> str:
    features = [
        " ".join([name, definition(one), one.description]) for name, one in view.features.items()
    ]
    named = [view.name, view.description, view.owner, view.table.name, *view.entity.values()]
    return " ".join([*named, *features])


def _lines(use: Use) -> Iterator[str]:
    view = use.view
    entity = ", ".join(view.entity.values())
    yield f"{view.name}: {view.description or 'no description'}"
    yield f"  of {entity} from {view.table.name}, {view.ttl}; owner {view.owner or 'nobody'}"
    for name, feature in view.features.items():
        said = f": {feature.description}" * bool(feature.description)
        yield f"  {name} = {definition(feature)}, {feature.window or view.ttl}{said}"
    users = [f"conf/features/{name}.yaml" for name in use.experiments]
    users += [f"{name}'s champion" for name in use.environments]
    yield f"  used by {', '.join(users) or 'nobody'}"
