"""deploy/ENVIRONMENT/experiment.yaml: two models, who meets which, and what decides between them.

Written before the first request is answered and reviewed as everything else: the measure, the
margin, the horizon and the salt are registered by a commit.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import yaml

from ..errors import ProjectError
from ..files import parse_yaml

NAME = "experiment.yaml"
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Rate = Annotated[float, msgspec.Meta(gt=0, lt=0.5)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Duration = Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]{0,4}[mhdw]$")]


class ExperimentError(ProjectError):
    """An experiment is not declared as it has to be."""


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The share of the challenger, and for how long at least."""

    share: Share
    lasts: Duration | None = msgspec.field(default=None, name="for")


class Slow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most the share `at_most` of the challenger's requests takes longer than `seconds`."""

    seconds: Annotated[float, msgspec.Meta(gt=0)]
    at_most: Rate


class Guardrails(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What has a server take the challenger back by itself: rates of its requests.

    `errors` is the most that may fail, `disagree` the most that a shadow may decide otherwise than
    the champion. `drift` is the most that the share of what is answered (a label; of numbers, what
    lies above a quartile of the champion's) may lie apart between the two models. `alpha` is the
    chance, over all requests and all guardrails together, that a challenger is stopped which keeps
    them.
    """

    errors: Rate = 0.01
    slow: Slow | None = None
    disagree: Rate | None = None
    drift: Rate | None = None
    alpha: Annotated[float, msgspec.Meta(gt=0, le=0.2)] = 0.05


class Primary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What decides: the mean of a unit's `measure` under the challenger, against the champion's.

    `value` is the sum of what was reported of a unit's rows, 0 where nothing was; `outcome` the
    mean of the outcomes that are known, of `label` the share of them that are it. The challenger
    is better where the difference is surely above `margin`, in the direction of `better`, and
    worse where it is surely below it. `units` is how many the sequence is tightest at.
    """

    measure: Literal["value", "outcome"]
    better: Literal["higher", "lower"] = "higher"
    margin: Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)] = 0.0
    label: str | None = None
    units: Annotated[int, msgspec.Meta(ge=100)] = 10_000


class Experiment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is declared of one experiment.

    In mode `shadow` the challenger answers nobody: it is asked beside the champion, for the share,
    and its answers are logged. In `canary` it answers the share, and guardrails alone decide; in
    `ab` the `primary` measure does.
    `champion` and `challenger` are the digests of two bundles. `salt` decides who meets which.
    `step` counts from 0; it began at `since`. Units are judged once they are as old as `maturity`
    and at least `min_units` of either arm are; `alpha` is the chance of a wrong decision over all
    looks, and at the `horizon` it ends undecided. `before` is how long before `since` a unit's own
    past is looked at, by which chance is lessened. Without traffic a step is held, or the
    experiment is to be stopped.
    """

    format: Literal[1]
    champion: Sha256
    challenger: Sha256
    salt: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1)]
    since: datetime
    primary: Primary = Primary("value")  # of mode ab, which has to say it
    mode: Literal["shadow", "canary", "ab"] = "ab"
    no_traffic: Literal["hold", "stop"] = "hold"
    step: Annotated[int, msgspec.Meta(ge=0)] = 0
    alpha: Annotated[float, msgspec.Meta(gt=0, le=0.2)] = 0.05
    maturity: Duration = "7d"
    horizon: Duration = "4w"
    before: Duration = "4w"
    min_units: Annotated[int, msgspec.Meta(ge=30)] = 500
    slices: tuple[str, ...] = ()
    guardrails: Guardrails = Guardrails()

    @property
    def share(self) -> float:
        """The challenger's share in the step that it is in."""
        return self.steps[self.step].share


def read(path: Path) -> Experiment:
    """Return what a file declares; raises ExperimentError, which names what is wrong."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ExperimentError(f"{path} cannot be read ({error.strerror}): correct it") from error
    return parse(content, str(path))


def parse(content: bytes, place: str) -> Experiment:
    """Return what the content of a file declares."""
    try:
        told = parse_yaml(content.decode())
        found = msgspec.convert(told, Experiment)
    except (ValueError, yaml.YAMLError) as error:
        said = str(error).replace("Object ", "the file ")
        raise ExperimentError(f"{place} is no experiment: {said}: correct it") from error
    if found.champion == found.challenger:
        raise ExperimentError(f"{place}: champion and challenger are the same bundle: name two")
    if found.step >= len(found.steps):
        last = len(found.steps) - 1
        raise ExperimentError(f"{place}: there is no step {found.step}: the last one is {last}")
    _check_mode(found, "primary" in told, place)
    shares = [step.share for step in found.steps]
    if shares != sorted(shares):
        raise ExperimentError(
            f"{place}: the shares of the steps fall: let them grow, so that nobody goes back"
        )
    if found.primary.label is not None and found.primary.measure != "outcome":
        raise ExperimentError(f"{place}: `label` is of the measure `outcome`: leave it out")
    if found.since.tzinfo is None:
        raise ExperimentError(f"{place}: `since` has no time zone: write it like …T00:00:00Z")
    return found


def _check_mode(found: Experiment, has_primary: bool, place: str) -> None:
    if found.mode == "ab" and not has_primary:
        raise ExperimentError(f"{place}: `primary` is missing, which decides an ab: write it")
    if found.mode != "ab" and has_primary:
        raise ExperimentError(
            f"{place}: a {found.mode} has no `primary`, since guardrails decide: leave it out, or "
            "write `mode: ab`"
        )
    if found.mode != "shadow" and found.steps[-1].share == 1:
        raise ExperimentError(f"{place}: a share of 1 leaves nobody to compare with: write less")
    if found.mode != "ab" and found.steps[-1].lasts is None:
        raise ExperimentError(
            f"{place}: the last step of a {found.mode} has no `for`, by which it ends: write it"
        )
    if found.mode != "shadow" and found.guardrails.disagree is not None:
        raise ExperimentError(
            f"{place}: `disagree` is of a shadow, where both models answer the same: leave it out"
        )
    if found.mode == "shadow" and found.guardrails.slow is not None:
        raise ExperimentError(f"{place}: nobody waits for a shadow: leave `slow` out")


def lasting(text: str) -> timedelta:
    """Return a duration like 90m, 1h, 7d or 4w."""
    return timedelta(**{UNITS[text[-1]]: int(text[:-1])})


def utc(moment: datetime) -> datetime:
    """Return a moment in UTC without its zone, as the log has it."""
    return moment.astimezone(UTC).replace(tzinfo=None)
