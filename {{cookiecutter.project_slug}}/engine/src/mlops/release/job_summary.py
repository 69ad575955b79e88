"""What a release or reconciliation tells automation: outputs for later steps, a page for people."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from .deployment import Record
from .reconciliation import Reconciled
from .releasing import Released

OUTPUT, SUMMARY = "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"


def outputs(done: Sequence[Released]) -> dict[str, str]:
    """Return what later steps need of the last release, that of the last environment.

    Nothing where another run has released it: what is attested is what this one built or found.
    """
    if not done or done[-1].sbom is None:
        return {"released": "false"}
    last = done[-1]
    said = last.record
    return {
        "released": "true",
        "environment": said.environment,
        "model": said.bundle_digest,
        "image": said.image,
        "tag": said.tag,
        "digest": said.digest,
        "sbom": str(last.sbom),
        "built": str(last.built).lower(),
        "changed": str(last.deployed is not None).lower(),
    }


def page(done: Sequence[Released]) -> str:
    """Return what was released, as Markdown."""
    if not done:
        return "## Release\n\nNothing is declared: nothing to release.\n"
    rows = [_row(one.record, _became(one)) for one in done]
    head = ["## Release", "", "| environment | model | image | |", "|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def _row(said: Record, became: str) -> str:
    model = f"{said.name} `{said.bundle_digest[:12]}`"
    cells = (said.environment, model, f"`{said.pinned}`", became)
    return f"| {' | '.join(cells)} |"


def _became(one: Released) -> str:
    if one.sbom is None:
        return "a later commit is released already"
    if one.deployed is None:
        return "as before"
    return "built and deployed" if one.built else "deployed without a build"


def differences(found: Sequence[Reconciled], repaired: bool) -> str:
    """Return what differed from the declarations, as Markdown."""
    rows = [f"- {one.environment}: {each}" for one in found for each in one.differences]
    if not rows:
        return "## Reconciliation\n\nRegistry, MLflow and branches are as declared.\n"
    what = "Repaired" if repaired else "Not as declared"
    return "\n".join(["## Reconciliation", "", f"{what}:", "", *rows]) + "\n"


def tell(values: Mapping[str, str], text: str) -> None:
    """Append outputs and page to the files that automation names; elsewhere there are none."""
    _append(OUTPUT, "".join(f"{name}={value}\n" for name, value in values.items()))
    _append(SUMMARY, text)


def _append(variable: str, text: str) -> None:
    if name := os.environ.get(variable):
        with Path(name).open("a", encoding="utf-8") as stream:
            stream.write(text)
