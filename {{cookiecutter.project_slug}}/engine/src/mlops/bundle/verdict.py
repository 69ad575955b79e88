"""gate.json: the verdict with everything that it rests on, under one digest."""

import hashlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ProjectError
from ..files import tree_sha256, write_text
from ..git.repository import short

FORMAT = 1
FOLDER = Path("reports/gate")
# Where the code that judges is in a commit, and the file that says that it has a gate.
ENGINE = Path("engine/src")
GATE = ENGINE / "mlops/gate/rerun.py"
CODE = (ENGINE / "mlops", Path("src/policy"))
REPORT, MARKDOWN, PAGE = "gate.json", "gate.md", "gate.html"
OUTSIDE = ("digest", "timings")  # what the digest does not cover: itself, and what a clock said
VERDICTS = ("passed", "rejected")
SUBJECTS = ("candidate", "champion", "policy", "holdout")


class VerdictError(ProjectError):
    """A report of the gate is missing, or is not as the gate wrote it."""


def sealed(content: dict[str, Any]) -> dict[str, Any]:
    """Return the report with the digest of its content."""
    return {**content, "digest": digest(content)}


def digest(content: dict[str, Any]) -> str:
    """Return the SHA-256 of the canonical JSON of a report, without its digest and timings."""
    covered = {key: value for key, value in content.items() if key not in OUTSIDE}
    return hashlib.sha256(canonical(covered)).hexdigest()


def judge_sha256(root: Path) -> str:
    """Return one SHA-256 over the code in `root` that judges: the engine's and the owner's."""
    parts = "".join(f"{place.as_posix()} {tree_sha256(root / place)}\n" for place in CODE)
    return hashlib.sha256(parts.encode()).hexdigest()


def canonical(content: Any) -> bytes:
    """Return JSON that is the same for the same content."""
    text = json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8")


def clear(folder: Path) -> None:
    """Remove an older report, so that it cannot be taken for that of a run that failed."""
    for name in (REPORT, MARKDOWN, PAGE):
        (folder / name).unlink(missing_ok=True)


def write(folder: Path, content: dict[str, Any], markdown: str, page: str) -> None:
    """Write the three reports, gate.json last."""
    write_text(folder / PAGE, page)
    write_text(folder / MARKDOWN, markdown)
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(folder / REPORT, text + "\n")


def read(path: Path) -> dict[str, Any]:
    """Return a report after checking its digest, and its verdict against its own findings.

    The digest shows an edit. It is no signature: whoever can write the file can write another
    one that holds, so where that matters, judge again.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refused)
        stated, kind, form = content["digest"], content["verdict"], content["format"]
        entries = [*content["checks"], *content["rules"]]
        found = digest(content)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise VerdictError(f"{path} is no report of the gate: run `make gate` again") from error
    if form != FORMAT or kind not in VERDICTS:
        raise VerdictError(f"{path} has a format or verdict unknown here: run `make gate` again")
    if stated != found:
        raise VerdictError(f"{path} was changed after it was written: run `make gate` again")
    if kind != verdict([*entries]) or content.get("pending", []) != pending(entries):
        raise VerdictError(f"{path} contradicts its own findings: run `make gate` again")
    return dict(content)


def confirmed(path: Path, judged: Mapping[str, str | None]) -> dict[str, Any]:
    """Return a report that passed, of exactly the candidate, champion, policy and holdout given.

    `judged` has a SHA-256 for each of SUBJECTS, the champion's None for a first model. Raises
    VerdictError for the honest report of something else.
    """
    content = read(path)
    stated = {name: (content.get(name) or {}).get("sha256") for name in SUBJECTS}
    if other := [name for name in SUBJECTS if stated[name] != judged[name]]:
        raise VerdictError(
            f"{path} judged another {', '.join(other)} than there is now: run `make gate` again"
        )
    if content["verdict"] != "passed":
        raise VerdictError(f"{path} rejected the candidate: mend what it names first")
    return content


def verdict(entries: list[dict[str, Any]]) -> str:
    """Return `passed` where nothing was rejected and at least one rule of the policy passed.

    A rule that is pending does neither: `pending` says what is still to come.
    """
    found = [entry["verdict"] for entry in entries]
    judged = [entry["verdict"] for entry in entries if entry.get("rule")]
    refused = any(one not in ("passed", "pending", "not applicable") for one in found)
    return "rejected" if refused or "passed" not in judged else "passed"


def pending(entries: list[dict[str, Any]]) -> list[str]:
    """Return the entries whose verdict is still to come."""
    return [entry["name"] for entry in entries if entry["verdict"] == "pending"]


def again(against: str) -> str:
    """Return what completes a verdict against a branch, which may be called anything."""
    return f"mlops gate --rederive --against {shlex.quote(short(against))}"


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
