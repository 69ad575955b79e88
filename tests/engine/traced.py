"""Run a stage of the project in this folder; print what it used of code, settings, packages."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

PARTED = "evaluation"  # its keys are declared one by one

used: set[str] = set()


class Recorder:
    """Settings that note which of their keys are read."""

    def __init__(self, real: Any, before: str = "") -> None:
        self._real, self._before = real, before

    def __getattr__(self, name: str) -> Any:
        calculated = getattr(type(self._real), name, None)
        if isinstance(calculated, property):
            return calculated.fget(self)
        used.add(f"{self._before}{name}")
        value = getattr(self._real, name)
        return Recorder(value, f"{name}.") if name == PARTED and not self._before else value


def main(stage: str) -> int:
    """Run the stage as its command does."""
    root = Path.cwd()
    sys.path[:0] = [str(root / "engine/src"), str(root / "src")]
    from mlops.cli import main
    from mlops.config import settings

    load = settings.load
    settings.load = lambda: Recorder(load())
    with redirect_stdout(sys.stderr):
        code = main([stage])
    files = [Path(m.__file__) for m in [*sys.modules.values()] if getattr(m, "__file__", None)]
    own = sorted(
        path.relative_to(root).as_posix()
        for path in {file.resolve() for file in files}
        if path.is_relative_to(root)
    )
    packages = sorted({name.partition(".")[0] for name in sys.modules})
    print(json.dumps({"files": own, "keys": sorted(used), "packages": packages}))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
