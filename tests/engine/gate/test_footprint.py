"""The peak is that of one process, and a process that fails is told."""

import re
import resource
import sys
from pathlib import Path

import numpy as np
import pytest

from mlops.config import settings as configuration
from mlops.features.encoding import Encoder
from mlops.gate import footprint
from mlops.gate.footprint import FootprintError, own_peak, peak_bytes


def test_the_peak_is_that_of_the_process() -> None:
    ballast = np.ones(4_000_000)
    text = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    assert found is not None
    assert ballast.nbytes < own_peak()
    assert own_peak() == pytest.approx(int(found[1]) * 1024, rel=0.01)


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
def test_elsewhere_it_is_what_the_system_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, unit: int
) -> None:
    monkeypatch.setattr(footprint, "Path", lambda _: tmp_path / "none")
    monkeypatch.setattr(sys, "platform", platform)
    told = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert own_peak() == pytest.approx(told * unit, rel=0.01)


def test_a_bundle_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(FootprintError, match=r"none could not be loaded and run \(\S.*\): run"):
        peak_bytes(tmp_path / "none", np.zeros((1, 1), np.float32))


def test_neither_environment_nor_folder_change_what_is_imported(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = configuration.load(trained / "resolved.yaml")
    matrix = np.zeros((2, len(Encoder.build(asked.data, asked.features).names)), np.float32)
    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "numpy.py").write_text("raise SystemExit('stray')")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "numpy.py").write_text("raise SystemExit('stray')")
    assert peak_bytes(trained / "candidate", matrix) > 1e6
