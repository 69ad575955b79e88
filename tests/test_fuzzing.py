"""Schemathesis sends a server what its description allows, and what it does not."""

import json
import re
import subprocess
from pathlib import Path
from urllib.request import urlopen

from baked import Project
from served import serving
from sweeps import THOROUGH

# As the figures of the documentation were made: MLOPS_THOROUGH=1 pytest tests/test_fuzzing.py
EXAMPLES = 1000 if THOROUGH else 40
SWAPS = "/reload"  # loads the bundle anew, a second each time
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
)


def fuzzed(address: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run it in a folder where it may keep what it found."""
    command = ["st", "run", f"{address}/openapi.json", "--no-color", "--seed", "1"]
    command += ["--phases", "examples,coverage,fuzzing", "--exclude-path", SWAPS, *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_no_request_makes_it_fail_or_answer_otherwise_than_it_says(
    finished: Project, tmp_path: Path
) -> None:
    with serving(finished, finished.path / "candidate", log_folder=tmp_path / "log") as address:
        with urlopen(f"{address}/openapi.json", timeout=30) as response:
            paths = json.load(response)["paths"]
        done = fuzzed(address, tmp_path, "--checks", ",".join(CHECKS), "-n", str(EXAMPLES))
    assert done.returncode == 0, done.stdout
    operations = sum(len(methods) for path, methods in paths.items() if path != SWAPS)
    assert f"Tested: {operations}\n" in done.stdout
    found = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert found is not None
    assert found[1] == found[2]
    assert int(found[1]) > 10 * EXAMPLES


def test_a_broken_promise_is_found(finished: Project, tmp_path: Path) -> None:
    with serving(finished, finished.path / "candidate") as address:
        options = ("--max-response-time", "0.000001", "--include-path", "/predict", "-n", "1")
        done = fuzzed(address, tmp_path, *options)
    assert done.returncode == 1
    assert "Response time limit exceeded" in done.stdout
