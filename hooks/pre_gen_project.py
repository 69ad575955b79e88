"""Refuse answers that no working project comes of, each with its remedy."""

import json
import keyword
import re
import sys
import unicodedata
from pathlib import Path

# tojson escapes quotes, so no answer can end this string; nothing else of this file is rendered.
ANSWERS = json.loads(r'''{{ cookiecutter | tojson }}''')  # fmt: skip
# Imported under other names than they are installed under.
IMPORTED = ("mlops", "google", "hydra", "mpl-toolkits", "pylab", "ruamel", "sklearn", "yaml")
RULES = {
    "project_name": (r".*\S.*", "give a name"),
    "project_slug": (
        r"[a-z][a-z0-9]*([-_][a-z0-9]+)*",
        "use lower-case letters and digits, joined by single hyphens, 60 at most: customer-churn",
    ),
    "description": (r".*", "give a sentence"),
    "owner": (r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*", "give a GitHub user or organisation: acme"),
    "dvc_remote": (
        r"((s3|gs|azure|ssh|https?)://)?(?!.*://)[\w.~/@:+=-]+( [\w.~/@:+=-]+)*",
        "give an s3://, gs://, azure://, ssh:// or https:// address, or a folder, "
        "without quotes, commas and other signs",
    ),
    "container_registry": (
        r"[a-z0-9]+([.-][a-z0-9]+)*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*",
        "give a host and a path in lower case: ghcr.io/acme",
    ),
}

# cookiecutter reports a hook that refused when it has ended, with a traceback: no hook comes after.
FOLLOWS = "Nothing was written; what follows is cookiecutter's report of that refusal."


def refuse(name: str, remedy: str) -> None:
    """Stop the generation."""
    sys.exit(f"This {name} will not do: {remedy}.\n{FOLLOWS}")


for name, (pattern, remedy) in RULES.items():
    if any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in ANSWERS[name]):
        refuse(name, "leave out line breaks and control characters")
    if not re.fullmatch(pattern, ANSWERS[name]):
        refuse(name, remedy)
if keyword.iskeyword(ANSWERS["project_slug"]):
    refuse("project_slug", "it is a word of Python's grammar: add a word, as in class-model")
# A name that the installer would take for a dependency's: the locks of the template say which are.
locks = "".join(
    path.read_text() for path in Path(ANSWERS["_repo_dir"]).glob("*/requirements/*.txt")
)
slug = ANSWERS["project_slug"].replace("_", "-")
if slug in {*re.findall(r"^([a-z0-9-]+)==", locks, re.MULTILINE), *IMPORTED}:
    refuse("project_slug", f"a dependency has that name: {slug}-model is free")
