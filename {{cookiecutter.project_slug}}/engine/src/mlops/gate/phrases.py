"""What every report of the gate says in the same words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..bundle.changes import SEARCH
from ..bundle.figures import shown
from ..bundle.verdict import again
from ..git.repository import short
from ..metrics.catalogue import known as known_metrics

Content = Mapping[str, Any]


def summary(content: Content, folder: Path) -> str:
    """Return the verdict and its reasons for a terminal."""
    lines = [f"{content['verdict']}: {folder / 'gate.md'}"]
    lines += [f"- {reason(one)}" for one in content["reasons"]]
    return "\n".join([*lines, *([f"- {coming(content)}"] if content.get("pending") else [])])


def coming(content: Content) -> str:
    """Return what is still to come before this can be released."""
    return (
        f"Still to come: {', '.join(content['pending'])}. Automation makes the candidate again "
        "from what is pinned before this can be released: "
        f"`{again(content['against']['ref'])}` does, and the workflow `model`."
    )


def reason(one: Content) -> str:
    """Return one rejection as a line."""
    part = f" ({one['part']})" if one["part"] else ""
    return f"{one['name']}{part}: {one['reason']}"


def lead(content: Content) -> str:
    """Return what was judged, in a sentence."""
    candidate, holdout = content["candidate"], content["holdout"]
    name, commit = short(content["against"]["ref"]), content["against"]["commit"][:12]
    other = f"against the champion of {name} ({commit})"
    if content["champion"] is None:
        other = f"which is the first model: {name} ({commit}) declares no champion"
    return f"{candidate['name']} ({candidate['task']}) on {_rows(holdout)}, {other}."


def _rows(holdout: Content | None) -> str:
    if holdout is None:
        return "no rows, since what the branch brings cannot be read"
    groups = (
        f" in {holdout['groups']:,} {holdout.get('units', 'groups')}" if holdout["groups"] else ""
    )
    known = holdout.get("earlier")
    came = f", {known:,} of which the champion was judged on" if known is not None else ""
    same = known == holdout["rows"]
    return f"{holdout['rows']:,} holdout rows{groups}{'' if same else came}"


def notes(content: Content) -> list[str]:
    """Return what a reviewer has to know before believing the verdict."""
    policy, found = content["policy"], [coming(content)] if content.get("pending") else []
    if few := (content["holdout"] or {}).get("few"):
        found.append(f"{few[0].upper()}{few[1:]}.")
    ref = f"{policy['ref']} ({policy['commit'][:12]})"
    if content["judge"]["code"] == "branch":
        found.append(
            f"This branch judged itself: {ref} has no gate yet. Read its code and its policy."
        )
    if policy["commit"] != content["against"]["commit"]:
        found.append(
            f"Policy and code are those of {ref}, which is not the commit that declares the "
            "champion: somebody asked for that."
        )
    branch = policy["branch"]
    if "error" in branch:
        found.append(
            f"This branch has a policy that the judging code does not take: {branch['error']}."
        )
    elif branch["changes"]:
        found.append(
            f"This branch changes the policy ({len(branch['changes'])} settings, below). It was "
            f"judged by the one of {ref}; the change holds from the merge on."
        )
    new = content.get("unknown_metrics") or {"names": [], "primary": None}
    if new["names"]:
        names = ", ".join(new["names"])
        found.append(
            f"This branch measures what {policy['ref']} does not know yet: {names}. Not checked; "
            "from the merge on it is."
        )
    if new["primary"]:
        found.append(
            f"Its primary metric, {new['primary']}, is one of them: this report leads with another."
        )
    held = content["judge"].get("confinement")
    if held == "nothing":
        found.append(
            "Nothing kept the code of the bundles from this machine's files: its kernel has "
            "neither Landlock nor namespaces. It ran in a process of its own, and saw no target."
        )
    elif held and "seccomp" not in held:
        found.append(
            "The code of the bundles could read no file of this machine's, but send data by UDP "
            "or to a local service: its kernel has no seccomp, or no filter is known for its "
            "processor."
        )
    engine = content["candidate"].get("engine")
    if engine and not engine["intact"]:
        found.append(
            f"engine/ of this branch is not as version {engine['version']} made it: somebody "
            "edited what an upgrade replaces."
        )
    if content["candidate"]["clean"] is False:
        found.append("The candidate was made with changes that no commit has.")
    return found


def of_search(found: Sequence[Content]) -> tuple[list[Content], list[Content]]:
    """Return the changes that make another model, and those of how one would be searched for."""
    search = [one for one in found if one["key"].startswith(SEARCH)]
    return [one for one in found if one not in search], search


def counted(search: Sequence[Content]) -> str:
    """Return how many settings of the search changed."""
    return f"and {len(search)} setting{'s' * (len(search) != 1)} of the search"


def digests(content: Content) -> list[tuple[str, str]]:
    """Return what was judged and by what, each with its SHA-256."""
    subjects = ("candidate", "champion", "policy", "judge", "holdout")
    named = {"judge": "code that judged"}
    found = [(named.get(s, s), (content[s] or {}).get("sha256") or "(none)") for s in subjects]
    return [("report", content["digest"]), *found]


def title(metric: str) -> str:
    """Return what a metric is called, with an arrow to where it is better."""
    known = known_metrics().get(metric)
    return metric if known is None else f"{known.title} {'↑' if known.greater_is_better else '↓'}"


def moved(row: Content) -> str:
    """Return what a slice gained over the champion, in words."""
    change = gained(row)
    return "undefined" if change is None else f"{change:+.2g}"


def gained(row: Content) -> float | None:
    """Return what a slice gained over the champion."""
    one, other = row["candidate"], row.get("champion")
    return None if one is None or other is None else one - other


def settings(given: Content) -> dict[str, str]:
    """Return those settings of a rule that were given a value, as they are written."""
    return {key: shown(value) for key, value in given.items() if value is not None}
