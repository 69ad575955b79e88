"""Whether what is still to come of a verdict can come after its declaration, or has to before."""

from ..bundle import verdict
from ..errors import ProjectError
from ..git.repository import Repository, short
from .declaration import Declared, paths
from .environments import TAKE_BACK
from .evidence import pending


class CompletionError(ProjectError):
    """A verdict that is declared here could never be completed."""


def check(repository: Repository, one: Declared, against: str, head: str, *, stands: bool) -> None:
    """Raise CompletionError where the base of a pending verdict moves with its declaration.

    Judged against the branch that is checked out, the candidate is the champion itself as soon as
    it is declared: nothing completes the verdict then. `stands` says that `head` declares it.
    """
    if not (coming := pending(one)) or not _moves(repository, against):
        return
    settle = f"`{verdict.again(against)}`, then `mlops promote`"
    wrong = (
        f"{', '.join(coming)} of the verdict is still to come, and it was judged against the "
        f"branch that is checked out ({short(against)})"
    )
    if stands:
        [step, *_] = repository.changed(head, paths(one.declaration.environment))
        alone = len(step.parents) == 1
        back = f"`git revert --no-edit {step.commit[:12]}`, then {settle}" if alone else TAKE_BACK
        raise CompletionError(f"{wrong}, which declares it already: {back}")
    branch = "`git switch --create first`, then `mlops promote`"
    other = "" if against in ("HEAD", "@") else f"promote on one of its own ({branch}), or "
    raise CompletionError(
        f"{wrong}, where the candidate would be the champion itself: {other}complete it before "
        f"({settle})"
    )


def _moves(repository: Repository, ref: str) -> bool:
    """Say whether a name is that of the branch that a new commit moves, or HEAD."""
    asked = ("rev-parse", "--symbolic-full-name", "--verify", "--end-of-options")
    return repository.git(*asked, ref) == repository.git(*asked, "HEAD")
