"""The documentation as a site: what it is made of, and that no link in it is broken."""

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import configuration
import pages
import pytest
import yaml
from baked import ROOT, SOURCE
from test_repository import verbs

ZENSICAL = ROOT / "build/site/bin/zensical"
REQUIRED = "SITE_REQUIRED"  # set where a site that cannot be built is a failure
MOST = 200_000  # bytes of a picture


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    return pages.written()


def built(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build a site as `make docs` does."""
    if not ZENSICAL.exists():
        assert not os.environ.get(REQUIRED), "`make docs` has not installed zensical"
        pytest.skip("`make docs` has not installed zensical")
    told = [str(ZENSICAL), "build", "--strict", "--clean"]
    return subprocess.run(
        told, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def keys(value: Any, above: str = "") -> set[str]:
    """Return the paths of all keys of a mapping written in blocks."""
    if not isinstance(value, dict):
        return set()
    return {f"{above}{key}" for key in value} | {
        path for key, one in value.items() for path in keys(one, f"{above}{key}.")
    }


def test_the_site_has_no_broken_link(tmp_path: Path) -> None:
    """And one that is planted in a page of the project is refused."""
    pages.main(tmp_path)
    done = built(tmp_path)
    assert done.returncode == 0, done.stdout
    home = (tmp_path / "site/index.html").read_text(encoding="utf-8")
    assert not re.search(r'(?:src=|rel="stylesheet" href=)"https?:', home)  # nothing is fetched
    assert (tmp_path / "site/pictures/report.png").is_file()
    for link in ("gone.md", "gate.md#gone"):
        page = tmp_path / "pages/how-to/serving.md"
        text = page.read_text(encoding="utf-8")
        page.write_text(f"{text}\n[there]({link})\n", encoding="utf-8")
        assert built(tmp_path).returncode != 0, link
        page.write_text(text, encoding="utf-8")


def test_every_page_of_a_project_is_in_the_menu(written: dict[str, str]) -> None:
    menu = str(tomllib.loads(pages.settings(written))["project"]["nav"])
    assert all(f"'{name}'" in menu for name in written)
    shipped = {path.name for path in (SOURCE / "engine/docs").glob("*.md")}
    assert {name.removeprefix("how-to/") for name in written if "how-to/" in name} == shipped


def test_every_rule_and_verb_is_in_the_reference(written: dict[str, str]) -> None:
    for kind in ("gate", "monitoring"):
        policy = yaml.safe_load((SOURCE / f"conf/{kind}/standard.yaml").read_text("utf-8"))
        for name, entry in policy["rules"].items():
            rule = (entry or {}).get("rule", name)
            assert f"\n## {rule}\n" in written[f"reference/{kind}-rules.md"], rule
    for verb in verbs():
        assert f"\n## mlops {verb}\n" in written["reference/command-line.md"], verb


@pytest.mark.parametrize("path", sorted((SOURCE / "conf").glob("*/*.yaml")), ids=lambda p: p.stem)
def test_every_key_is_in_the_reference(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = {entry.key for entry in configuration.entries(text)}
    content = yaml.safe_load(text)
    assert {key.split(".")[0] for key in found} == set(map(str, content or {}))
    assert found <= keys(content)


def test_a_key_has_its_value_and_all_that_is_said_of_it() -> None:
    text = """\
# What this is for.
a: 1  # first
# Before b,
# twice.
b: {c: "#2", d: 3}  # second
e:
  # inside
  f: x
  g: [1,
    2]
"""
    assert list(configuration.entries(text)) == [
        ("a", "1", "first"),
        ("b", '{c: "#2", d: 3}', "Before b, twice. second"),
        ("e", "", ""),
        ("e.f", "x", "inside"),
        ("e.g", "[1, 2]", ""),
    ]
    assert configuration.section(text)[0] == "What this is for."


def test_pictures_are_small() -> None:
    shown = sorted((ROOT / "docs/pictures").glob("*"))
    assert [path.name for path in shown] == ["gate.png", "monitor.png", "report.png", "serve.png"]
    assert all(path.stat().st_size <= MOST for path in shown)
