"""The judgment: one candidate, one policy, every rule, one report."""

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..bundle import manifest, verdict
from ..bundle.reading import CANDIDATE
from ..config.settings import Settings
from ..contract import Task
from ..errors import ProjectError
from ..evaluation.evaluate import HOLDOUT
from ..git.repository import Repository, short
from ..metrics import catalogue
from . import candidate as candidates
from . import chain, overview, policy, provenance, results, sandbox, scoring
from . import champion as champions
from .candidate import Candidate, CandidateError
from .case import Case, Earlier, Judged
from .champion import Champion
from .policy import Policy
from .request import GateError, Request
from .results import Entry
from .rule import Finding
from .rules.comparison import EarlierChampions
from .sandbox import Confined


def judge(repository: Repository, request: Request) -> dict[str, Any]:
    """Judge candidate/ and return the sealed report; raises where it cannot be judged."""
    started = time.perf_counter()
    root = repository.root
    made = candidates.read(root / CANDIDATE, request.policy.ref)
    law, own = _policies(root, request, made.task)
    with ExitStack() as stack:
        head = repository.commit_of("HEAD")
        bundle = _started(repository, made, head, law.settings.answer_seconds, stack)  # meanwhile
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="champion-"))
        champion = champions.fetch(repository, request.against.commit, Path(place) / champions.NAME)
        held = "" if isinstance(bundle, CandidateError) else bundle.confinement
        report = {
            "format": verdict.FORMAT,
            "verdict": "rejected",
            "pending": [],
            "reasons": [],
            "against": msgspec.to_builtins(request.against),
            "policy": provenance.policy(request, law, own),
            "judge": provenance.judge(request) | {"confinement": held},
            "head": head,
            "candidate": provenance.candidate(made) | {"engine": provenance.engine(root)},
            "champion": provenance.champion(champion),
            "holdout": None,
            **provenance.since(champion, made),
        }
        try:
            if isinstance(bundle, CandidateError):
                raise bundle
            settings = _known(bundle.settings)
            rows = candidates.rows(root, settings)
            report["holdout"] = provenance.holdout(root, settings, *rows)
            candidate = candidates.answers(made.folder, bundle, root)
        except CandidateError as error:
            told, seconds = _silent(made.task, error), {}
        else:
            given = (repository, request, settings, law, candidate, champion)
            case, checks, unscored = _case(*given, rows, stack)
            found = [results.judged(name, rule, case, unscored) for name, rule in law.rules.items()]
            unknown = _unknown(bundle.settings, candidate)
            told = _told(case, checks, unknown, [entry for entry, _ in found])
            known = None if case.earlier is None else len(case.earlier)
            report["holdout"]["earlier"] = known
            seconds = {entry["name"]: round(taken, 3) for entry, taken in found}
    ruled = [*told["checks"], *told["rules"]]
    report |= {
        **told,
        "verdict": verdict.verdict(ruled),
        "pending": verdict.pending(ruled),
        "reasons": _reasons(ruled),
    }
    total = round(time.perf_counter() - started, 3)
    return verdict.sealed({**report, "timings": {"seconds": total, "rules": seconds}})


def _started(
    repository: Repository, made: Candidate, head: str, seconds: float, stack: ExitStack
) -> Confined | CandidateError:
    """Return the candidate in a process of its own, or why there is nothing to start."""
    if made.settings is None:
        return CandidateError("files", made.fault)
    try:
        return stack.enter_context(sandbox.confined(repository, made.folder, head, seconds))
    except ProjectError as error:
        return CandidateError("answers", f"it does not answer: {error}")


def _told(
    case: Case, checks: list[Entry], unknown: dict[str, Any], rules: list[Entry]
) -> dict[str, Any]:
    """Return the part of the report that rests on answers."""
    return {
        "metrics": overview.metrics(case),
        "metrics_resamples": overview.resamples(case),
        "slices": overview.worst(case),
        "unknown_metrics": unknown,
        "checks": checks,
        "rules": rules,
    }


def _silent(task: Task, error: CandidateError) -> dict[str, Any]:
    """Return that part for a candidate without answers: nothing to measure or to rule on."""
    finding = Finding("rejected", str(error), error.part)
    return {
        "metrics": overview.undefined(task),
        "metrics_resamples": 0,
        "slices": [],
        "unknown_metrics": {"names": [], "primary": None},
        "checks": [{"name": "candidate", **results.entry([finding])}],
        "rules": [],
    }


def _known(settings: Settings) -> Settings:
    """Return settings whose primary metric the judging code knows: the task's first, otherwise.

    A metric that the branch brings is known from the merge on.
    """
    known, asked = catalogue.allowed(settings.data.task), settings.evaluation
    if asked.primary in known:
        return settings
    measured = tuple(dict.fromkeys([asked.primary, *asked.metrics]))
    led = msgspec.structs.replace(asked, primary=known[0], metrics=list(measured))
    return msgspec.structs.replace(settings, evaluation=led)


def _unknown(asked: Settings, candidate: Judged) -> dict[str, Any]:
    """Return what the branch measures that the judging code does not know yet."""
    names = scoring.unknown(candidate, asked.evaluation.measured)
    primary = asked.evaluation.primary
    return {"names": names, "primary": primary if primary in names else None}


def _policies(root: Path, request: Request, task: Task) -> tuple[Policy, Policy | str]:
    """Return the policy that judges, and the branch's own or why there is none."""
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
    repository: Repository,
    request: Request,
    settings: Settings,
    law: Policy,
    candidate: Judged,
    champion: Champion | None,
    rows: tuple[dict[str, np.ndarray], np.ndarray],
    stack: ExitStack,
) -> tuple[Case, list[Entry], str]:
    """Return the case, the checks of both bundles, and why the champion could not be scored."""
    columns, target = rows
    judged, findings, unscored = None, [_first(request)], ""
    if champion is not None:
        code = (request.against.commit, law.settings.answer_seconds)
        judged, findings, unscored = _rescored(
            repository, champion, code, candidate, settings, stack
        )
    before, untold = _before(repository, request, settings, law, candidate, judged)
    case = Case(
        repository,
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
        before,
        untold,
    )
    measured = candidate.bundle.settings.evaluation.measured
    own = [
        *results.found(lambda: [_contract(candidate, settings)]),
        *results.found(lambda: [scoring.predictions(candidate)]),
        *results.found(lambda: scoring.metrics(candidate, target, measured, request.policy.ref)),
        *results.found(lambda: [scoring.golden(candidate)]),
    ]
    checks = [
        {"name": "candidate", **results.entry(own)},
        {"name": "champion", **results.entry(findings)},
    ]
    return case, checks, unscored


def _rescored(
    repository: Repository,
    champion: Champion,
    code: tuple[str, float],
    candidate: Judged,
    settings: Settings,
    stack: ExitStack,
) -> tuple[Judged | None, list[Finding], str]:
    """Score the champion on today's rows; whatever keeps it from that rejects the candidate.

    It answers with the code of the commit that declares it, within the seconds beside that, until
    the stack is closed.
    """
    try:
        bundle = stack.enter_context(sandbox.confined(repository, champion.folder, *code))
        holdout = repository.root / HOLDOUT
        judged = champions.rescored(champion, bundle, settings.data, holdout)
    except Exception as error:  # whatever a bundle of another day may raise
        reason = " ".join(str(error).split()) or type(error).__name__
        return None, [Finding("rejected", f"it cannot be scored on today's rows: {reason}")], reason
    rows = len(judged.predictions)
    findings = [Finding("passed", f"it was scored again, on the same {rows:,} rows", "holdout")]
    if champion.bundle_digest == manifest.bundle_digest(candidate.folder):
        same = "the candidate is the champion itself: there is nothing to promote"
        findings.append(Finding("rejected", same, "bundle"))
    return judged, [*findings, *results.found(lambda: [scoring.golden(judged)])], ""


def _before(
    repository: Repository,
    request: Request,
    settings: Settings,
    law: Policy,
    candidate: Judged,
    champion: Judged | None,
) -> tuple[tuple[Earlier, ...], tuple[str, ...]]:
    """Return the champions before the champion that the policy asks for, as far as they answer."""
    asked = [rule for rule in law.rules.values() if isinstance(rule, EarlierChampions)]
    if not asked or champion is None:
        return (), ()
    if repository.is_shallow():
        return (), ("this clone has only the end of the history: `git fetch --unshallow`",)
    primary = settings.evaluation.primary
    better = 1.0 if catalogue.known()[primary].greater_is_better else -1.0
    most, since = max(rule.champions for rule in asked), min(rule.since for rule in asked)
    among = chain.declared(repository, request.against.commit, primary, better, since)
    seconds = law.settings.answer_seconds
    return chain.scored(repository, among, settings, most, seconds, candidate.folder)


def _first(request: Request) -> Finding:
    name = short(request.against.ref)
    reason = f"{name} declares none: the first model, which absolute rules judge"
    return Finding("not applicable", reason)


def _contract(candidate: Judged, settings: Settings) -> Finding:
    if candidate.bundle.contract == settings.data:
        return Finding("passed", "its contract is that of its settings", "contract")
    return Finding("rejected", "its contract.json is not that of its resolved.yaml", "contract")


def _reasons(ruled: list[Entry]) -> list[dict[str, str]]:
    """Return every rejection by entry and part; and if nothing judged, that."""
    found = [
        {"name": entry["name"], "part": finding.get("part", ""), "reason": finding["reason"]}
        for entry in ruled
        for finding in entry["findings"]
        if finding["verdict"] == "rejected"
    ]
    rules = [entry["verdict"] for entry in ruled if entry.get("rule")]
    if "passed" not in rules and (rules or not found):
        reason = "no rule of the policy passed: what nothing vouches for is not promoted"
        found.append({"name": "policy", "part": "", "reason": reason})
    return found
