"""What started a run, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEPENDABOT = "dependabot[bot]"


@dataclass
class Event:
    """What started a run, and what GitHub tells the run about it."""

    name: str
    repository: str
    ref: str
    sha: str
    payload: dict[str, Any] = field(default_factory=dict)
    base_ref: str = ""
    head_ref: str = ""
    fork: bool = False
    actor: str = "somebody"


@dataclass
class Step:
    """A step that was run or skipped."""

    name: str
    outcome: str
    conclusion: str
    output: str
    outputs: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class Job:
    """A job that was run or skipped."""

    name: str
    result: str = "skipped"
    outputs: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    summary: str = ""
    permissions: Mapping[str, str] = field(default_factory=dict)
    environment: str = ""

    @property
    def output(self) -> str:
        """Everything that its steps printed."""
        return "\n".join(f"# {step.name}: {step.conclusion}\n{step.output}" for step in self.steps)


@dataclass
class Run:
    """A run of a workflow."""

    workflow: str
    event: Event
    file: str = ""
    concurrency: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    artifacts: Path = Path()

    @property
    def signer(self) -> str:
        """What an attestation of this run is signed by."""
        return f"{self.event.repository}/.github/workflows/{self.file}"

    @property
    def result(self) -> str:
        """`success` unless a job failed."""
        return "failure" if any(j.result == "failure" for j in self.jobs.values()) else "success"

    @property
    def seconds(self) -> float:
        """How long the commands took."""
        return sum(step.seconds for job in self.jobs.values() for step in job.steps)

    @property
    def output(self) -> str:
        """Everything that was printed."""
        return "\n".join(
            f"## {name}: {job.result}\n{job.output}" for name, job in self.jobs.items()
        )
