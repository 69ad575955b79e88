"""Only a bundle that the gate passed is declared, by one commit, and nothing else is touched."""

import json
import shutil
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from parts import put
from sweeps import some, thorough

from mlops.bundle import manifest

FILES = ["champion.dvc", "gate.json", "release.yaml"]
REPORT = "reports/gate/gate.json"
Harm = Callable[[Any], None]


def said(workshop: Any, ref: str = "HEAD", environment: str = "production") -> dict[str, Any]:
    return dict(yaml.safe_load(workshop.declared(ref, environment)["release.yaml"]))


def told(workshop: Any, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Promote, which must not, and return the one sentence; nothing may have changed."""
    before = workshop.git("rev-parse", "HEAD"), workshop.git("status", "--porcelain")
    capsys.readouterr()
    assert workshop.mlops("promote", *arguments) == 2
    assert (workshop.git("rev-parse", "HEAD"), workshop.git("status", "--porcelain")) == before
    sentence = capsys.readouterr().err
    assert sentence.startswith("mlops promote: ")
    assert sentence.count("\n") == 1
    return sentence


def test_a_first_model_is_declared_by_one_commit(first: Any) -> None:
    before = first.git("rev-parse", "HEAD")
    assert first.mlops("promote") == 0
    assert first.git("rev-parse", "HEAD~1") == before
    assert first.git("diff", "--name-only", "HEAD~1").split() == [
        f"deploy/production/{name}" for name in FILES
    ]
    assert (said(first)["manifest"], said(first)["champion"]) == (first.bundle_digest("good"), None)
    assert first.git("status", "--porcelain") == ""
    assert (first.root / "deploy/production/release.yaml").read_text().startswith("format: 1\n")
    assert first.git("log", "-1", "--format=%s") == (
        f"Promote churn {first.bundle_digest('good')[:12]} to production"
    )


def test_what_is_declared_is_an_ordinary_dvc_pointer(first: Any) -> None:
    assert first.mlops("promote") == 0
    shutil.rmtree(first.root / ".dvc/cache")
    first.dvc("pull", "--quiet", "deploy/production/champion.dvc")
    pulled = manifest.bundle_digest(first.root / "deploy/production/champion")
    assert pulled == first.bundle_digest("good")
    text = (first.root / "deploy/production/champion.dvc").read_text()
    first.dvc("commit", "--quiet", "--force", "deploy/production/champion.dvc")
    assert (first.root / "deploy/production/champion.dvc").read_text() == text
    assert first.git("status", "--porcelain") == ""


def test_a_second_names_the_one_before(second: Any) -> None:
    assert second.mlops("promote") == 0
    assert said(second)["champion"] == second.bundle_digest("middle")
    report = json.loads(second.declared()["gate.json"])
    assert said(second)["verdict"] == report["digest"]
    assert "timings" not in report


def test_again_is_nothing_to_do(second: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert second.mlops("promote") == 0
    once = second.git("rev-parse", "HEAD")
    shutil.rmtree(second.root / "reports")
    assert second.mlops("promote") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert second.gate() == 0  # another report on the same, with other timings
    assert second.mlops("promote") == 0
    assert second.git("rev-parse", "HEAD") == once
    merged = second.merge()
    assert second.mlops("promote", "--against", "main") == 0
    assert second.git("rev-parse", "HEAD") == merged


def test_other_changes_stay_staged_and_unstaged_as_they_are(second: Any) -> None:
    second.write("staged.txt", "staged\n")
    second.write("params.yaml", "staged\n")
    second.git("add", "staged.txt", "params.yaml")
    second.write("staged.txt", "and changed since\n")
    second.write("untracked.txt", "x\n")
    second.git("rm", "-q", "--cached", "dvc.yaml")
    before = second.git("status", "--porcelain")
    assert second.mlops("promote") == 0
    assert second.git("status", "--porcelain") == before
    assert (second.root / "staged.txt").read_text() == "and changed since\n"
    assert second.git("diff", "--name-only", "HEAD~1", "HEAD").count("\n") == 2


def test_on_no_branch(second: Any) -> None:
    second.git("checkout", "-q", "--detach")
    branch = second.git("rev-parse", "branch")
    assert second.mlops("promote") == 0
    assert second.git("rev-parse", "HEAD~1") == branch
    assert second.git("rev-parse", "branch") == branch


def no_report(second: Any) -> None:
    shutil.rmtree(second.root / "reports")


def rejected(second: Any) -> None:
    second.put("poor")
    assert second.gate() == 1


def edited(second: Any) -> None:
    text = (second.root / REPORT).read_text()
    second.write(REPORT, text.replace('"rows": 1', '"rows": 2', 1))


def damaged(second: Any) -> None:
    second.write(REPORT, (second.root / REPORT).read_text()[:-9])


def replayed(second: Any) -> None:
    second.put("poor")


def main_moved(second: Any) -> None:
    report = (second.root / REPORT).read_text()
    second.edit("good", "liked", lambda content: content.update(note="liked"))
    second.promoted("liked", "other")
    second.merge("other")
    second.git("checkout", "-q", "branch")
    second.put("good")
    second.write(REPORT, report)


def older_champion(second: Any) -> None:
    main_moved(second)
    second.git("merge", "-q", "-X", "ours", "--no-edit", "main")
    second.put("good")


def older_policy(second: Any) -> None:
    on_main(second, "conf/gate/standard.yaml", "at_least: 0.6,", "at_least: 0.61,")


def own_policy(second: Any) -> None:
    second.replace("conf/gate/standard.yaml", "at_least: 0.6,", "at_least: 0.5,")
    second.commit()
    assert second.mlops("gate", "--against", "main", "--policy", "HEAD") == 0


def own_judge(second: Any) -> None:
    second.replace("engine/src/mlops/gate/request.py", '"""What', '"""Whatever')
    second.commit()
    assert second.mlops("gate", "--against", "main", "--policy", "HEAD") == 0


def bundle_edited(second: Any) -> None:
    with (second.root / "candidate/card.md").open("a") as stream:
        stream.write("x")


def bundle_rewritten(second: Any) -> None:
    content = manifest.read(second.root / "candidate")
    content.pop("files")
    bundle_edited(second)
    manifest.write(second.root / "candidate", content)


def another_pinned(second: Any) -> None:
    shutil.copy(second.root / "trained/middle.lock", second.root / "dvc.lock")
    second.commit()


def lock_uncommitted(second: Any) -> None:
    shutil.copy(second.root / "trained/middle.lock", second.root / "dvc.lock")


def lock_untracked(second: Any) -> None:
    second.git("rm", "-q", "--cached", "dvc.lock")
    second.git("commit", "-q", "-m", "x")


def lock_broken(second: Any) -> None:
    second.write("dvc.lock", (second.root / "dvc.lock").read_text()[:-60] + "\n{")
    second.commit()


def holdout_changed(second: Any) -> None:
    place = second.root / "data/prepared/holdout"
    put(pq.read_table(place).slice(1), place)


def own_file_in_the_way(second: Any) -> None:
    second.write("deploy/production/release.yaml", "mine\n")


def merging(second: Any) -> None:
    (second.root / ".git/MERGE_HEAD").write_text(second.git("rev-parse", "main") + "\n")


def no_remote(second: Any) -> None:
    shutil.rmtree(second.root.parent / "storage")
    (second.root.parent / "storage").write_text("")


def declaration_edited_on_main(second: Any) -> None:
    middle, poor = (second.bundle_digest(which) for which in ("middle", "poor"))
    on_main(second, "deploy/production/release.yaml", f"manifest: {middle}", f"manifest: {poor}")
    second.git("merge", "-q", "--no-edit", "main")


def on_main(workshop: Any, name: str, old: str, new: str) -> None:
    workshop.git("checkout", "-q", "main")
    workshop.replace(name, old, new)
    workshop.commit()
    workshop.git("checkout", "-q", "branch")


@pytest.mark.parametrize(
    ("harm", "sentence"),
    some(
        [
            (no_report, "no report of the gate"),
            (rejected, "rejected the candidate"),
            (edited, "was changed after it was written"),
            (damaged, "no report of the gate"),
            (replayed, "judged another candidate"),
            (main_moved, "main has promoted since this branch left it: `git merge main`"),
            (older_champion, "judged another champion"),
            (older_policy, "judged another policy"),
            (own_policy, "judged another policy"),
            (own_judge, "merge a change of code or policy first"),
            (bundle_edited, "not what its manifest says (card.md)"),
            (bundle_rewritten, "dvc.lock pins"),
            (another_pinned, "dvc.lock pins"),
            (lock_uncommitted, "dvc.lock is not committed as it is"),
            (lock_untracked, "dvc.lock is not committed as it is"),
            (lock_broken, "dvc.lock is missing or cut off: run `make repro`"),
            (holdout_changed, "judged another holdout"),
            (own_file_in_the_way, "deploy/production/release.yaml differs from HEAD"),
            (merging, "a merge is under way here"),
            (no_remote, "failed"),
            (declaration_edited_on_main, "judged another champion"),
        ],
        every=3,
    ),
)
def test_what_the_gate_did_not_pass_here_and_now_is_refused(
    second: Any, harm: Harm, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    harm(second)
    assert sentence in told(second, capsys)


def test_nobody_commits(
    second: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    second.git("config", "user.useConfigOnly", "true")
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME"):
        monkeypatch.delenv(name)
    monkeypatch.delenv("GIT_COMMITTER_EMAIL")
    assert "git config user.name" in told(second, capsys)


def test_an_unknown_environment(second: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert "choose from production" in told(second, capsys, "--environment", "stage")


@pytest.fixture
def staged(built: Any, copy: Any) -> Any:
    """A project with staging before production, and a passed candidate on a branch."""
    workshop = copy(built)
    workshop.write("deploy/environments.yaml", "environments: [staging, production]\n")
    workshop.commit()
    workshop.branch("good")
    assert workshop.gate() == 0
    return workshop


def test_environments_are_gone_through_in_order(
    staged: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "promote to it first" in told(staged, capsys, "--environment", "production")
    assert staged.mlops("promote") == 0
    assert sorted(staged.declared(environment="staging")) == FILES
    assert "staging declares none" in told(staged, capsys, "--environment", "production")
    staged.merge()
    staged.git("checkout", "-q", "-B", "onward", "main")
    shutil.rmtree(staged.root / "reports")
    shutil.rmtree(staged.root / "candidate")
    assert staged.mlops("promote", "--environment", "production") == 0
    assert said(staged)["manifest"] == staged.bundle_digest("good")
    assert said(staged)["verdict"] == said(staged, environment="staging")["verdict"]


@thorough
def test_production_asks_for_a_new_verdict_where_its_champion_changed(
    staged: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    staged.mlops("promote")
    staged.merge()
    staged.git("checkout", "-q", "-b", "onward")
    staged.mlops("promote", "--environment", "production")
    staged.merge("onward")
    staged.edit("good", "better", lambda content: content.update(note="better"))
    staged.promoted("better")
    staged.merge()
    on_main(staged, "conf/gate/standard.yaml", "at_least: 0.6,", "at_least: 0.61,")
    staged.git("checkout", "-q", "-B", "again", "main")
    assert "another policy" in told(staged, capsys, "--environment", "production")
    assert staged.gate() == 0
    arguments = ("--environment", "production", "--report", "reports/gate")
    assert staged.mlops("promote", *arguments) == 0
    assert said(staged)["champion"] == staged.bundle_digest("good")


def test_a_project_that_is_a_folder_of_a_repository(first: Any) -> None:
    place = first.root.parent / "whole"
    (place / "part").mkdir(parents=True)
    (first.root / ".git").rename(place / ".git")
    first.root.rename(place / "part/project")
    inner = type(first)(place / "part/project")
    inner.write("../other.txt", "x\n")
    inner.git("-C", "../..", "add", "--all")
    inner.git("-C", "../..", "commit", "-q", "-m", "moved")
    inner.git("branch", "-q", "-f", "main", "HEAD")
    inner.put("good")
    assert inner.gate() == 0
    assert inner.mlops("promote") == 0
    assert said_in(inner)["manifest"] == inner.bundle_digest("good")
    assert inner.git("diff", "--name-only", "HEAD~1").split() == [
        f"part/project/deploy/production/{name}" for name in FILES
    ]


def said_in(inner: Any) -> dict[str, Any]:
    return dict(yaml.safe_load(inner.git("show", "HEAD:./deploy/production/release.yaml")))
