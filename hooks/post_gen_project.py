"""Refuse a name that the installer would take for a dependency's; record where this comes from."""

import json
import re
import subprocess
import sys
from pathlib import Path

# tojson escapes quotes, so no answer can end this string; nothing else of this file is rendered.
CONTEXT = json.loads(r'''{{ cookiecutter | tojson }}''')  # fmt: skip
SLUG = CONTEXT["project_slug"]  # letters, digits, hyphens: pre_gen_project saw to it
# Imported under other names than they are installed under.
IMPORTED = ("mlops", "google", "hydra", "mpl-toolkits", "pylab", "ruamel", "sklearn", "yaml")
ORIGIN = ".template.json"  # what `make upgrade` starts from; cruft knows the same names
SHORT = {"gh": "github.com", "gl": "gitlab.com", "bb": "bitbucket.org"}


def address(template: str) -> str | None:
    """Return where others find the template too, without anybody's password; None for nowhere."""
    template = template.removeprefix("git+")
    host, found, path = template.partition(":")
    if found and host in SHORT:
        return f"https://{SHORT[host]}/{path}"
    if re.match(r"[\w.-]+@[\w.-]+:(?!//)", template):
        return template
    return re.sub(r"^(https?://)[^/@]*@", r"\1", template) if "://" in template else None


def git(*arguments: str) -> str:
    """Return what git says of the template; nothing where it has none."""
    try:
        done = subprocess.run(
            ["git", "-C", CONTEXT["_repo_dir"], *arguments], capture_output=True, text=True
        )
    except OSError:
        return ""
    return "" if done.returncode else done.stdout.strip()


def origin() -> dict[str, object]:
    """Return address, commit and answers; of a folder on this machine, the address it came from."""
    whole = bool(git("rev-parse", "HEAD")) and not git("rev-parse", "--show-prefix")
    template = address(CONTEXT["_template"])
    if template is None and whole:
        clone = address(git("config", "--get", "remote.origin.url"))
        template = None if clone and clone.startswith("file:") else clone
    found: dict[str, object] = {
        "template": template,
        "commit": git("rev-parse", "HEAD") if whole else None,
        "checkout": CONTEXT["_checkout"],
        "context": {
            "cookiecutter": {k: v for k, v in CONTEXT.items() if not k.startswith("_")},
        },
    }
    if whole and git("status", "--porcelain"):
        print("check: the template has changes that its commit has not: upgrades start from that")
        found["dirty"] = True
    return found


locks = "".join(path.read_text() for path in Path("requirements").glob("*.txt"))
if SLUG.replace("_", "-") in {*re.findall(r"^([a-z0-9-]+)==", locks, re.MULTILINE), *IMPORTED}:
    sys.exit(f"This project_slug will not do: a dependency has that name: {SLUG}-model is free.")
Path(ORIGIN).write_text(json.dumps(origin(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
