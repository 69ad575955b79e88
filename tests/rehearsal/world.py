"""A rehearsal with a clone and a workflow, for the tests of the rehearsal itself."""

import textwrap
from pathlib import Path

from rehearsal.github import git
from rehearsal.rehearsal import Rehearsal, _human
from rehearsal.results import Job, Run

RULESET = """{"rules": [{"type": "required_status_checks", "parameters": {
"strict_required_status_checks_policy": true,
"required_status_checks": [{"context": "one"}]}}]}"""


HEAD = """
name: w
on: {push: {branches: [main]}, pull_request: {branches: [main]}, workflow_dispatch: }
permissions: {}
defaults: {run: {shell: bash}}
"""


JOB = "runs-on: ubuntu-24.04"
HERE = 'GH_HOST="${GITHUB_SERVER_URL#*://}" '  # tells gh of the server, as in the workflows
GH = f"{HERE}gh"


class World(Rehearsal):
    """A rehearsal with a clone."""

    @property
    def clone(self) -> Path:
        """Where its author works."""
        return self.folder / "clone"

    def write(self, name: str, content: str) -> None:
        """Commit a file."""
        path = self.clone / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        git(self.clone, "add", "--all")
        _human(self.clone, "commit", "--quiet", "--allow-empty", "-m", name)

    def workflow(self, jobs: str, head: str = HEAD) -> None:
        """Commit the one workflow."""
        self.write(".github/workflows/w.yml", f"{head}jobs:\n{textwrap.indent(jobs, '  ')}")

    def run(self, jobs: str, head: str = HEAD) -> Run:
        """Push a workflow to main and run it."""
        self.workflow(jobs, head)
        (made,) = self.push(self.clone, "main")
        return made

    def job(self, *steps: str, extra: str = "permissions: {contents: read}") -> Job:
        """Run a workflow of one job with these scripts."""
        lines = "\n".join(f"- run: |\n{textwrap.indent(step, '    ')}" for step in steps)
        body = f"one:\n  {JOB}\n  {extra}\n  steps:\n{textwrap.indent(lines, '  ')}\n"
        return self.run(body).jobs["one"]
