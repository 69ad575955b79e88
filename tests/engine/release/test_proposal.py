"""A proposal: whether there is a new model, and what a person reads about it."""

from pathlib import Path
from typing import Any

import pytest
from sweeps import some

from mlops.release.proposal import LONGEST, REFUSED, ProposalError, known, page, verify

DECLARED = "deploy/production"


def test_what_no_environment_has_is_new(second: Any) -> None:
    assert not known(second.repository, "main")
    second.branch("middle", "other")
    assert "already" in known(second.repository, "main")


def test_a_first_model_is_new(first: Any) -> None:
    assert not known(first.repository, "main")


@pytest.mark.parametrize("lock", [None, "schema: '2.0'\n", "[", "schema: '2.0'\nstages: {}\n"])
def test_without_a_candidate_the_remedy_is_named(second: Any, lock: str | None) -> None:
    if lock is None:
        second.git("rm", "-q", "dvc.lock")
    else:
        second.write("dvc.lock", lock)
    second.commit()
    with pytest.raises(ProposalError, match="dvc repro"):
        known(second.repository, "main")


def test_the_gate_leaves_alone_what_is_served(
    second: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    report = second.root / "reports/gate/gate.json"
    assert report.exists()
    second.branch("middle", "other")
    assert second.mlops("gate", "--against", "main", "--if-new") == 0
    assert "nothing to judge" in capsys.readouterr().out
    assert not report.exists()
    second.branch("poor", "third")
    assert second.mlops("gate", "--against", "main", "--if-new") == 1


def test_a_revert_needs_no_verdict(second: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Though what it brings back is worse than what is served: that is for people to decide."""
    assert second.mlops("promote") == 0
    second.merge()
    second.git("checkout", "-q", "-b", "back")
    second.git("revert", "--no-edit", "-m", "1", "HEAD")
    second.put("middle")
    assert "brings back" in known(second.repository, "main")
    assert second.mlops("gate", "--against", "main", "--if-new") == 0
    assert second.mlops("promote", "--against", "main") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert verify(second.repository, "main") == ["production"]
    assert "brings back" in page(second.repository, "main", "HEAD")


def test_part_of_a_revert_needs_one(second: Any) -> None:
    assert second.mlops("promote") == 0
    second.merge()
    second.git("checkout", "-q", "-b", "back")
    second.git("revert", "--no-edit", "-m", "1", "HEAD")
    second.put("poor")  # not what the declaration that came back points to
    assert known(second.repository, "main") == ""
    second.put("middle")
    second.replace(f"{DECLARED}/release.yaml", "format: 1", "format: 1 ")
    second.commit()
    assert second.mlops("verify", "--against", "main") == 2


def test_a_promotion_verifies(second: Any) -> None:
    assert verify(second.repository, "main") == []
    assert second.mlops("promote") == 0
    assert verify(second.repository, "main") == ["production"]
    assert second.mlops("verify", "--against", "main") == 0


@pytest.mark.parametrize("name", some(["champion.dvc", "release.yaml", "gate.json"], every=2))
def test_an_edited_declaration_does_not(
    second: Any, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert second.mlops("promote") == 0
    path = second.root / DECLARED / name
    text = path.read_text()
    digit = next(sign for sign in text if sign.isdigit() and sign != "9")
    path.write_text(text.replace(digit, "9", 1))
    second.commit()
    assert second.mlops("verify", "--against", "main") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_declaration_that_is_gone_does_not(
    second: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    second.git("rm", "-q", "-r", DECLARED)
    second.commit()
    assert second.mlops("verify", "--against", "main") == 2
    assert "declares nothing here" in capsys.readouterr().err


def test_the_page_of_a_judgment(second: Any) -> None:
    since = second.git("rev-parse", "HEAD")
    assert second.mlops("promote") == 0
    text = page(second.repository, "main", since)
    assert text.startswith((second.root / "reports/gate/gate.md").read_text())
    assert f"- `{second.git('rev-parse', '--short', 'HEAD')}` Promote churn" in text
    (second.root / "reports/gate/gate.md").write_text("x" * 2 * LONGEST)
    assert len(page(second.repository, "main", since)) < 65_536


def test_the_page_where_nothing_was_judged(second: Any) -> None:
    (second.root / "reports/gate/gate.md").unlink()
    assert page(second.repository, "main", "HEAD").startswith("## Not judged")
    second.branch("middle", "other")
    assert page(second.repository, "main", "HEAD").startswith("## Nothing to judge")
    assert page(second.repository, "main", "HEAD", failed=True).startswith("## Not judged")


def test_a_maintainer_of_a_fork_is_told_what_to_do(
    second: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ("proposal", "--against", "main", "--since", "HEAD", "--fork", "--out", "page.md")
    assert second.mlops(*told) == 1
    assert "For a maintainer" in capsys.readouterr().out
    assert "For a maintainer" in Path(second.root, "page.md").read_text()
    assert second.mlops(*told, "--failed") == 0  # rejected: for its author
    second.branch("middle", "other")
    assert second.mlops(*told) == 0
    assert "For a maintainer" not in capsys.readouterr().out.rpartition("## ")[2]
    assert second.mlops("gate", "--against", "main", "--if-new") == 0
    assert second.mlops(*told, "--failed") == 1  # whatever failed, it was not judged
    assert "Not judged" in capsys.readouterr().out


def test_the_page_of_a_queue(second: Any, capsys: pytest.CaptureFixture[str]) -> None:
    told = ("proposal", "--against", "main", "--since", "HEAD", "--queue")
    (second.root / "reports/gate/gate.md").unlink()
    assert second.mlops(*told) == 1  # declared by nobody
    assert "up to date with main" in capsys.readouterr().out
    assert second.mlops("promote") == 0
    assert second.mlops(*told) == 0
    assert "declares holds on what main is with it." in capsys.readouterr().out
    assert second.mlops(*told, "--failed") == 1
    assert "**For its author.**" in capsys.readouterr().out
    second.write(f"reports/gate/{REFUSED}", "the data are not there: push them\n")
    assert second.mlops(*told, "--failed") == 1
    assert "## Not judged\n\nThe data are not there: push them." in capsys.readouterr().out
