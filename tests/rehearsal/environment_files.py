"""The files by which a step talks to the runner: GITHUB_ENV, _OUTPUT, _PATH and _STEP_SUMMARY."""

from dataclasses import dataclass
from pathlib import Path

from .workflow import WorkflowError


@dataclass(frozen=True)
class Files:
    """The files of one step."""

    env: Path
    output: Path
    path: Path
    summary: Path

    @classmethod
    def create(cls, folder: Path) -> "Files":
        """Make them, empty."""
        folder.mkdir(parents=True, exist_ok=True)
        made = cls(*(folder / name for name in ("env", "output", "path", "summary")))
        for file in (made.env, made.output, made.path, made.summary):
            file.write_text("")
        return made

    @property
    def environment(self) -> dict[str, str]:
        """The variables that name them."""
        return {
            "GITHUB_ENV": str(self.env),
            "GITHUB_OUTPUT": str(self.output),
            "GITHUB_PATH": str(self.path),
            "GITHUB_STEP_SUMMARY": str(self.summary),
        }


def read(file: Path) -> dict[str, str]:
    """Return the pairs of a file: `name=value`, or `name<<END`, lines, `END`."""
    pairs: dict[str, str] = {}
    lines = iter(file.read_text(encoding="utf-8").splitlines())
    for line in lines:
        if not line:
            continue
        name, equals, value = line.partition("=")
        before, sign, end = line.partition("<<")
        if sign and (not equals or len(before) < len(name)):
            value_lines = []
            for inner in lines:
                if inner == end:
                    break
                value_lines.append(inner)
            else:
                raise WorkflowError(f"{end!r} does not end the value of {before!r}")
            name, value = before, "\n".join(value_lines)
        elif not equals:
            raise WorkflowError(f"{line!r} is no pair of a name and a value")
        pairs[name] = value
    return pairs


def variables(file: Path) -> dict[str, str]:
    """Return what a step adds to the environment; what GitHub does not allow is refused."""
    pairs = read(file)
    for name in pairs:
        if name == "NODE_OPTIONS" or name.startswith(("GITHUB_", "RUNNER_")):
            raise WorkflowError(f"{name} cannot be set through GITHUB_ENV")
    return pairs
