"""Refuse a name that the installer would take for one of the project's own dependencies."""

import re
import sys
from pathlib import Path

SLUG = "{{ cookiecutter.project_slug }}"  # letters, digits, hyphens: pre_gen_project saw to it
# Imported under other names than they are installed under.
IMPORTED = ("mlops", "google", "hydra", "mpl-toolkits", "pylab", "ruamel", "sklearn", "yaml")

locks = "".join(path.read_text() for path in Path("requirements").glob("*.txt"))
if SLUG.replace("_", "-") in {*re.findall(r"^([a-z0-9-]+)==", locks, re.MULTILINE), *IMPORTED}:
    sys.exit(f"This project_slug will not do: a dependency has that name: {SLUG}-model is free.")
