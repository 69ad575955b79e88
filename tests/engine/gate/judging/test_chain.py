"""Small losses add up over promotions: the candidate is compared with earlier champions too."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from mlops.config.settings import Split, load
from mlops.gate import chain

from .conftest import CHAMPION, POLICY, Project, copied

RULE = "  earlier_champions: {margins: {roc_auc: 0.015}, sides: two, champions: 2}\n"


@pytest.fixture(scope="module")
def declined(built: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The good model, then the middle one, as champion of main."""
    project = copied(built, tmp_path_factory.mktemp("declined"))
    project.write("conf/gate/standard.yaml", POLICY + RULE)
    for which in ("good", "middle"):
        project.put(which)
        project.promote()
    return project


def judged(project: Project, which: str) -> list[dict[str, Any]]:
    project.put(which)
    named = [one for one in project.judged()["rules"] if one["name"] == "earlier_champions"]
    return list(named[0]["findings"])


def test_what_all_promotions_lost_is_judged(declined: Project) -> None:
    (found,) = judged(declined, "poor")
    assert found["verdict"] == "rejected"
    assert "of the champion of 2" in found["reason"]
    assert "what it gains over all promotions since" in found["reason"]


def test_the_best_of_them_may_come_back(declined: Project) -> None:
    (found,) = judged(declined, "good")
    assert found["verdict"] == "not applicable"
    assert "no champion before the champion" in found["reason"]


def test_declarations_are_those_of_the_line_of_main(declined: Project) -> None:
    repository = declined.repository
    (one,) = chain.declared(repository, "main", "roc_auc", 1.0, "")
    assert "champion" in one.text
    assert chain.declared(repository, "main", "roc_auc", 1.0, since="2999-01-01") == []
    assert chain.declared(repository, one.commit, "roc_auc", 1.0, "") == []


def test_what_neither_cache_nor_remote_has_is_said(declined: Project) -> None:
    earliest = chain.declared(declined.repository, "main", "roc_auc", 1.0, "")[0]
    digest = earliest.text.partition("md5: ")[2].split()[0]
    shutil.rmtree(declined.root / CHAMPION)
    for place in (declined.root / ".dvc/cache", declined.root.parent / "storage"):
        Path(place, "files/md5", digest[:2], digest[2:]).unlink()
    said, none = judged(declined, "poor")
    assert (said["verdict"], said["part"]) == ("not applicable", "unscored")
    assert "neither cache nor remote has what deploy/production/champion.dvc" in said["reason"]
    assert none["verdict"] == "not applicable"


def test_the_best_by_their_own_verdicts_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {"e": ("now", 0.7), "d": ("two", 0.8), "c": ("lost", None), "b": ("one", 0.9)}
    held["a"] = ("two", 0.1)  # the same as later: declared then for the first time

    def at(_: Any, commit: str, path: str) -> str | None:
        pointer, value = held[commit]
        rows = [] if value is None else [{"metric": "roc_auc", "candidate": {"value": value}}]
        return pointer if path == chain.POINTER else msgspec.json.encode({"metrics": rows}).decode()

    monkeypatch.setattr(chain, "_at", at)
    steps = [SimpleNamespace(commit=commit, when="2026-01-01T") for commit in held]
    repository: Any = SimpleNamespace(changed=lambda *_: steps)
    found = chain.declared(repository, "e", "roc_auc", 1.0, "")
    assert [one.text for one in found] == ["one", "two", "lost"]
    assert chain.declared(repository, "e", "roc_auc", -1.0, "")[0].text == "two"


@pytest.mark.parametrize(
    ("was", "now", "counts"),
    [
        (Split("hash"), Split("hash"), True),
        (Split("hash", salt="other"), Split("hash"), False),
        (Split("time", cutoff="2025-03-01"), Split("time", cutoff="2025-06-01"), True),
        (Split("time", cutoff="2025-09-01"), Split("time", cutoff="2025-06-01"), False),
    ],
)
def test_who_was_trained_on_todays_rows_is_not_compared_with(
    trained: Path, was: Split, now: Split, counts: bool
) -> None:
    settings = load(trained / "resolved.yaml")
    one, other = (msgspec.structs.replace(settings, split=split) for split in (was, now))
    assert (chain._trained_on(one, other) is None) == counts
