"""What a server is told: the environment (MLOPS_*) over a file of conf/serving."""

import os
import re
from collections.abc import Container
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ..errors import ProjectError
from ..spelling import nearest

FOLDER = Path("conf/serving")
STANDARD = "standard"
PREFIX = "MLOPS_"
# What other commands are told, and what Kubernetes sets for a service whose name begins so.
FOREIGN = re.compile(
    r"MLOPS_(ENGINE|BASE|BUILD_OPTIONS|GATE_REQUEST|THOROUGH|CLONE|COMPUTE(_WORKERS|_ADDRESS)?"
    r"|STUDIES|WEBHOOK_URL|(\w+_)?SERVICE_(HOST|PORT)(_\w+)?"
    r"|(\w+_)?PORT(_\d+_\w+)?)"
)
SECRETS = ("api_key", "log_key", "online")  # of which no file holds one
MIB = 1 << 20
SENDABLE = re.compile(r"[!-~]([ -~]*[!-~])?")


class SettingsError(ProjectError):
    """The server is told something that it cannot do."""


class ServingSettings(BaseSettings):
    """Everything that a server is told.

    `expect` is the digest that the bundle must have. `workers` is how many processes serve.
    `root_path` is what a proxy has before every path, whether it takes that off or not.
    `challenger_share` is the share of keys that a challenger in mode `share` answers; an
    `experiment` is a file that says it instead, and `actions` one of what is done with answers.
    `slow_seconds` is how long a client may take to send a request; `drain_seconds` how long /readyz
    says no before the socket closes; `watch_seconds` how often the bundles are looked at (0: only
    at SIGHUP). `log_sample` is the share of requests that the prediction log in `log_folder` keeps,
    `log_key` the secret by which it knows a routing key. `online` is the address of the store in
    which features are looked up, `online_seconds` how long one beyond a network may take to answer.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    bundle: Path = Path("candidate")
    expect: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=256)
    root_path: str = Field(default="", pattern=r"^(/[\w.~-]+)*$")
    challenger: Path | None = None
    challenger_mode: Literal["shadow", "share"] = "shadow"
    challenger_share: float = Field(default=0.1, ge=0, le=1)
    experiment: Path | None = None
    actions: Path | None = None
    unseen: Literal["encode", "refuse"] = "encode"
    extra: Literal["refuse", "ignore"] = "refuse"
    max_body_bytes: int = Field(default=MIB, ge=1)
    max_rows: int = Field(default=1000, ge=1)
    max_in_flight: int = Field(default=1024, ge=1)
    deadline_seconds: float = Field(default=5, gt=0, allow_inf_nan=False)
    slow_seconds: float = Field(default=10, gt=0, allow_inf_nan=False)
    drain_seconds: float = Field(default=1, ge=0, allow_inf_nan=False)
    watch_seconds: float = Field(default=2, ge=0, allow_inf_nan=False)
    api_key: SecretStr | None = Field(default=None, min_length=8)
    log_folder: Path | None = None
    log_key: SecretStr | None = Field(default=None, min_length=16)
    log_sample: float = Field(default=1, ge=0, le=1)
    log_max_bytes: int = Field(default=1024 * MIB, ge=MIB)
    log_buffer_rows: int = Field(default=10_000, ge=1)
    online: SecretStr | None = Field(default=None, min_length=1)
    online_seconds: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    docs: bool = True

    @field_validator("expect", "challenger", "experiment", "actions", "log_folder", mode="before")
    @classmethod
    def _absent(cls, value: Any) -> Any:
        """Read an empty variable as none given; an empty secret is refused instead."""
        return None if value == "" else value

    @field_validator("api_key")
    @classmethod
    def _sendable(cls, value: SecretStr | None) -> SecretStr | None:
        """Refuse a key that no header can carry as it is, with which nobody would be let in."""
        if value is not None and not SENDABLE.fullmatch(value.get_secret_value()):
            raise ValueError(
                "a key has visible ASCII characters alone, with no blank or line break around it "
                "(write it with `printf %s`, which ends no line)"
            )
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, and nothing else."""
        return init_settings, env_settings


NAMES = tuple(ServingSettings.model_fields)


def load(name: str | None = None, **given: Any) -> ServingSettings:
    """Return what is `given`, over the environment, over conf/serving/<name>.yaml.

    Without a name, `standard` is read where it is there. Raises SettingsError, which names the
    setting, for an unknown one and for a value that cannot be.
    """
    _check_environment()
    told = {key: value for key, value in given.items() if value is not None}
    merged = {**_file(name), **EnvSettingsSource(ServingSettings)(), **told}
    try:
        return ServingSettings(**merged)
    except ValidationError as error:
        sentences = [_said(wrong, told) for wrong in error.errors(include_url=False)]
        raise SettingsError("; ".join(sentences)) from None


def _said(wrong: Any, given: Container[str]) -> str:
    name = ".".join(map(str, wrong["loc"]))
    text = wrong["msg"][:1].lower() + wrong["msg"][1:]
    if name in given:
        return f"--{name}: {text}: correct it"
    place = "" if name in SECRETS else f", or {name} in {FOLDER}"
    return f"setting {name}: {text}: correct {PREFIX}{name.upper()}{place}"


def _file(name: str | None) -> dict[str, Any]:
    """Return the settings of a file of conf/serving."""
    path = FOLDER / f"{name or STANDARD}.yaml"
    if not path.is_file():
        if name is None:
            return {}
        there = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml"))) or "none"
        raise SettingsError(f"{path} is missing: create it, or choose from {there}")
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is no readable YAML: correct it") from error
    if not isinstance(content, dict | None):
        raise SettingsError(f"{path} must hold settings like `port: 8000`: correct it")
    for key in content or {}:
        if key not in NAMES:
            raise SettingsError(f"{path}: there is no setting {key}: {_near(str(key))}")
        if key in SECRETS:
            raise SettingsError(
                f"{path}: a secret has no place there: set {PREFIX}{key.upper()} instead"
            )
    return {key: value for key, value in (content or {}).items() if value is not None}


def _check_environment() -> None:
    """Refuse a misspelt variable, since MLOPS_KEY would leave a server open."""
    for variable in os.environ:
        if variable.upper().startswith(PREFIX) and not FOREIGN.fullmatch(variable):
            name = variable[len(PREFIX) :].lower()
            if name not in NAMES:
                raise SettingsError(f"{variable} is no setting: {_near(name)}")


def _near(name: str) -> str:
    near = nearest(name, NAMES)
    return f"did you mean {near}?" if near else f"choose from {', '.join(NAMES)}"
