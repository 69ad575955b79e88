"""What a branch proposes: the model that its base serves already, or another one."""

import tempfile
from pathlib import Path

import yaml

from ..bundle import verdict
from ..bundle.reading import CANDIDATE
from ..bundle.verdict import MARKDOWN
from ..errors import ProjectError
from ..files import parse_yaml
from ..git import dvc
from ..git.repository import Repository, short
from . import challenger, environments, evidence
from .declaration import NAME, declared, paths

LOCK = "dvc.lock"
REFUSED = "refused.md"  # beside the reports of the gate: why there is none
LONGEST = 60_000  # signs: GitHub refuses comments above 65,536


class ProposalError(ProjectError):
    """A branch does not say what it proposes."""


def known(repository: Repository, against: str) -> str:
    """Return why the candidate that dvc.lock of HEAD pins needs no verdict; nothing if it does.

    The commit serves it already, or served it before and HEAD brings that declaration back.
    """
    found = _pinned(repository)
    base, head = (repository.commit_of(ref) for ref in (against, "HEAD"))
    first = environments.order(repository, base)[0]
    standing = declared(repository, base, first)
    as_before = repository.blobs(head, paths(first)) == repository.blobs(base, paths(first))
    since = None if as_before else _judged_before(repository, head, first, base)
    if standing is not None and standing.pointer.md5 == found and (as_before or since):
        return f"{short(against)} serves this candidate already"
    if held := _held(repository, base, head, first, found):
        return held
    own = declared(repository, head, first) if since else None
    if since and own and own.pointer.md5 == found:
        name = short(against)
        return f"this brings back what {name} declared by {since[:12]}, where it was judged"
    return ""


def _judged_before(repository: Repository, head: str, environment: str, base: str) -> str | None:
    """Return the commit of the base whose declaration HEAD brings back, if all was judged then."""
    since = environments.restored(repository, head, environment, base)
    before = declared(repository, since, environment) if since else None
    return None if before is None or evidence.pending(before) else since


def _held(repository: Repository, base: str, head: str, environment: str, pointer: str) -> str:
    """Return why no verdict is asked for: an experiment decides on the candidate, or has."""
    one = challenger.challenged(repository, head, environment)
    before = challenger.challenged(repository, base, environment)
    stays = one and before and one.pointer == before.pointer and not before.pending
    if one and stays and one.pointer.md5 == pointer:
        return f"this candidate is the challenger of {environment}, whose experiment decides"
    standing = declared(repository, head, environment)
    if standing is None or one is not None:
        return ""
    champion = standing.declaration.bundle_digest
    path = challenger.lost(repository, head, environment, champion, pointer)
    return f"this candidate did not win against the champion ({path})" if path else ""


def is_declared(repository: Repository) -> bool:
    """Say whether HEAD declares the candidate that its dvc.lock pins."""
    return bool(known(repository, "HEAD"))


def verify(repository: Repository, against: str) -> list[str]:
    """Verify what HEAD declares and a commit does not; return the environments.

    Champion, policy and order are those of that commit, as they will be at the merge; of what it
    declared before and HEAD brings back, those of then. A challenger that is new is verified as
    well. Raises a ProjectError for a declaration that does not hold, or that is gone.
    """
    base, head = (repository.commit_of(ref) for ref in (against, "HEAD"))
    changed = []
    for environment in dict.fromkeys(
        [*environments.order(repository, base), *environments.order(repository, head)]
    ):
        if _has_challenger(repository, environment, base, head):
            changed.append(f"the challenger of {environment}")
        files = paths(environment)
        if repository.blobs(base, files) == repository.blobs(head, files):
            continue
        since = _judged_before(repository, head, environment, base)
        commit, law = (since, None) if since else (head, base)
        with tempfile.TemporaryDirectory(prefix="declared-") as folder:
            out = Path(folder, NAME)
            if not environments.verify(repository, commit, environment, out, law):
                raise environments.EnvironmentsError(
                    f"{environment} declares nothing here, and does at {short(against)}: bring its "
                    "files back"
                )
        changed.append(environment)
    return changed


def _has_challenger(repository: Repository, environment: str, base: str, head: str) -> bool:
    """Verify the challenger that HEAD declares and a commit does not, and say if there is one."""
    one = challenger.challenged(repository, head, environment)
    files = challenger.paths(environment)
    if one is None or repository.blobs(base, files[1:]) == repository.blobs(head, files[1:]):
        return False
    with tempfile.TemporaryDirectory(prefix="declared-") as folder:
        challenger.verify(repository, one, head, Path(folder, challenger.NAME), base)
    return True


def page(
    repository: Repository,
    against: str,
    since: str,
    fork: bool = False,
    failed: bool = False,
    queue: bool = False,
) -> str:
    """Return, as Markdown, what became of the candidate and what the branch since `since` got.

    With `fork` or `queue`, what somebody has to do instead, as automation cannot write there;
    `failed` says that a step before this one did.
    """
    parts = [_verdict(repository, against, failed, queue)]
    added = [f"- `{commit[:7]}` {title}" for commit, title in repository.titles(since)]
    if queue and acts(repository, against, since, failed):
        parts.append(
            "**For its author.** What was merged before it changed what this branch was judged by "
            "or made from: bring the branch up to date with main, where its workflow makes and "
            "judges it anew, then add it to the queue again."
        )
    elif added and not fork:
        parts.append("\n".join(["Added to the branch:\n", *added, ""]))
    if fork and acts(repository, against, since, failed):
        parts.append(
            "**For a maintainer.** Automation neither reads the remote's secrets nor writes to a "
            "fork, so this candidate is not promoted here. After a review of the code, bring the "
            "branch into this repository (`gh pr checkout NUMBER`, then `git push origin HEAD`) "
            "and open a pull request from there."
        )
    return "\n\n".join(parts) + "\n"


def acts(repository: Repository, against: str, since: str, failed: bool = False) -> bool:
    """Say whether a branch that automation cannot write to needs somebody who can.

    It lacks results or their declaration, or they could not be made; what was judged and
    rejected needs its author.
    """
    if failed:
        return not (repository.root / verdict.FOLDER / MARKDOWN).is_file()
    lacks = repository.commit_of("HEAD") != repository.commit_of(since)
    return lacks or not (known(repository, against) or is_declared(repository))


def _verdict(repository: Repository, against: str, failed: bool, queue: bool) -> str:
    report = repository.root / verdict.FOLDER / MARKDOWN
    refused = repository.root / verdict.FOLDER / REFUSED
    if failed and refused.is_file():
        return f"## Not judged\n\n{_sentence(refused.read_text(encoding='utf-8').strip())}."
    if report.is_file():
        text = report.read_text(encoding="utf-8")
        cut = "\n\n… the whole of it is in the artefact `report`."
        return text if len(text) <= LONGEST else text[:LONGEST] + cut
    reason = "" if failed else known(repository, against)
    if queue and not failed and not reason:
        return "## Verified\n\nWhat the branch declares holds on what main is with it."
    if not reason:
        return "## Not judged\n\nThe log of the step that failed says why."
    return f"## Nothing to judge\n\n{_sentence(reason)}."


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _pinned(repository: Repository) -> str:
    text = repository.text_at(repository.commit_of("HEAD"), LOCK)
    try:
        found = dvc.pinned(parse_yaml(text or ""), CANDIDATE)
    except (yaml.YAMLError, LookupError, TypeError, AttributeError):
        found = None
    if found is None:
        raise ProposalError(f"{LOCK} of HEAD pins no {CANDIDATE}: run `dvc repro`, then commit")
    return found
