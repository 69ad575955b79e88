"""The template that a project says it comes from, and its versions, in a clone in git's folder."""

import json
import re
from pathlib import Path
from typing import NamedTuple

from ..git.repository import Repository, RepositoryError

FILE, CLONE, HEAD = ".template.json", "mlops-template", "refs/mlops/head"
RELEASE = re.compile(r"v?\d+(\.\d+)*")  # a tag that is no pre-release
REFS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", f"+HEAD:{HEAD}")


class TemplateError(RepositoryError):
    """The template is not to be found."""


class Template(NamedTuple):
    """A clone of the template, and where others find it, if anywhere."""

    clone: Repository
    address: str | None

    def newest(self) -> str:
        """Return the tag of the last release; where there is none, the end of the main branch."""
        tags = self.clone.git("for-each-ref", "--format=%(refname:strip=2)", "refs/tags").split()
        releases = [tag for tag in tags if RELEASE.fullmatch(tag)]
        return max(releases, key=_numbers, default=self.clone.commit_of(HEAD))

    def commit(self, ref: str) -> str:
        """Return the commit of a tag, before that of a branch of the same name, or of a hash."""
        for name in (f"refs/tags/{ref}", f"refs/heads/{ref}", ref):
            try:
                asked = ("--verify", "--end-of-options", f"{name}^{{commit}}")
                return self.clone.git("rev-parse", "--quiet", *asked).strip()
            except RepositoryError:
                continue
        raise TemplateError(
            f"the template has no version {ref!r}: see which it has (`git ls-remote "
            f"{self.address or 'ADDRESS'}`)"
        )


def _numbers(tag: str) -> tuple[int, ...]:
    return tuple(int(number) for number in tag.removeprefix("v").split("."))


def fetched(repository: Repository, address: str | None) -> Template:
    """Return the template at `address`, or else where the project says, with all its versions."""
    found = address or _stated(repository.root / FILE)
    if not found:
        raise TemplateError(
            f"{FILE} names no template: say where it is, like `make upgrade "
            "TEMPLATE=https://github.com/OWNER/REPOSITORY`"
        )
    if found.startswith("-"):
        raise TemplateError(f"{found!r} is no address of a template: correct {FILE}")
    if "://" not in found and Path(found).is_dir():
        found = str(Path(found).resolve())
    common = repository.git("rev-parse", "--git-common-dir").strip()
    clone = Repository((repository.root / common).resolve() / CLONE)
    if not (clone.root / "HEAD").is_file():
        repository.git("init", "--quiet", "--bare", str(clone.root))
    told = ("--quiet", "--no-tags", "--prune", "--no-auto-maintenance", "--end-of-options")
    try:
        clone.git("fetch", *told, found, *REFS)
    except RepositoryError as error:
        raise TemplateError(
            f"the template cannot be fetched from {found} ({error}): mend that, or name another "
            "address (TEMPLATE=…)"
        ) from error
    return Template(clone, found if _is_address(found) else None)


def _stated(file: Path) -> str | None:
    try:
        said = json.loads(file.read_text(encoding="utf-8"))["template"]
    except FileNotFoundError:
        return None
    except (ValueError, LookupError, TypeError) as error:
        raise TemplateError(
            f"{FILE} does not say where this project comes from ({error!r}): restore it from an "
            "earlier commit, or remove it and name the template (TEMPLATE=…)"
        ) from error
    return None if said is None else str(said)


def _is_address(text: str) -> bool:
    """Say whether it means the same on every machine; a folder of this one does not."""
    return "://" in text or re.match(r"[\w.-]+@[\w.-]+:", text) is not None
