"""The documentation site's pages, brought together from where each is written.

`python maintenance/pages.py build/docs` writes pages/ and zensical.toml there: those of docs/, the
project's own as how-to pages, and a reference of its configuration, rules and verbs.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import configuration

ROOT = Path(__file__).parents[1]
PROJECT = ROOT / "{{cookiecutter.project_slug}}"
OWN = ("index.md", "tutorial.md", "tutorial.ja.md", "decisions.md")
SHARED = {"changes.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
# From a project's page to a file of its configuration, which the reference has.
CONFIGURED = re.compile(r"\]\(\.\./\.\./conf/(\w+)/(\w+)\.yaml\)")


def written() -> dict[str, str]:
    """Return every page by its path in the site."""
    pages = {name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in OWN}
    for name, source in SHARED.items():
        pages[name] = (ROOT / source).read_text(encoding="utf-8")
    for path in sorted((PROJECT / "engine/docs").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        pages[f"how-to/{path.name}"] = CONFIGURED.sub(_configured, text)
    pages["reference/configuration.md"] = configuration.page(PROJECT / "conf")
    for name, text in _reference().items():
        pages[f"reference/{name}.md"] = text
    return pages


def _configured(link: re.Match[str]) -> str:
    return f"](../reference/configuration.md#{link[1]}{link[2]}yaml)"


def _reference() -> dict[str, str]:
    """Return the pages that the project's code writes."""
    path = os.pathsep.join(str(PROJECT / folder) for folder in ("engine/src", "src"))
    told = [sys.executable, str(ROOT / "maintenance/reference.py")]
    own = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(told, cwd=PROJECT, env=own, stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout))


def navigation(pages: Mapping[str, str]) -> list[dict[str, object]]:
    """Return what the site's menu shows: each page by its title."""

    def entry(name: str) -> dict[str, str]:
        found = TITLE.search(pages[name])
        assert found is not None, f"{name} has no title"
        return {found[1].replace("`", ""): name}

    def folder(name: str) -> list[dict[str, str]]:
        return [entry(page) for page in pages if page.startswith(f"{name}/")]

    return [
        {"Home": "index.md"},
        {"Tutorial": [{"English": "tutorial.md"}, {"日本語": "tutorial.ja.md"}]},
        {"How to": folder("how-to")},
        {"Reference": folder("reference")},
        {"About": [entry(name) for name in ("decisions.md", *SHARED)]},
    ]


def settings(pages: Mapping[str, str]) -> str:
    """Return zensical.toml: docs/site.toml with the menu."""
    text = (ROOT / "docs/site.toml").read_text(encoding="utf-8")
    menu = ",\n  ".join(_toml(one) for one in navigation(pages))
    return text.replace("[project]\n", f"[project]\nnav = [\n  {menu},\n]\n", 1)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def main(out: Path) -> None:
    """Write pages and settings to a folder, anew."""
    pages = written()
    shutil.rmtree(out / "pages", ignore_errors=True)
    shutil.copytree(ROOT / "docs/pictures", out / "pages/pictures")
    for name, text in pages.items():
        (out / "pages" / name).parent.mkdir(parents=True, exist_ok=True)
        (out / "pages" / name).write_text(text, encoding="utf-8")
    (out / "zensical.toml").write_text(settings(pages), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
