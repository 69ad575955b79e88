"""A verdict of which something is still to come: declared on a laptop, released by nobody."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from sweeps import thorough

from mlops.bundle.verdict import VerdictError
from mlops.git import dvc
from mlops.release import environments
from mlops.release.proposal import known, verify

POLICY = "conf/gate/standard.yaml"
RULE = "\n  reproduced: {tolerance: 1.0e-4, minutes: 5}\n"


@pytest.fixture(scope="module")
def laid_down(crowned: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A policy with the rule on main, and a branch whose inputs make its candidate."""
    workshop = type(crowned).copied(crowned, tmp_path_factory.mktemp("laid"))
    workshop.git("checkout", "-q", "main")
    workshop.write(POLICY, (workshop.root / POLICY).read_text().rstrip() + RULE)
    out = {"md5": dvc.dvc_digest(workshop.root / "data/raw"), "path": "raw"}
    workshop.write("data/raw.dvc", yaml.safe_dump({"outs": [out]}))
    workshop.git("add", "--force", "data/raw.dvc")
    workshop.commit("Policy")
    workshop.branch("good")
    return workshop


@pytest.fixture
def laptop(laid_down: Any, copy: Callable[[Any], Any]) -> Any:
    """The candidate, gated and promoted where nobody made it again."""
    workshop = copy(laid_down)
    assert workshop.gate() == 0
    assert workshop.mlops("promote") == 0
    return workshop


def rederived(workshop: Any) -> int:
    return int(workshop.mlops("gate", "--against", "main", "--if-new", "--rederive"))


def pending(workshop: Any, ref: str = "HEAD") -> list[str]:
    return list(json.loads(workshop.declared(ref)["gate.json"])["pending"])


def test_a_laptop_declares_and_says_what_is_to_come(
    laid_down: Any, copy: Callable[[Any], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    workshop = copy(laid_down)
    assert workshop.gate() == 0
    assert "Still to come: reproduced" in capsys.readouterr().out
    assert workshop.mlops("promote") == 0
    assert "still to come: reproduced" in capsys.readouterr().out
    assert "Still to come: reproduced." in workshop.git("log", "-1", "--format=%b")
    assert pending(workshop) == ["reproduced"]
    assert workshop.mlops("promote") == 0
    assert "nothing to do" in capsys.readouterr().out


@thorough
def test_what_is_pending_is_not_verified_and_the_remedy_works(
    laptop: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert laptop.mlops("verify", "--against", "main") == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "mlops gate --rederive" in told
    assert known(laptop.repository, "main") == ""
    before = laptop.git("rev-parse", "HEAD")
    assert rederived(laptop) == 0
    assert laptop.mlops("promote", "--against", "main") == 0
    assert laptop.git("rev-parse", "HEAD~1") == before
    assert pending(laptop) == []
    assert verify(laptop.repository, "main") == ["production"]
    assert rederived(laptop) == 0
    assert laptop.mlops("promote", "--against", "main") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert laptop.git("rev-parse", "HEAD~1") == before


def test_another_pending_report_replaces_nothing(laptop: Any) -> None:
    head = laptop.git("rev-parse", "HEAD")
    assert laptop.gate() == 0
    assert laptop.mlops("promote") == 0
    assert laptop.git("rev-parse", "HEAD") == head


@thorough
def test_what_the_inputs_do_not_make_is_not_declared(
    laid_down: Any, copy: Callable[[Any], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """A bundle of other inputs passes on a laptop, and nowhere else."""
    workshop = copy(laid_down)
    workshop.put("good")
    workshop.replace("params.yaml", "max_iter: 60", "max_iter: 5")
    workshop.commit("Another experiment, the same candidate")
    assert workshop.gate() == 0
    assert rederived(workshop) == 1
    assert "predicts something else" in capsys.readouterr().out
    assert workshop.mlops("promote") == 2
    assert "rejected the candidate" in capsys.readouterr().err
    workshop.replace("params.yaml", "max_iter: 5", "max_iter: 60")
    workshop.commit("What made it")
    assert rederived(workshop) == 0
    assert workshop.mlops("promote") == 0


@thorough
def test_what_is_pending_is_not_released_and_comes_in_again(laptop: Any, tmp_path: Path) -> None:
    """Somebody merged it past the required check: it is taken back, and made again."""
    laptop.merge()
    with pytest.raises(VerdictError, match=r"`git revert`.* pull request"):
        environments.verify(laptop.repository, "HEAD", "production", tmp_path / "x")
    laptop.git("revert", "--no-edit", "-m", "1", "HEAD")
    assert environments.verify(laptop.repository, "HEAD", "production", tmp_path / "y")
    laptop.git("checkout", "-q", "-b", "again")
    laptop.git("revert", "--no-edit", "HEAD")
    laptop.put("good")
    assert pending(laptop) == ["reproduced"]
    assert known(laptop.repository, "main") == ""  # it came back, but was never judged to the end
    with pytest.raises(VerdictError, match="--rederive"):
        verify(laptop.repository, "main")
    assert rederived(laptop) == 0
    assert laptop.mlops("promote", "--against", "main") == 0
    assert verify(laptop.repository, "main") == ["production"]
    laptop.merge("again")
    assert environments.verify(laptop.repository, "HEAD", "production", tmp_path / "z")


def test_a_declaration_of_something_else_than_the_candidate_is_judged(laptop: Any) -> None:
    """The lock pins what main serves, so that the gate might look away."""
    laptop.put("middle")
    assert known(laptop.repository, "main") == ""
    assert rederived(laptop) == 1


def remedies(told: str) -> list[list[str]]:
    return [shlex.split(command) for command in re.findall(r"`([^`]+)`", told)]


def followed(workshop: Any, commands: list[list[str]]) -> None:
    for first, *rest in commands:
        done = workshop.mlops(*rest) if first == "mlops" else workshop.git(*rest)
        assert not done or first == "git", (first, rest)


@pytest.fixture
def on_base(laid_down: Any, copy: Callable[[Any], Any]) -> Any:
    """A candidate on main itself, judged against main, as before the first branch."""
    workshop = copy(laid_down)
    workshop.git("checkout", "-q", "main")
    workshop.git("merge", "-q", "--ff-only", "branch")
    assert workshop.gate() == 0
    return workshop


def refusal(workshop: Any, capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    head = workshop.git("rev-parse", "HEAD")
    capsys.readouterr()
    assert workshop.mlops("promote") == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "the branch that is checked out (main)" in told
    assert workshop.git("rev-parse", "HEAD") == head
    return remedies(told)


def test_the_base_itself_takes_no_verdict_that_could_not_be_completed_there(
    on_base: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    switch, promote, *_ = refusal(on_base, capsys)
    followed(on_base, [switch, promote])
    assert pending(on_base) == ["reproduced"]
    told = capsys.readouterr().out
    commands = [one for one in remedies(told.rpartition("still to come: ")[2]) if len(one) > 1]
    assert commands[0] == ["mlops", "gate", "--rederive", "--against", "main"]
    followed(on_base, commands)
    assert pending(on_base) == []


@thorough
def test_on_the_base_a_verdict_is_completed_before(
    on_base: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, gate, promote = refusal(on_base, capsys)
    followed(on_base, [gate, promote])
    assert pending(on_base) == []
    assert on_base.mlops("promote") == 0


@thorough
def test_what_the_base_declared_in_such_a_way_is_taken_back(
    on_base: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """As an engine did that did not look."""
    on_base.git("checkout", "-q", "-b", "first")
    assert on_base.mlops("promote") == 0
    on_base.git("checkout", "-q", "main")
    on_base.git("merge", "-q", "--ff-only", "first")
    followed(on_base, refusal(on_base, capsys))
    assert pending(on_base) == []
