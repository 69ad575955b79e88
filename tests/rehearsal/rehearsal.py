"""A repository on a rehearsed GitHub: pushes, pull requests, merges, and the runs they start."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from baked import IDENTITY

from . import workflow
from .act import Act, asked
from .github import FORK, OWNER, REPOSITORY, GitHub, Pull, git
from .machine import Machine
from .results import Event, Run
from .runner import Runner

HUMAN = {**IDENTITY, "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": "/nonexistent"}


@dataclass
class Rehearsal:
    """A repository, its runs, and the settings that its owner made."""

    folder: Path
    secrets: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets_of_bots: Mapping[str, str] = field(default_factory=dict)
    machine: Machine = field(init=False)
    github: GitHub = field(init=False)
    runs: list[Run] = field(default_factory=list)
    break_at: str = ""
    skipped: set[str] = field(default_factory=set)  # workflows that this machine cannot run

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.github = GitHub(self.folder / "github")
        self.machine = Machine(self.folder / "machine")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.github.stop()

    def push(self, clone: Path, branch: str, repository: str = REPOSITORY) -> list[Run]:
        """Push HEAD of a clone to a branch as its author, and run what that starts."""
        bare = self.github.bare(repository)
        before = _tip(bare, branch)
        _human(clone, "push", "--quiet", str(bare), f"HEAD:refs/heads/{branch}")
        return self._pushed(branch, before) if repository == REPOSITORY else []

    def _pushed(self, branch: str, before: str | None) -> list[Run]:
        after = self.github.tip(branch)
        changed = _changed(self.github.bare(), before, after)
        payload = {"before": before or "0" * 40, "after": after, "deleted": False}
        event = Event("push", REPOSITORY, f"refs/heads/{branch}", after, self._payload(payload))
        return self._run(event, after, branch, changed)

    def open(
        self, branch: str, repository: str = REPOSITORY, author: str = "somebody"
    ) -> tuple[int, list[Run]]:
        """Open a pull request into main and run what that starts."""
        number = self.github.next_number
        self.github.pulls[number] = Pull(number, repository, branch, "", author)
        return number, self.synchronize(number, "opened")

    def retarget(self, branch: str) -> tuple[int, list[Run]]:
        """Have a pull request into another branch be one into main, and run what that starts."""
        number = self.github.next_number
        self.github.pulls[number] = Pull(number, REPOSITORY, branch, "")
        return number, self.synchronize(number, "edited", {"base": {"ref": {"from": "other"}}})

    def synchronize(
        self, number: int, action: str = "synchronize", changes: Mapping[str, Any] | None = None
    ) -> list[Run]:
        """Run what a new commit on a pull request's branch starts, or another action on it.

        A conflict with main starts nothing: there is no merge commit to run.
        """
        pull, bare = self.github.pulls[number], self.github.bare()
        theirs = self.github.bare(pull.repository)
        git(bare, "fetch", "--quiet", str(theirs), f"+{pull.branch}:refs/pull/{number}/head")
        pull.head = git(bare, "rev-parse", f"refs/pull/{number}/head").strip()
        merged = self._merged(pull)
        if merged is None:
            return []
        git(bare, "update-ref", f"refs/pull/{number}/merge", merged)
        base = self.github.tip("main")
        payload = self._payload(
            {
                "action": action,
                **({"changes": changes} if changes else {}),
                "number": number,
                "pull_request": {
                    "number": number,
                    "head": {
                        "sha": pull.head,
                        "ref": pull.branch,
                        "repo": {"full_name": pull.repository, "fork": pull.repository == FORK},
                    },
                    "base": {"sha": base, "ref": "main", "repo": {"full_name": REPOSITORY}},
                },
            }
        )
        event = Event("pull_request", REPOSITORY, f"refs/pull/{number}/merge", merged, payload)
        event.base_ref, event.head_ref = "main", pull.branch
        event.fork = pull.repository != REPOSITORY
        event.actor = pull.author
        changed = _changed(bare, git(bare, "merge-base", base, pull.head).strip(), pull.head)
        return self._run(event, merged, "main", changed)

    def queue(self, number: int) -> list[Run]:
        """Add a pull request to the merge queue: run what that starts, and merge what passes.

        The ruleset's checks have to report on the commit that the queue makes.
        """
        pull, bare, base = self.github.pulls[number], self.github.bare(), self.github.tip("main")
        pull.head = self.github.tip(pull.branch)
        merged = self._merged(pull)
        assert merged is not None
        branch = f"gh-readonly-queue/main/pr-{number}-{base}"
        git(bare, "update-ref", f"refs/heads/{branch}", merged)
        ref = f"refs/heads/{branch}"
        told = {
            "head_sha": merged,
            "head_ref": ref,
            "base_sha": base,
            "base_ref": "refs/heads/main",
        }
        payload = self._payload({"action": "checks_requested", "merge_group": told})
        event = Event("merge_group", REPOSITORY, ref, merged, payload)
        runs = self._run(event, merged, "main", [])
        states = {job.name: job.result for run in runs for job in run.jobs.values()}
        git(bare, "update-ref", "-d", ref)
        if reasons := self._unreported(states):
            raise MergeError("; ".join(reasons))
        git(bare, "update-ref", "refs/heads/main", merged, base)
        pull.state = "MERGED"
        return runs + self._pushed("main", base)

    def dispatched(self) -> list[Run]:
        """Run what workflows have dispatched."""
        made = []
        while self.github.dispatches:
            file, branch = self.github.dispatches.pop(0)
            made.append(self.start(file, "workflow_dispatch", branch))
        return made

    def start(self, file: str, event_name: str, branch: str = "main", **inputs: Any) -> Run:
        """Run one workflow, as a schedule or a person does."""
        commit, payload = (
            self.github.tip(branch),
            self._payload({"inputs": inputs} if inputs else {}),
        )
        event = Event(event_name, REPOSITORY, f"refs/heads/{branch}", commit, payload)
        for path in self._workflows(commit):
            if path.name == file:
                if event_name not in workflow.load(path)["on"]:
                    raise workflow.WorkflowError(f"{file} is not started by {event_name}")
                return self._record(path, event)
        raise workflow.WorkflowError(f"there is no workflow {file}")

    def merge(self, number: int, method: str = "merge") -> list[Run]:
        """Press the merge button: refused where the ruleset does, else run what it starts."""
        if reasons := self.blocked(number):
            raise MergeError("; ".join(reasons))
        pull, before = self.github.pulls[number], self.github.tip("main")
        tree = self._merged(pull)
        assert tree is not None
        parents = ["-p", before] + (["-p", pull.head] if method == "merge" else [])
        message = {
            "merge": f"Merge pull request #{number} from {pull.branch}",
            "squash": f"{pull.branch} (#{number})",
        }[method]
        new = git(
            self.github.bare(),
            *("commit-tree", f"{tree}^{{tree}}", *parents, "-m", message),
            environment={**_path(), **HUMAN},
        ).strip()
        git(self.github.bare(), "update-ref", "refs/heads/main", new, before)
        pull.state = "MERGED"
        return self._pushed("main", before)

    def blocked(self, number: int) -> list[str]:
        """Return why main's ruleset does not let a pull request merge."""
        pull, bare = self.github.pulls[number], self.github.bare()
        if self._merged(pull) is None:
            return ["it conflicts with main"]
        head = git(self.github.bare(pull.repository), "rev-parse", pull.branch).strip()
        reasons = self._unreported(self._states(head))
        behind = git(bare, "rev-list", "--count", f"{pull.head}..main").strip()
        if self._required()["strict_required_status_checks_policy"] and behind != "0":
            reasons.append("it is out of date with main")
        return reasons

    def _unreported(self, states: Mapping[str, str]) -> list[str]:
        """Return what main's ruleset requires and these states do not have."""
        return [
            f"{one['context']}: {states.get(one['context'], 'expected')}"
            for one in self._required()["required_status_checks"]
            if states.get(one["context"]) != "success"
        ]

    def _required(self) -> dict[str, Any]:
        told = git(self.github.bare(), "show", "main:engine/github/rulesets/main.json")
        rules = {rule["type"]: rule.get("parameters", {}) for rule in json.loads(told)["rules"]}
        return dict(rules["required_status_checks"])

    def _states(self, head: str) -> dict[str, str]:
        """Return what reports on a commit; GitHub leaves out the runs that were dispatched."""
        states = self.github.status(head)
        for run in self.runs:
            about = run.event.payload.get("pull_request", {}).get("head", {}).get("sha")
            if run.event.name == "pull_request" and about == head:
                states |= {job.name: job.result for job in run.jobs.values()}
        return states

    def _merged(self, pull: Pull) -> str | None:
        """Return a commit that merges a pull request into main; None where they conflict."""
        bare, head = self.github.bare(), pull.head
        done = subprocess.run(
            ["git", "merge-tree", "--write-tree", "main", head],
            cwd=bare,
            text=True,
            capture_output=True,
        )
        if done.returncode:
            return None
        tree = done.stdout.split()[0]
        command = ("commit-tree", tree, "-p", "main", "-p", head, "-m", f"Merge {pull.number}")
        return git(bare, *command, environment={**_path(), **HUMAN}).strip()

    def _payload(self, own: dict[str, Any]) -> dict[str, Any]:
        repository = {"full_name": REPOSITORY, "default_branch": "main", "owner": OWNER}
        return {"repository": {**repository, "visibility": "public", "private": False}, **own}

    def _workflows(self, commit: str) -> list[Path]:
        """Return the workflow files of a commit."""
        folder = self.folder / "files" / commit
        if not folder.exists():
            folder.mkdir(parents=True)
            archive = folder / "archive.tar"
            told = ("archive", "--output", str(archive), commit, ".github")
            git(self.github.bare(), *told)
            subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
        return sorted((folder / ".github/workflows").glob("*.yml"))

    def _run(self, event: Event, commit: str, branch: str, changed: list[str]) -> list[Run]:
        return [
            self._record(path, event)
            for path in self._workflows(commit)
            if path.name not in self.skipped
            and workflow.is_triggered(
                workflow.load(path), event.name, branch, changed, event.payload.get("action", "")
            )
        ]

    def _record(self, path: Path, event: Event) -> Run:
        self.runs.append(self._runner().run(path, event))
        assert not self.github.unknown, self.github.unknown
        return self.runs[-1]

    def _runner(self) -> Runner:
        settings = (self.secrets, self.variables, self.break_at, self.secrets_of_bots)
        kind = Act if asked() else Runner
        made = kind(self.github, self.machine, *settings)
        made.runs = len(self.runs)
        return made


class MergeError(Exception):
    """The ruleset does not let a pull request merge."""


def _path() -> dict[str, str]:
    return {"PATH": os.environ["PATH"]}


def _human(folder: Path, *arguments: str) -> str:
    return git(folder, *arguments, environment={**_path(), **HUMAN})


def _tip(bare: Path, branch: str) -> str | None:
    told = git(bare, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}").strip()
    return told or None


def _changed(bare: Path, before: str | None, after: str) -> list[str]:
    told = (
        ["diff", "--name-only", before, after]
        if before
        else ["ls-tree", "-r", "--name-only", after]
    )
    return git(bare, *told).split("\n")[:-1]
