"""`mlops gate` as one run: the code and the policy that judge come from the policy's commit.

The run that a person starts has the branch's code. It takes src/, conf/ and params.yaml out of
git as they are at the policy's commit, and starts itself again from there.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from ..bundle import verdict
from ..compute.backend import backend
from ..errors import ProjectError
from ..git import extraction
from ..git.repository import Repository
from .request import GateError, Origin, Request

REQUEST = "MLOPS_GATE_REQUEST"
EXIT = {"passed": 0, "rejected": 1}
COULD_NOT = 2

# Nothing is imported from the project's own folder but its environment: not the working tree's
# src/, which an editable installation adds, nor a stray module beside it.
START = """
import os, sys
source, root, *sys.argv[1:] = sys.argv[1:]
def inside(path, folder):
    return (os.path.realpath(path) + os.sep).startswith(os.path.realpath(folder) + os.sep)
sys.path[:] = [p for p in sys.path if not inside(p, root) or inside(p, sys.prefix)]
sys.path[:0] = [source, os.path.join(source, '../../src')]
class Judged:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "project":
            raise ModuleNotFoundError("what judges imports nothing of what is judged", name=name)
sys.meta_path.insert(0, Judged())
try:
    from mlops.cli import main
except Exception as error:
    print(f"mlops gate: the code that judges does not start ({error!r})", file=sys.stderr)
    sys.exit(2)
sys.exit(main())
"""


class UnjudgedError(GateError):
    """The run that was to judge has already said why it could not."""


def run(
    repository: Repository,
    against: str,
    policy: str | None,
    report: Path,
    rederive: bool = False,
) -> dict[str, Any]:
    """Judge candidate/, write the report and return it; raises where it could not be judged."""
    verdict.clear(report)
    try:
        if (request := handed_over()) is None:
            return _begun(repository, against, policy, report, rederive)
        return _heard(repository, request, report)
    except ProjectError:
        raise
    except Exception as error:  # the promise is a sentence, whatever happens
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise GateError(f"this cannot be judged ({reason}): mend that and try again") from error


def handed_over() -> Request | None:
    """Return what the run that started this one has prepared; None in the first run."""
    given = os.environ.get(REQUEST)
    if given is None:
        return None
    request = msgspec.json.decode(given, type=Request)
    own = Path(__file__).resolve().is_relative_to(Path(request.folder).resolve())
    return request if own else None


def _begun(
    repository: Repository, against: str, policy: str | None, report: Path, rederive: bool
) -> dict[str, Any]:
    champion = Origin(against, repository.commit_of(against))
    law = champion if policy is None else Origin(policy, repository.commit_of(policy))
    with tempfile.TemporaryDirectory(prefix="gate-") as folder:
        repository.extract(law.commit, extraction.JUDGE, Path(folder))
        request = Request(champion, law, folder, rederive=rederive)
        if not (Path(folder) / verdict.GATE).is_file():
            return _heard(repository, msgspec.structs.replace(request, code="branch"), report)
        return _delegated(repository, request, report)


def _heard(repository: Repository, request: Request, report: Path) -> dict[str, Any]:
    from . import judge, markdown, page

    with backend():
        content = judge.judge(repository, request)
    verdict.write(report, content, markdown.markdown(content), page.page(content))
    return content


def _delegated(repository: Repository, request: Request, report: Path) -> dict[str, Any]:
    """Have the code of the policy's commit judge, and believe its report, not its exit code."""
    command = [sys.executable, "-E", "-P", "-B", "-c", START]
    source, home = str(Path(request.folder) / verdict.ENGINE), str(repository.root.resolve())
    arguments = ["gate", "--against", request.against.ref, "--report", str(report.resolve())]
    done = subprocess.run(
        [*command, source, home, *arguments],
        cwd=repository.root,
        env={**os.environ, REQUEST: msgspec.json.encode(request).decode()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    if done.returncode == COULD_NOT:
        raise UnjudgedError(f"the gate of {request.policy.ref} has said why it could not judge")
    if done.returncode not in EXIT.values():
        raise GateError(
            f"the gate of {request.policy.ref} ended with {done.returncode} and no verdict: look "
            "at what it printed, and at the memory of this machine"
        )
    content = verdict.read(report / verdict.REPORT)
    if done.returncode != EXIT[content["verdict"]]:
        verdict.clear(report)
        raise GateError(
            f"the gate of {request.policy.ref} said {content['verdict']} and ended with "
            f"{done.returncode}: run it again"
        )
    return content
