"""`mlops monitor` on a bundle and a log: exit codes, the same bytes twice, and what is refused."""

import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from recorded import record, report

from mlops.bundle import alerts, contents
from mlops.bundle.reading import parsed
from mlops.cli import main
from mlops.data import prepared
from mlops.monitoring.rule import RULES
from mlops.policy.explanation import explanation
from mlops.policy.rule import PolicyError

LAST = date(2026, 3, 29)
DAYS = 28
TASKS = ("binary", "multiclass", "regression")


class Service(NamedTuple):
    """A folder with conf/ and params.yaml, and in it a bundle and its log of four weeks."""

    root: Path
    digest: str

    def monitor(self, *arguments: str, at: date = LAST) -> int:
        asked = ["--log", "log", "--bundle", "candidate", "--at", str(at), "--out", "out"]
        return main(["monitor", *asked, *arguments])

    @property
    def report(self) -> dict[str, Any]:
        return alerts.read(self.root / "out/monitor.json")


@pytest.fixture(scope="module")
def services(
    promising: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Return a service of a task whose traffic is as its holdout was; not to be changed."""
    made: dict[str, Path] = {}

    def of(task: str) -> Path:
        if task not in made:
            made[task] = written(promising(task), tmp_path_factory.mktemp(f"service-{task}"))
        return made[task]

    return of


def written(project: Path, root: Path) -> Path:
    for name in ("conf", "candidate"):
        shutil.copytree(project / name, root / name)
    shutil.copy(project / "params.yaml", root)
    content = contents.read(root / "candidate")
    loaded = parsed(content)
    contract = loaded.contract
    names = [*loaded.encoder.inputs, contract.target]
    rows = prepared.table(project / "data/prepared/holdout", names)
    random = np.random.default_rng(0)
    for back in range(DAYS):
        day = LAST - timedelta(days=back)
        chosen = rows.take(random.integers(0, rows.num_rows, 150))
        units = [f"{at:016x}" for at in random.integers(0, 1 << 60, 150)]
        record(root / "log", loaded, content.bundle_digest, day, chosen, units=list(units))
        true = chosen.column(contract.target).to_pylist()
        told = [str(value).lower() if contract.task == "binary" else value for value in true]
        report(root / "log", day, day + timedelta(days=1), dict(enumerate(told)))
    return root


@pytest.fixture
def service(
    services: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Service]:
    def of(task: str) -> Service:
        root = tmp_path / task
        shutil.copytree(services(task), root)
        monkeypatch.chdir(root)
        return Service(root, contents.read(root / "candidate").bundle_digest)

    return of


@pytest.fixture
def binary(service: Callable[[str], Service]) -> Service:
    return service("binary")


def changed(of: Service, name: str, value: Any, share: float = 1.0, day: date = LAST) -> None:
    """Record a day once more, with a value in a share of the rows of a column."""
    content = contents.read(of.root / "candidate")
    loaded = parsed(content)
    names = [*loaded.encoder.inputs]
    folder = of.root / "log/predictions" / f"date={day}" / f"model={of.digest[:12]}"
    (part,) = folder.glob("*.parquet")
    rows = prepared.table(part, names)
    column = rows.column(name).to_pylist()
    for at in range(int(share * len(column))):
        column[at] = value
    at = rows.schema.get_field_index(name)
    typed = pa.array(column, rows.schema.field(name).type)
    record(of.root / "log", loaded, content.bundle_digest, day, rows.set_column(at, name, typed))


def settings(of: Service, text: str) -> None:
    """Write monitoring settings into params.yaml."""
    with (of.root / "params.yaml").open("a") as file:
        file.write(f"monitoring: {{use: standard, {text}}}\n")


@pytest.mark.parametrize("task", TASKS)
def test_traffic_as_the_holdout_was_is_quiet(
    service: Callable[[str], Service], capsys: pytest.CaptureFixture[str], task: str
) -> None:
    of = service(task)
    settings(of, "maturity_days: 7")
    assert of.monitor() == 0
    content = of.report
    assert (content["verdict"], content["alerts"], content["task"]) == ("quiet", [], task)
    assert content["log"]["rows"] == DAYS * 150
    assert content["log"]["outcomes"] == (DAYS - 7) * 150
    kinds = {entry["name"]: entry["verdict"] for entry in content["rules"]}
    assert kinds["performance"] == kinds["feature_drift"] == kinds["bounds"] == "quiet"
    assert "quiet: out/monitor.html" in capsys.readouterr().out
    assert {path.name for path in (of.root / "out").iterdir()} == {
        "monitor.json",
        "monitor.md",
        "monitor.html",
    }


def test_the_same_log_and_policy_give_the_same_bytes(binary: Service) -> None:
    settings(binary, "maturity_days: 7")
    changed(binary, "kind", None)
    read = (binary.root / "out/monitor.json").read_bytes
    assert binary.monitor() == 1
    fresh = read()
    assert binary.monitor() == 1
    assert read() == fresh  # from kept counts
    shutil.rmtree(binary.root / "log/counts")
    assert binary.monitor(at=LAST - timedelta(days=9)) == 0
    assert binary.monitor() == 1
    assert read() == fresh  # in other parts
    shutil.rmtree(binary.root / "log/predictions")
    shutil.rmtree(binary.root / "log/feedback")
    assert binary.monitor() == 1
    assert read() == fresh  # without any row


def test_a_column_that_is_gone_is_an_alert(
    binary: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(binary, "kind", None)
    assert binary.monitor() == 1
    told = binary.report["alerts"]
    assert {(one["rule"], one["part"], one["window"]) for one in told} == {
        ("missing", "kind", "day, week"),
    }
    assert told[0]["kind"] == "quality"
    assert told[0]["value"] > 0.9
    said = capsys.readouterr().out
    assert "- alert missing kind (day, week): missing in 100.0% of the rows" in said
    assert "next: Look at where kind comes from" in said


def test_a_model_that_is_wrong_is_an_alert_that_asks_for_another(
    service: Callable[[str], Service],
) -> None:
    of = service("multiclass")
    settings(of, "maturity_days: 7")
    for back in range(DAYS):
        day = LAST - timedelta(days=back)
        turned = dict.fromkeys(range(150), "low")
        report(of.root / "log", day, day + timedelta(days=2), turned)
    assert of.monitor() == 1
    assert ("performance", "") in {(one["rule"], one["part"]) for one in of.report["alerts"]}
    assert any("mlops refresh" in step for step in of.report["next"])
    performance = next(one for one in of.report["performance"] if not one["slice"])
    last = performance["sequence"][-1]
    assert last["low"] > performance["reference"] + performance["margin"]


def test_a_log_without_rows_of_the_bundle_is_not_judged(
    binary: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(binary.root / "log/predictions")
    assert binary.monitor() == 2
    lines = capsys.readouterr().out.splitlines()
    why = "no predictions/ is in log: is this the server's log folder?"
    assert lines[1] == f"the log has no row of {binary.digest[:12]} up to {LAST}: {why}"
    assert binary.report["verdict"] == "not judged"
    verdicts = {entry["name"]: entry["verdict"] for entry in binary.report["rules"]}
    assert verdicts.pop("skew") == "quiet"  # this bundle looks nothing up
    assert {*verdicts.values()} == {"not judged"}


def test_a_bundle_that_was_never_asked_is_still_told_of_the_traffic(binary: Service) -> None:
    """Another bundle answers: rows come, and none of them is this one's."""
    old = f"model={binary.digest[:12]}"
    for folder in list((binary.root / "log/predictions").glob(f"date=*/{old}")):
        folder.rename(folder.parent / "model=0123456789ab")
    assert binary.monitor() == 2
    kinds = {entry["name"]: entry["verdict"] for entry in binary.report["rules"]}
    assert kinds["freshness"] == "quiet"
    assert kinds["missing"] == kinds["feature_drift"] == kinds["performance"] == "not judged"


def test_an_alert_without_a_window_has_no_empty_brackets(
    binary: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    about = {"rule": "spread", "part": "", "reason": "it is wide"}
    alerts = [{**about, "window": ""}, {**about, "part": "fee", "window": "day, week"}]
    told = {"verdict": "alert", "log": {"rows": 1}, "alerts": alerts, "notes": [], "next": []}
    monkeypatch.setattr("mlops.monitoring.monitor.monitor", lambda *_: told)
    assert binary.monitor() == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        "- alert spread: it is wide",
        "- alert spread fee (day, week): it is wide",
    ]


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), SystemExit(1), KeyError("x")])
def test_what_nobody_expected_is_no_alert(
    binary: Service,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    def fails(*_: Any) -> None:
        raise error

    monkeypatch.setattr("mlops.monitoring.monitor.monitor", fails)
    assert binary.monitor() == 2
    assert f"{type(error).__name__}: " in capsys.readouterr().err


def test_an_older_bundle_has_no_reference_and_is_a_sentence(
    binary: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    path = binary.root / "candidate/manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["files"]["reference.json"]
    (binary.root / "candidate/reference.json").unlink()
    path.write_text(json.dumps(manifest))
    assert binary.monitor() == 2
    assert "the bundle has no reference.json" in capsys.readouterr().err


def test_a_reference_that_is_none_is_a_sentence(
    binary: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlops.files import sha256

    path = binary.root / "candidate/manifest.json"
    manifest = json.loads(path.read_text())
    for damage in ('{"seen": 3}', "{", '{"seen": {"rows": 1, "features": [1], "outputs": []}}'):
        (binary.root / "candidate/reference.json").write_text(damage)
        manifest["files"]["reference.json"] = sha256(binary.root / "candidate/reference.json")
        path.write_text(json.dumps(manifest))
        assert binary.monitor() == 2
        said = capsys.readouterr().err
        assert said.startswith("mlops monitor: reference.json of the bundle cannot be used (")
        assert said.count("\n") == 1


def test_an_older_report_is_gone_where_this_one_fails(binary: Service) -> None:
    assert binary.monitor() == 0
    shutil.rmtree(binary.root / "conf/monitoring")
    assert binary.monitor() == 2
    assert list((binary.root / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alpha: 2", "alpha"),
        ("silence: perhaps", "monitoring.silence is 'perhaps': choose from false, true"),
        ("rules: {missing: {least: much}}", "monitoring.rules.missing"),
        ("rules: {missing: {leest: 0.1}}", "monitoring.rules.missing"),
        ("rules: {mising: {least: 0.1}}", "monitoring.rules.mising is not in conf/monitoring/"),
        ("min_rows: 0", "min_rows"),
    ],
)
def test_a_policy_that_is_wrong_is_a_sentence(
    binary: Service, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    settings(binary, text)
    assert binary.monitor() == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--log", "nowhere"], "nowhere is no folder: name the log of a server"),
        (["--bundle", "nowhere"], "nowhere is no bundle: promote a candidate (`mlops promote`)"),
        (["--bundle", "conf"], "(`dvc pull conf.dvc`), or name another with `--bundle`"),
        (["--bundle", "nowhere", "--replay", "3d"], "nowhere is no bundle: promote a candidate"),
        (["--policy", "HEAD"], "--policy says with what --replay is compared: add --replay 90d"),
        (["--at", "yesterday"], "'yesterday' is no date like 2026-11-27"),
        (["--replay", "0d"], "'0d' is no number of days like 90d"),
        (["--replay", "many"], "'many' is no number of days like 90d"),
        (["--explain", "colour"], "there is no rule 'colour': choose from"),
        (["--replay", "3d", "--policy", "HEAD"], "not a git repository"),
    ],
)
def test_wrong_arguments_are_a_sentence(
    binary: Service, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    try:
        code = binary.monitor(*arguments)
    except SystemExit as left:  # argparse
        code = int(left.code or 0)
    told = capsys.readouterr().err
    assert code == 2
    assert said in told
    assert "Traceback" not in told


def test_without_a_log_it_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["monitor"]) == 2
    assert "say which log is read, like --log LOG" in capsys.readouterr().err


def test_a_log_that_cannot_be_written_is_a_sentence(
    binary: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    (binary.root / "log/counts").write_text("in the way of a folder, as a lacking right would be")
    assert binary.monitor() == 2
    said = capsys.readouterr().err
    assert "check the path and its rights" in said
    assert said.count("\n") == 1


def test_a_rule_of_the_owners_is_found_by_the_policy(binary: Service) -> None:
    with (binary.root / "conf/monitoring/standard.yaml").open("a") as policy:
        policy.write("  answer_spread: {at_least: 0.9}\n")
    assert binary.monitor() == 0
    (note,) = [one for one in binary.report["notes"] if one["rule"] == "answer_spread"]
    assert note["value"] < 0.5
    assert note["threshold"] == 0.9


def test_a_rule_that_nobody_wrote_is_told_with_those_that_are(
    binary: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    with (binary.root / "conf/monitoring/standard.yaml").open("a") as policy:
        policy.write("  mising: {least: 0.9}\n")
    assert binary.monitor() == 2
    assert "there is no rule 'mising': choose from answer_spread," in capsys.readouterr().err


@pytest.mark.parametrize("name", RULES.rules)
def test_every_rule_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["monitor", "--explain", name]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{name}: ")
    assert "monitoring/rules/" in said.splitlines()[-1] or "src/policy/monitoring.py" in said
    assert "mlops." not in said
    for setting in RULES.rules[name].__struct_fields__:
        assert f"  {setting}: " in said


def test_the_list_of_rules_has_a_line_for_each() -> None:
    lines = explanation("", RULES).splitlines()
    assert [line.split()[0] for line in lines] == list(RULES.rules)
    assert all(line.endswith((".", "src/policy/monitoring.py]")) for line in lines)
    with pytest.raises(PolicyError, match="there is no rule"):
        explanation("spread", RULES)  # which is the gate's


def test_the_policy_of_the_template_names_every_rule_of_the_engine(binary: Service) -> None:
    from mlops.monitoring.policy import compose

    named = {rule.named() for rule in compose(binary.root, "binary", "this").rules.values()}
    assert named == set(RULES.rules) - {"answer_spread"}


def test_a_replay_shows_what_a_changed_threshold_would_have_found(
    binary: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (
        ["init", "--quiet"],
        ["add", "conf", "params.yaml"],
        ["commit", "--quiet", "--message", "Policy"],
    ):
        subprocess.run(["git", *command], check=True)
    changed(binary, "kind", None, share=0.5)
    path = binary.root / "conf/monitoring/standard.yaml"
    policy = path.read_text()
    assert "missing: {least: 0.005, allow: []}" in policy
    path.write_text(policy.replace("missing: {least: 0.005,", "missing: {least: 0.9,"))
    assert binary.monitor("--replay", "3d", "--policy", "HEAD") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["|  | rule | part | this folder | HEAD |", "|---|---|---|---|---|"]
    found = f"1 day, {LAST}"
    assert f"| alert | missing | kind | never | {found} |" in lines
    assert not (binary.root / "out").exists()
    path.write_text(policy)
    assert binary.monitor("--replay", "3d", "--policy", "HEAD") == 0
    said = "The monitor goes by the policy of HEAD: nothing would have been another.\n"
    assert capsys.readouterr().out == said
    rules = binary.root / "src/policy/monitoring.py"
    own = rules.read_text() if rules.exists() else None
    rules.parent.mkdir(parents=True, exist_ok=True)
    rules.write_text(f"{own or ''}\n# Another rule.\n")
    assert binary.monitor("--replay", "3d", "--policy", "HEAD") == 0
    assert f"| alert | missing | kind | {found} | {found} |" in capsys.readouterr().out
    assert binary.monitor("--replay", "3d") == 0
    assert f"| alert | missing | kind | {found} |" in capsys.readouterr().out
    assert binary.monitor("--replay", "2d", at=LAST - timedelta(days=1)) == 0
    assert "| alert |" not in capsys.readouterr().out
    for ref in ("nowhere", "HEAD~5", "HEAD:conf"):
        assert binary.monitor("--replay", "2d", f"--policy={ref}") == 2
        said = capsys.readouterr().err
        assert said.startswith(f"mlops monitor: --policy {ref}: git knows no commit '{ref}': ")
        assert said.count("\n") == 1


def test_a_commit_that_has_no_policy_is_a_sentence(
    binary: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (
        ["init", "--quiet"],
        ["commit", "--quiet", "--allow-empty", "--message", "Nothing"],
    ):
        subprocess.run(["git", *command], check=True)
    assert binary.monitor("--replay", "2d", "--policy", "HEAD") == 2
    said = capsys.readouterr().err
    assert said.startswith("mlops monitor: the monitor's policy of HEAD cannot be composed (")
    assert said.count("\n") == 1
