"""The judgment: one candidate, one policy, every rule, one report."""

import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..bundle import contents, manifest, verdict
from ..bundle.reading import CANDIDATE
from ..config.settings import Settings
from ..data import prepared
from ..errors import ProjectError
from ..evaluation.evaluate import HOLDOUT, check_holdout
from ..git import repository
from . import champion as champions
from . import overview, policy, provenance, results, sandbox, scoring
from .case import Case, Judged
from .champion import Champion
from .policy import Policy
from .request import GateError, Request
from .results import Entry
from .rule import Finding


def judge(request: Request, root: Path = Path()) -> dict[str, Any]:
    """Judge candidate/ and return the sealed report; raises where it cannot be judged."""
    started = time.perf_counter()
    folder = root / CANDIDATE
    made = contents.read(folder).manifest
    settings = _settings(folder, request)
    law, own = _policies(request, settings, root)
    with tempfile.TemporaryDirectory(prefix="champion-") as place:
        champion = champions.fetch(request.against.commit, Path(place) / champions.NAME, root)
        encoder = sandbox.encoder(root, folder, settings.data, settings.features)
        features_of = "branch" if isinstance(encoder, sandbox.SandboxEncoder) else "judge"
        try:
            candidate = scoring.judged(folder, encoder, root / HOLDOUT)
            case, checks, unscored = _case(root, request, settings, law, candidate, champion)
            found = [results.judged(name, rule, case, unscored) for name, rule in law.rules.items()]
            content = {
                "format": verdict.FORMAT,
                "verdict": "rejected",
                "pending": [],
                "reasons": [],
                "against": msgspec.to_builtins(request.against),
                "policy": provenance.policy(request, law, own),
                "judge": provenance.judge(request),
                "head": repository.commit(root=root),
                "candidate": provenance.bundle(folder, made) | {"features_of": features_of},
                "champion": provenance.champion(champion),
                "holdout": provenance.holdout(case),
                "metrics": overview.metrics(case),
                "metrics_resamples": overview.resamples(case),
                "slices": overview.worst(case),
                **provenance.since(champion, folder, made),
                "checks": checks,
                "rules": [entry for entry, _ in found],
            }
        finally:
            if isinstance(encoder, sandbox.SandboxEncoder):
                encoder.stop()
    ruled = [*content["checks"], *content["rules"]]
    content |= {
        "verdict": verdict.verdict(ruled),
        "pending": verdict.pending(ruled),
        "reasons": _reasons(ruled),
    }
    seconds = {entry["name"]: round(taken, 3) for entry, taken in found}
    total = round(time.perf_counter() - started, 3)
    return verdict.sealed({**content, "timings": {"seconds": total, "rules": seconds}})


def _settings(folder: Path, request: Request) -> Settings:
    """Return the candidate's settings, which the judging code has to understand."""
    try:
        return scoring.settings(folder)
    except ProjectError as error:
        raise GateError(
            f"the code of {request.policy.ref} cannot read the candidate's settings ({error}): "
            "merge the change of the code first, or have the branch judge itself with "
            "`--policy HEAD`, which the report shows"
        ) from error


def _policies(request: Request, settings: Settings, root: Path) -> tuple[Policy, Policy | str]:
    """Return the policy that judges, and the branch's own or why there is none."""
    task = settings.data.task
    try:
        own: Policy | str = policy.compose(root, task, "this branch")
    except Exception as error:  # it does not judge: whatever is wrong with it is only told
        own = " ".join(str(error).split()) or type(error).__name__
    if request.code == "branch" and not (Path(request.folder) / "conf/gate").is_dir():
        if isinstance(own, str):
            raise GateError(own)
        return own, own
    return policy.compose(Path(request.folder), task, request.policy.ref), own


def _case(
    root: Path,
    request: Request,
    settings: Settings,
    law: Policy,
    candidate: Judged,
    champion: Champion | None,
) -> tuple[Case, list[Entry], str]:
    """Return the case, the checks of both bundles, and why the champion could not be scored."""
    columns = prepared.read(root / HOLDOUT, settings.data)
    _check_target(settings, columns)
    target = prepared.target(columns, settings.data)
    check_holdout(settings, target)
    judged, findings, unscored = None, [_first(request)], ""
    if champion is not None:
        judged, findings, unscored = _rescored(champion, candidate, settings, root / HOLDOUT)
    case = Case(
        root,
        settings,
        candidate,
        judged,
        columns,
        target,
        law.settings.seed,
        law.settings.resamples,
        law.settings.confidence,
        request.against.commit,
        request.rederive,
    )
    own = [
        *results.found(lambda: [_contract(candidate, settings)]),
        *results.found(lambda: [scoring.predictions(candidate)]),
        *results.found(lambda: [scoring.metrics(candidate, target, settings.evaluation.measured)]),
        *results.found(lambda: [scoring.golden(candidate)]),
    ]
    checks = [
        {"name": "candidate", **results.entry(own)},
        {"name": "champion", **results.entry(findings)},
    ]
    return case, checks, unscored


def _rescored(
    champion: Champion, candidate: Judged, settings: Settings, holdout: Path
) -> tuple[Judged | None, list[Finding], str]:
    """Score the champion on today's rows; whatever keeps it from that rejects the candidate."""
    try:
        judged = champions.rescored(champion, settings.data, holdout)
    except Exception as error:  # whatever a bundle of another day may raise
        reason = " ".join(str(error).split()) or type(error).__name__
        return None, [Finding("rejected", f"it cannot be scored on today's rows: {reason}")], reason
    rows = len(judged.predictions)
    findings = [Finding("passed", f"it was scored again, on the same {rows:,} rows", "holdout")]
    if champion.digest == manifest.identity(candidate.folder):
        same = "the candidate is the champion itself: there is nothing to promote"
        findings.append(Finding("rejected", same, "bundle"))
    return judged, [*findings, *results.found(lambda: [scoring.golden(judged)])], ""


def _first(request: Request) -> Finding:
    reason = f"{request.against.ref} declares none: the first model, which absolute rules judge"
    return Finding("not applicable", reason)


def _contract(candidate: Judged, settings: Settings) -> Finding:
    if candidate.bundle.contract == settings.data:
        return Finding("passed", "its contract is that of its settings", "contract")
    return Finding("rejected", "its contract.json is not that of its resolved.yaml", "contract")


def _check_target(settings: Settings, columns: dict[str, np.ndarray]) -> None:
    """Raise for a target that is missing somewhere, or no declared class."""
    values, labels = columns[settings.data.target], settings.data.labels
    wrong = ~np.isfinite(values) if not labels else ~np.isin(values, np.arange(len(labels)))
    if wrong.any():
        raise GateError(
            f"{int(wrong.sum())} holdout rows have no valid {settings.data.target}: run `dvc repro`"
        )


def _reasons(ruled: list[Entry]) -> list[dict[str, str]]:
    """Return every rejection by entry and part; and if nothing judged, that."""
    found = [
        {"name": entry["name"], "part": finding.get("part", ""), "reason": finding["reason"]}
        for entry in ruled
        for finding in entry["findings"]
        if finding["verdict"] == "rejected"
    ]
    if not any(entry.get("rule") and entry["verdict"] == "passed" for entry in ruled):
        reason = "no rule of the policy passed: what nothing vouches for is not promoted"
        found.append({"name": "policy", "part": "", "reason": reason})
    return found
