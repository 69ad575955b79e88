"""Pages whose commands are run as they stand, with stand-ins for what a machine may lack."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from baked import ended

# Answers every question by Enter; the project takes the environment of these tests for its own.
PIPX = """\
#!/bin/bash -e
test "$1 $2" = "run cookiecutter"
shift 2
yes "" 2>/dev/null | {python} -m cookiecutter --config-file {config} "$@"
mkdir -p {project}/.venv/bin
ln -s /bin/true {project}/.venv/bin/python
echo "command = python3 -m venv {project}/.venv" > {project}/.venv/pyvenv.cfg
touch {project}/.venv/bin/activate {project}/.venv/.booted {project}/.venv/.installed
"""


def blocks(page: str, language: str = "") -> list[str]:
    """Return the code blocks of a page that are in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def bare(block: str) -> str:
    """Return a block without what is said in it: comments, and what stands after a path."""
    return re.sub(r"[ \t]+#.*$|^(#.*)$", "", block, flags=re.MULTILINE)


def pipx(beside: Path, config: Path, project: Path) -> Path:
    """Write a `pipx` that has cookiecutter, and return its folder."""
    folder = beside / "stand-ins"
    folder.mkdir(exist_ok=True)
    text = PIPX.format(python=sys.executable, config=config, project=project)
    (folder / "pipx").write_text(text)
    (folder / "pipx").chmod(0o755)
    return folder


def walk(scripts: Sequence[str], folder: Path, environment: dict[str, str]) -> str:
    """Run blocks one after the other in one shell, as somebody does who follows a page."""
    told = "".join(f"echo '-- {at}'\n{script}\n" for at, script in enumerate(scripts, 1))
    told = f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{told}"
    code, said = ended(("bash", "-e", "-o", "pipefail", "-c", told), folder, environment)
    assert code == 0, f"{code}\n{said}"
    return said
