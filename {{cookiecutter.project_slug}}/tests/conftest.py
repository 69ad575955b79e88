"""Tests reach no network, no home folder and no configuration but their own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

HOMES = ("HOME", "XDG_CONFIG_HOME", "DVC_GLOBAL_CONFIG_DIR", "DVC_SITE_CACHE_DIR")
QUIET = {
    "DVC_NO_ANALYTICS": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_NAME": "test" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "test@example.invalid" for who in ("AUTHOR", "COMMITTER")},
}
ELSEWHERE = ("MLFLOW_", "DVC_", "GIT_")  # as in a hook of git, which names its own repository

PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the tests, and what they start, a home of their own."""
    home = str(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(ELSEWHERE)]:
            patch.delenv(name)
        for name, value in {**QUIET, **dict.fromkeys(HOMES, home)}.items():
            patch.setenv(name, value)
        yield
