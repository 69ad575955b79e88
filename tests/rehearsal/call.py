"""One use of an action: what it is given, and what it may touch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .job import JobRun

Answer = tuple[int, str, dict[str, str]]
Post = Callable[[bool], None]


@dataclass
class Call:
    """One use of an action: the job, the inputs, the contexts."""

    job: "JobRun"
    given: dict[str, str]
    contexts: dict[str, Any]

    @property
    def token(self) -> str:
        """The token that an action takes where it is given none."""
        return str(self.given.get("token", self.contexts["github"]["token"]))

    def execute(self, name: str, *command: str) -> Answer:
        """Run a command in the checkout."""
        return self.job.shell.execute([*command], self.job.shell.workspace, self.contexts, name)
