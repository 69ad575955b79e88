"""The environment wins over the file, and nothing misspelt is passed over."""

import os
import re
from pathlib import Path

import pytest
from baked import SOURCE
from pydantic import SecretStr

from mlops.serving import settings
from mlops.serving.settings import NAMES, ServingSettings, SettingsError, load

PROJECT = SOURCE


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without settings, and an environment without any."""
    for variable in os.environ:
        if variable.startswith("MLOPS_"):
            monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf/serving").mkdir(parents=True)
    return tmp_path / "conf/serving"


def test_without_a_file_the_standard_holds(folder: Path) -> None:
    folder.rmdir()
    assert load() == ServingSettings()


def test_the_standard_file_says_what_the_code_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    assert load("standard") == ServingSettings()
    written = (PROJECT / "conf/serving/standard.yaml").read_text()
    unwritten = {name for name in settings.NAMES if f"\n{name}:" not in written}
    assert unwritten == {"api_key", "log_key", "expect", "online"}


def test_arguments_over_environment_over_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "edge.yaml").write_text("port: 1\nmax_rows: 2\nhost: a\n")
    monkeypatch.setenv("MLOPS_PORT", "3")
    monkeypatch.setenv("MLOPS_MAX_ROWS", "4")
    read = load("edge", port=5, host=None)
    assert (read.port, read.max_rows, read.host) == (5, 4, "a")


@pytest.mark.parametrize("name", ["workers", "port"])
def test_what_is_wrong_is_named_as_it_was_given(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "greater than or equal to"
    with pytest.raises(SettingsError, match=rf"^--{name}: .*{said} \d: correct it$"):
        load(**{name: -1})
    monkeypatch.setenv(f"MLOPS_{name.upper()}", "-1")
    with pytest.raises(SettingsError, match=rf"{said} .* MLOPS_{name.upper()}, or {name} in"):
        load()


def test_values_are_read_as_their_types(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "BUNDLE": "else/where",
        "CHALLENGER": "",
        "CHALLENGER_SHARE": "0.25",
        "API_KEY": "correct horse",
        "DOCS": "false",
        "EXPECT": "a" * 64,
    }.items():
        monkeypatch.setenv(f"MLOPS_{name}", value)
    read = load()
    assert read.bundle == Path("else/where")
    assert read.challenger is None
    assert read.challenger_share == 0.25
    assert read.api_key == SecretStr("correct horse")
    assert "correct" not in repr(read)
    assert read.docs is False
    assert read.expect == "a" * 64


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_row: 1", r"no setting max_row: did you mean max_rows\?"),
        ("wings: 1", r"no setting wings: choose from bundle, "),
        ("max_rows: many", r"setting max_rows: .*MLOPS_MAX_ROWS"),
        ("max_rows: 0", r"setting max_rows: .*greater than or equal to 1"),
        ("drain_seconds: .inf", r"setting drain_seconds: .*finite"),
        ("challenger_mode: duel", r"setting challenger_mode: .*'shadow' or 'share'"),
        ("expect: ABC", r"setting expect: .*pattern"),
        ("root_path: models/churn", r"setting root_path: .*pattern"),
        ("root_path: /models/", r"setting root_path: .*pattern"),
        ("api_key: secret-secret", r"set MLOPS_API_KEY instead"),
        ("log_key: secret-secret-secret", r"set MLOPS_LOG_KEY instead"),
        ("- a\n- b", r"must hold settings"),
        ("port: [", r"no readable YAML"),
    ],
)
def test_a_wrong_file_is_one_sentence(text: str, said: str, folder: Path) -> None:
    (folder / "standard.yaml").write_text(text)
    with pytest.raises(SettingsError, match=said) as raised:
        load()
    assert "\n" not in str(raised.value)


def test_an_empty_file_is_the_standard(folder: Path) -> None:
    (folder / "standard.yaml").write_text("# nothing\n")
    assert load() == ServingSettings()


def test_a_missing_file_names_those_there(folder: Path) -> None:
    (folder / "edge.yaml").write_text("")
    with pytest.raises(SettingsError, match=r"cloud\.yaml is missing.*choose from edge"):
        load("cloud")


@pytest.mark.parametrize(
    "variable", ["MLOPS_APIKEY", "MLOPS_KEY", "MLOPS_MAX_ROW", "mlops_drain_second"]
)
def test_a_misspelt_variable_is_refused(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "12345678")
    with pytest.raises(SettingsError, match=f"{variable} is no setting: did you mean"):
        load()


def test_a_variable_that_is_like_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_TOKEN", "12345678")
    with pytest.raises(SettingsError, match="MLOPS_TOKEN is no setting: choose from"):
        load()


def test_variables_of_kubernetes_are_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SERVICE_HOST", "SERVICE_PORT", "PORT_80_TCP", "PORT_80_TCP_ADDR", "WEB_PORT"):
        monkeypatch.setenv(f"MLOPS_{name}", "tcp://10.0.0.1:80")
    assert load() == ServingSettings()


@pytest.mark.parametrize("key", ["", "short"])
def test_a_weak_key_is_refused_and_not_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_API_KEY", key)
    with pytest.raises(SettingsError, match="setting api_key") as raised:
        load()
    assert not key or key not in str(raised.value)


@pytest.mark.parametrize(
    "key", ["secret-key-1\n", " secret-key-1", "secret-key-1 ", "sécret-key-1"]
)
def test_a_key_that_no_header_carries_is_refused(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("MLOPS_API_KEY", key)
    with pytest.raises(
        SettingsError, match=r"setting api_key: .*visible ASCII.*API_KEY$"
    ) as raised:
        load()
    assert key.strip() not in str(raised.value)


def test_what_other_commands_are_told_is_not_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable that the engine or a page of it names, but for the server's own."""
    named = set()
    for path in [*(SOURCE / "engine").rglob("*.py"), *(SOURCE / "engine").rglob("*.md")]:
        named.update(re.findall(r"\bMLOPS_[A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8")))
    own = {f"MLOPS_{name.upper()}" for name in NAMES}
    others = named - own - {"MLOPS_KEY"}  # an example of one that is misspelt
    assert {"MLOPS_COMPUTE", "MLOPS_STUDIES", "MLOPS_WEBHOOK_URL"} <= others
    for name in others:
        monkeypatch.setenv(name, "anything")
    load()
    monkeypatch.setenv("MLOPS_KEY", "anything")
    with pytest.raises(SettingsError, match="MLOPS_KEY is no setting"):
        load()
