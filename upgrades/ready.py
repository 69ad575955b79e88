"""`python -m upgrades.ready`: exit 0 where this Python has what an upgrade needs beside itself."""

import sys
from importlib.util import find_spec

NEEDED = ("cookiecutter", "yaml")

if __name__ == "__main__":
    sys.exit(any(find_spec(name) is None for name in NEEDED))
