"""deploy/ENVIRONMENT/actions.yaml: what is done with people, by lot or by a policy, and which pays.

Written before the first action is taken and reviewed as everything else. The model stays the same:
what is compared is what follows from it.
"""

from bisect import bisect_right
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec
import yaml

from ..files import parse_yaml
from .assignment import PLACES, place
from .declaration import Duration, ExperimentError, Sha256

NAME = "actions.yaml"
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Amount = Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]


class Arm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A share of the units, and what is done with them: one `action`, or what a `policy` says.

    The policy `decision` is what the bundle decides by its value table.
    """

    share: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    action: Name | None = None
    policy: Literal["decision"] | None = None


class Actions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is declared of an experiment of actions.

    `model` is the digest of the bundle whose answers they follow. `salt` draws a unit's arm, whose
    shares add up to 1; each is compared with the arm `control`. `costs` are what an action costs a
    row. A unit is judged by the value that was reported of its rows of `maturity` from its first
    one on, less the costs, once that has gone by; `margin`, `alpha`, `units`, `min_units` and
    `slices` are those of an experiment of models.
    """

    format: Literal[1]
    mode: Literal["actions"]
    model: Sha256
    salt: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    since: datetime
    arms: Annotated[dict[Name, Arm], msgspec.Meta(min_length=2, max_length=20)]
    control: str
    costs: dict[Name, Annotated[float, msgspec.Meta(ge=0, le=1e12)]] = {}
    margin: Amount = 0.0
    units: Annotated[int, msgspec.Meta(ge=100)] = 10_000
    alpha: Annotated[float, msgspec.Meta(gt=0, le=0.2)] = 0.05
    maturity: Duration = "7d"
    horizon: Duration = "4w"
    min_units: Annotated[int, msgspec.Meta(ge=30)] = 500
    slices: tuple[str, ...] = ()

    @property
    def others(self) -> tuple[str, ...]:
        """The arms that are compared with the control."""
        return tuple(name for name in self.arms if name != self.control)


class Assigned(NamedTuple):
    """What is to be done with a row: by which arm, and with which probability it was to be that."""

    arm: str
    action: str
    propensity: float


class Draw:
    """Who is in which arm, and what follows for a row; in whatever order the arms are written."""

    def __init__(self, about: Actions) -> None:
        self.names = sorted(about.arms)
        self._arms = [about.arms[name] for name in self.names]
        ends = list(accumulate(arm.share for arm in self._arms))
        self._edges = [int(end * PLACES) for end in ends[:-1]]
        self._salt = about.salt.encode()
        self.decides = any(arm.policy for arm in self._arms)
        self._known: dict[tuple[int, str], Assigned] = {}  # few: what is decided is one of two

    def arm(self, key: bytes) -> int:
        """Return the number in `names` of the arm of a key: always the same, in any process."""
        return bisect_right(self._edges, place(key, self._salt))

    def assigned(self, arm: int, decided: str) -> Assigned:
        """Return what is done in an arm with a row that the model decides on so."""
        if (known := self._known.get((arm, decided))) is not None:
            return known
        actions = [one.action or decided for one in self._arms]
        action = actions[arm]
        shares = (a.share for a, what in zip(self._arms, actions, strict=True) if what == action)
        found = Assigned(self.names[arm], action, min(1.0, sum(shares)))
        return self._known.setdefault((arm, decided), found)


def read(path: Path) -> Actions:
    """Return what a file declares; raises ExperimentError, which names what is wrong."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ExperimentError(
            f"{path} cannot be read ({error.strerror}): declare the actions there, as "
            "engine/docs/value.md has them"
        ) from error
    return parse(content, str(path))


def parse(content: bytes, named: str) -> Actions:
    """Return what the content of a file declares."""
    try:
        found = msgspec.convert(parse_yaml(content.decode()), Actions)
    except (ValueError, yaml.YAMLError) as error:
        said = str(error).replace("Object ", "the file ")
        raise ExperimentError(f"{named} is no experiment of actions: {said}: correct it") from error
    for name, arm in found.arms.items():
        if (arm.action is None) == (arm.policy is None):
            raise ExperimentError(f"{named}: the arm {name} needs an `action` or a `policy`: one")
    total = sum(arm.share for arm in found.arms.values())
    if abs(total - 1) > 1e-9:
        raise ExperimentError(f"{named}: the shares of the arms are {total:g} together: make it 1")
    if found.control not in found.arms:
        raise ExperimentError(
            f"{named}: there is no arm {found.control}, which is the control: choose from "
            f"{', '.join(found.arms)}"
        )
    if found.since.tzinfo is None:
        raise ExperimentError(f"{named}: `since` has no time zone: write it like …T00:00:00Z")
    return found
