"""What a judgment is asked for: against which commit, by whose policy and code."""

from typing import Literal

import msgspec

from ..errors import ProjectError


class GateError(ProjectError):
    """The gate could not judge."""


class Origin(msgspec.Struct, frozen=True):
    """A commit, and the name by which it was asked for."""

    ref: str
    commit: str


class Request(msgspec.Struct, frozen=True):
    """What is judged by what: the champion of `against`, by `policy`, found in `folder`.

    `folder` holds conf/ and params.yaml of the policy's commit. `code` says whose code judges:
    the policy's (`base`), or that of this branch, because there is no gate at the policy's.
    `rederive` asks for the candidate to be made again.
    """

    against: Origin
    policy: Origin
    folder: str
    code: Literal["base", "branch"] = "base"
    rederive: bool = False
