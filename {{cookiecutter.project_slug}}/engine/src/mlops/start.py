"""The command `mlops`: it runs the engine of the folder that it is started in.

Whatever environment is active, a stage has to run the code that DVC tracks beside it: in the copy
of a queued experiment, in another work tree, beside a second project. So this installed module only
finds the code, and that of the folder takes its place.
"""

import os
import sys
from pathlib import Path

ENGINE, OWN = Path("engine/src"), Path("src")


def main() -> int:
    """Run the verb of the command line by the code of this folder."""
    use(Path.cwd())
    from mlops.cli import main

    return main()


def use(root: Path) -> None:
    """Have `mlops` be imported from the engine of `root`, and `project` and `policy` beside it.

    Where there is no engine, as in an image, what is imported already stays.
    """
    if not (root / ENGINE / "mlops").is_dir():
        return
    # An editable installation of another folder stays behind these, also in child processes.
    places = [str(root / ENGINE), str(root / OWN)]
    sys.path[:0] = places
    os.environ["PYTHONPATH"] = os.pathsep.join([*places, *filter(None, [os.getenv("PYTHONPATH")])])
    if not Path(__file__).resolve().is_relative_to((root / ENGINE).resolve()):
        for name in [name for name in sys.modules if name.partition(".")[0] == "mlops"]:
            del sys.modules[name]
