"""Record where this comes from; in a repository of several, put its workflows to the top."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

# tojson escapes quotes, so no answer can end this string; nothing else of this file is rendered.
CONTEXT = json.loads(r'''{{ cookiecutter | tojson }}''')  # fmt: skip
# A folder is named from where cookiecutter was called; here is the project that it made.
TEMPLATE = os.path.join(os.environ.get("PWD", ""), CONTEXT["_repo_dir"])
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


def git(*arguments: str, folder: str = TEMPLATE) -> str:
    """Return what git says of the template, or another folder; nothing where it has none."""
    if folder == TEMPLATE and not os.path.isfile(os.path.join(folder, "cookiecutter.json")):
        return ""
    told = ["git", "-C", folder, *arguments]
    done = subprocess.run(told, capture_output=True, text=True) if shutil.which("git") else None
    return done.stdout.strip() if done and done.returncode == 0 else ""


def origin() -> dict[str, object]:
    """Return address, commit and answers; of a folder on this machine, the address it came from."""
    commit = "" if git("rev-parse", "--show-prefix") else git("rev-parse", "HEAD")
    template = address(CONTEXT["_template"])
    if template is None and commit:
        clone = address(git("config", "--get", "remote.origin.url"))
        template = None if clone and clone.startswith("file:") else clone
    answers = {name: said for name, said in CONTEXT.items() if not name.startswith("_")}
    found = {"template": template, "commit": commit or None, "checkout": CONTEXT["_checkout"]}
    dirty = bool(commit and git("status", "--porcelain"))
    if dirty:
        print("check: the template has changes that its commit has not: upgrades start from that")
    return {**found, "context": {"cookiecutter": answers}, **({"dirty": True} if dirty else {})}


Path(ORIGIN).write_text(json.dumps(origin(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
if git("rev-parse", "--show-prefix", folder="."):  # one of several: its workflows go to the top
    os.environ |= {"PYTHONPATH": "engine/src", "PYTHONDONTWRITEBYTECODE": "1"}
    sys.exit(subprocess.call([sys.executable, "-m", "mlops.workflows", CONTEXT["dvc_remote"]]))
