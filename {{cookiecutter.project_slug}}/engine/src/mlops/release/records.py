"""Which record of a deployment branch counts: whoever may push a branch can write one.

One counts if its commit is on the line of main and declares what is recorded, and if tag and files
are those that this commit describes. What does not count is written over.
"""

from collections.abc import Container, Iterable
from tomllib import TOMLDecodeError

from ..git.repository import Repository, RepositoryError
from . import branch, challenger, deployment, evidence, image
from .declaration import DeclarationError, declared
from .deployment import Deployed, DeploymentError, Record

MAIN = "main"
Bases = Iterable[str | None]  # what may stand in for the image that the Dockerfile starts from


def line(repository: Repository, commit: str) -> set[str]:
    """Return the line of main; of a commit where there is no main."""
    return set(repository.line(branch.tip(repository, MAIN) or commit))


def doubt(
    repository: Repository, now: Deployed, environment: str, known: Container[str], bases: Bases
) -> str | None:
    """Return why what a branch says does not count; None where it does. `known` is main's line."""
    said = now.record
    if said is None:
        return "has no record of a release"
    if said.commit not in known:
        return f"follows {said.commit[:12]}, which is not on {MAIN}"
    if reason := undeclared(repository, said, environment, bases):
        return reason
    if not deployment.stands(repository, now, said):
        return f"has other files than {said.commit[:12]} describes"
    return None


def undeclared(repository: Repository, said: Record, environment: str, bases: Bases) -> str | None:
    """Return in what a record is not what its commit declares and describes; None for nothing."""
    commit = said.commit[:12]
    try:
        one = declared(repository, said.commit, environment)
        place = evidence.image(repository, said.commit)
        second = challenger.beside(repository, said.commit, environment, said.bundle_digest)
        digest = second.experiment.challenger if second else None
        known = (repository, said.commit, place, said.bundle_digest)
        tags = {
            image.describe(*known, runtime, base, digest).tag
            for runtime in image.LOCKS
            for base in bases
        }
    except (DeclarationError, RepositoryError, image.ImageError, TOMLDecodeError):
        return f"follows {commit}, which declares nothing that can be read"
    declaration = one.declaration if one else None
    recorded = (environment, said.name, said.bundle_digest, said.image)
    if declaration is None or recorded != (
        *(said.environment, declaration.name, declaration.bundle_digest, place),
    ):
        return f"records {said.name} {said.bundle_digest[:12]}, which {commit} does not declare"
    if said.tag not in tags:
        return f"records the image {said.tag}, which {commit} does not describe"
    return None


def check_line(repository: Repository, now: Deployed | None, commit: str, bases: Bases) -> None:
    """Raise DeploymentError where what runs was declared on another line than this commit's.

    A commit is verified by its first parent. Where somebody pushed a merge with its parents the
    wrong way round, that is the branch that was merged, with the policy that it brought.
    """
    said = now.record if now else None
    if said is None or said.commit in repository.line(commit):
        return
    if not repository.is_ancestor(said.commit, commit):
        return
    if undeclared(repository, said, said.environment, bases):
        return
    place = deployment.name(repository, said.environment)
    raise DeploymentError(
        f"{place} runs what {said.commit[:12]} declares, which {commit[:12]} does not follow by "
        "first parents: merge into main again, not main into the branch; or, where somebody wrote "
        f"{place} by hand, `git revert` that there"
    )
