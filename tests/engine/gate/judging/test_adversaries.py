"""Branches that try to be passed for what they are not: each is judged by its true skill.

Everything runs as a user has it: a repository with git and DVC, and `mlops gate` as a command
where whose code runs matters.
"""

import io
import json
import pickle
import py_compile
import shutil
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from baked import SOURCE
from parts import first_part
from sweeps import some

from mlops.bundle import verdict
from mlops.files import sha256
from mlops.gate import sandbox
from mlops.gate.rerun import REQUEST

FEATURES = "src/project/features.py"
ENCODING = "engine/src/mlops/features/encoding.py"
BODY = "    return np.where(units > 0, amount / units, np.nan)\n"
Harm = Callable[[Path, dict[str, Any]], None]


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUEST, raising=False)


def in_feature(project: Any, code: str) -> None:
    """Commit a feature that runs some code each time, and computes what it always did."""
    text = (project.root / FEATURES).read_text()
    assert BODY in text
    added = textwrap.indent(textwrap.dedent(code), "    ")
    project.write(FEATURES, text.replace(BODY, added + BODY))
    project.commit()


def reasons(project: Any) -> dict[str, str]:
    """Return why the last run rejected, by entry and part."""
    found = project.report["reasons"]
    return {f"{one['name']} {one['part']}".strip(): one["reason"] for one in found}


def is_worse(project: Any) -> None:
    """Assert that the poor candidate is rejected, by the base, for what it is and nothing else."""
    project.put("poor")
    assert project.gate() == 1
    assert set(reasons(project)) == {"non_inferiority roc_auc"}
    assert "must be at least -0.02" in reasons(project)["non_inferiority roc_auc"]
    assert project.report["judge"]["code"] == "base"


@pytest.mark.parametrize(
    "place",
    some(
        [
            "data/prepared/holdout/2025-01.parquet",
            "data/raw",
            ".dvc/cache",
            "candidate/metrics.json",
        ],
        every=3,
    ),
)
def test_a_feature_that_reads_label_files_gets_nothing(second: Any, place: str) -> None:
    (second.root / ".dvc/cache").mkdir(exist_ok=True)
    wanted = second.root / place
    assert wanted.exists()
    in_feature(
        second,
        f"""
        import os
        try:
            os.listdir({str(wanted)!r}) if {wanted.is_dir()} else open({str(wanted)!r}).close()
        except PermissionError:
            pass
        else:
            raise RuntimeError("it was read")
        """,
    )
    assert second.gate() == 0
    assert second.report["reasons"] == []
    assert second.report["judge"]["confinement"].startswith("Landlock")
    is_worse(second)


def test_without_a_wall_the_same_file_would_be_read(
    second: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = first_part(second.root / "data/prepared/holdout")
    in_feature(second, f"open({str(rows)!r}).close()\n")
    (reason,) = second.judged()["reasons"]
    assert "PermissionError" in reason["reason"]
    monkeypatch.setattr(sandbox, "CONFINE", ())
    report = second.judged()
    assert report["verdict"] == "passed"
    assert report["judge"]["confinement"] == "nothing"


@pytest.mark.parametrize(
    "code",
    some(
        [
            """
        import sys
        from mlops.bundle import verdict
        verdict.verdict = lambda entries: "passed"
        try:
            from mlops.gate import judge, results, scoring
        except ImportError:
            results = sys.modules[__name__]
        results.entry = lambda findings: {"verdict": "passed", "findings": []}
        sys.modules["mlops.gate.judge"] = sys.modules["mlops.gate.scoring"] = results
        """,
            """
        import numpy
        numpy.isfinite = numpy.abs = numpy.mean = lambda *a, **k: 1.0
        """,
            """
        import gc, os, sys
        for found in gc.get_objects():
            if type(found) is dict and found.get("verdict") == "rejected":
                found["verdict"] = "passed"
        """,
        ],
        every=2,
    ),
)
def test_a_feature_that_turns_the_judge_turns_nothing(second: Any, code: str) -> None:
    in_feature(second, code)
    is_worse(second)


@pytest.mark.parametrize(
    ("code", "said"),
    some(
        [
            ("import os; os._exit(0)\n", "its process ended with 0"),
            ("import os; os.kill(os.getpid(), 9)\n", "its process ended by signal 9"),
            ("import os; os.kill(os.getppid(), 9)\n", "PermissionError"),
            ("import sys; sys.exit(0)\n", "SystemExit: 0"),
            ("open('{root}/reports/gate/gate.json', 'w').write('{{}}')\n", "PermissionError"),
            ("open('{root}/engine/src/mlops/gate/judge.py', 'w')\n", "PermissionError"),
            ("import subprocess; subprocess.run(['git', 'replace', 'x'])\n", "Error"),
            ("import socket; socket.create_connection(('127.0.0.1', 9))\n", "PermissionError"),
        ],
        every=4,
    ),
)
def test_a_feature_that_leaves_or_reaches_out_is_rejected_for_that(
    second: Any, code: str, said: str
) -> None:
    second.write("reports/gate/gate.json", '{"verdict": "passed"}')
    in_feature(second, code.format(root=second.root))
    second.put("poor")
    assert second.gate() == 1
    (told,) = reasons(second).items()
    assert told[0] == "candidate answers"
    assert said in told[1]
    assert "| undefined |" in second.told("gate.md")


def test_the_owners_code_on_main_is_never_imported_by_the_judge(second: Any) -> None:
    attack = "import sys\nif 'mlops.gate.judge' in sys.modules:\n    raise SystemExit('imported')\n"
    policy = "try:\n    import project.features\nexcept ModuleNotFoundError:\n    pass\n"
    second.on_main(("src/project/__init__.py", attack), ("src/policy/metrics.py", policy))
    is_worse(second)


@pytest.mark.parametrize(
    ("column", "said"),
    [("churned", "it asks for churned, the target"), ("customer", "does not declare")],
)
def test_a_candidate_that_asks_for_the_target_is_refused(
    second: Any, column: str, said: str
) -> None:
    file = second.root / ENCODING
    old = "            tuple(read), tuple(names), categorical"
    assert old in file.read_text()
    file.write_text(
        file.read_text().replace(old, f"(*read, {column!r}), tuple(names), categorical")
    )
    second.commit()
    assert second.gate() == 1
    assert said in reasons(second)["candidate answers"]


def test_a_feature_that_hangs_is_ended_when_the_bases_policy_says(second: Any) -> None:
    second.on_main(("conf/gate/standard.yaml", f"answer_seconds: 10\n{second.policy}"))
    second.write("conf/gate/standard.yaml", f"answer_seconds: 900\n{second.policy}")
    in_feature(second, "import time; time.sleep(600)\n")
    assert second.gate() == 1
    assert second.report["policy"]["answer_seconds"] == 10
    assert "no answer after 10 seconds and was ended" in reasons(second)["candidate answers"]


def test_a_slow_feature_is_rejected_by_the_gates_own_clock(second: Any) -> None:
    limits = "{one_row_ms: 20, hundred_rows_ms: 500, ratio: 100, negligible_ms: 500, repeats: 5}"
    second.on_main(("conf/gate/standard.yaml", f"{second.policy}  latency: {limits}\n"))
    assert second.gate() == 0
    clock = "import time; time.perf_counter = time.monotonic = lambda: 0.0\n"
    in_feature(second, f"{clock}import time; time.sleep(0.03)\n")
    assert second.gate() == 1
    assert set(reasons(second)) == {"latency 1 row"}
    assert "the time for 1 row in ms is" in reasons(second)["latency 1 row"]


def test_a_feature_that_imports_pandas_is_told_what_to_do(second: Any) -> None:
    in_feature(second, "import pandas\n")
    assert second.gate() == 1
    said = "pandas is not in the serving image: use numpy, or add the package to group serve"
    assert said in reasons(second)["candidate answers"]


@pytest.mark.parametrize(
    "attribute", some(["export-ignore", "export-subst", "filter=x", "eol=crlf"], every=2)
)
def test_attributes_do_not_hide_the_judge(second: Any, attribute: str) -> None:
    hidden = ("engine/src/mlops/gate/**", "src/policy/**", "conf/**", "*")
    lines = "".join(f"{path} {attribute}\n" for path in hidden)
    second.on_main((".gitattributes", lines))
    second.write("engine/src/mlops/gate/judge.py", "raise RuntimeError\n")
    is_worse(second)
    assert second.report["judge"]["sha256"] == verdict.judge_sha256(SOURCE)


def show_signatures(second: Any) -> None:
    second.git("config", "log.showSignature", "true")


def quote_paths(second: Any) -> None:
    second.git("config", "core.quotePath", "true")
    second.on_main(("src/policy/maß.py", ""), ("conf/gate/übung.yaml", "rules: {}\n"))


def replace_main(second: Any) -> None:
    lax = second.policy.replace("roc_auc: 0.02", "roc_auc: 0.9")
    second.write("conf/gate/standard.yaml", lax)
    second.commit()
    second.git("replace", "main", "HEAD")


def replace_policy(second: Any) -> None:
    lax = second.policy.replace("roc_auc: 0.02", "roc_auc: 0.9")
    second.write("conf/gate/standard.yaml", lax)
    second.commit()
    old, new = (second.git("rev-parse", f"{r}:conf/gate/standard.yaml") for r in ("main", "HEAD"))
    second.git("replace", old, new)


def other_attributes(second: Any) -> None:
    lines = (
        "engine/src/mlops/gate/** export-ignore\n*.yaml diff=gone\n*.dvc diff=gone filter=gone\n"
    )
    (second.root / "attributes").write_text(lines)
    second.git("config", "core.attributesFile", str(second.root / "attributes"))
    (second.root / ".git/info").mkdir(exist_ok=True)
    (second.root / ".git/info/attributes").write_text(lines)
    second.git("config", "diff.gone.textconv", "true")
    second.git("config", "filter.gone.smudge", "true")


def other_format(second: Any) -> None:
    second.git("config", "core.autocrlf", "true")
    second.git("config", "format.pretty", "%B")
    second.git("config", "color.ui", "always")
    second.git("config", "log.decorate", "full")


@pytest.mark.parametrize(
    "configure",
    some(
        [
            show_signatures,
            quote_paths,
            replace_main,
            replace_policy,
            other_attributes,
            other_format,
        ],
        every=3,
    ),
)
def test_other_git_configuration_changes_no_verdict(
    second: Any, configure: Callable[[Any], None]
) -> None:
    configure(second)
    is_worse(second)
    assert second.report["against"]["commit"] == second.git(
        "--no-replace-objects", "rev-parse", "main"
    )
    assert second.report["champion"] is not None


def as_skops(content: bytes) -> Harm:
    """Return the edit that makes a skops file of this content the model."""

    def change(bundle: Path, manifest: dict[str, Any]) -> None:
        manifest["runtime"] = "skops"
        about = json.loads((bundle / "training.json").read_text())
        (bundle / "training.json").write_text(json.dumps(about | {"runtime": "skops"}))
        (bundle / "model.onnx").unlink()
        (bundle / "model.skops").write_bytes(content)

    return change


def zipped(compression: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


class Attack:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('it ran')",)


def object_array() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([Attack()], dtype=object), allow_pickle=True)
    return stream.getvalue()


def estimator(**node: Any) -> bytes:
    """Return the schema of a skops file of one node."""
    tree = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": []}
    return json.dumps({**tree, **node, "protocol": 2, "_skops_version": "0.16"}).encode()


ARRAY = {
    "__class__": "ndarray",
    "__module__": "numpy",
    "__loader__": "NdArrayNode",
    "type": "numpy",
    "file": "1.npy",
}
FUNCTION = {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode", "content": {}}


def external_data(bundle: Path, _: dict[str, Any]) -> None:
    import onnx

    model = onnx.load(bundle / "model.onnx")
    tensor = onnx.numpy_helper.from_array(np.zeros(8, np.float32), "outside")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../data/prepared/holdout")
    model.graph.initializer.append(tensor)
    (bundle / "model.onnx").write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("harm", "said"),
    some(
        [
            (as_skops(pickle.dumps(Attack())), "no skops file that loads"),
            (
                as_skops(zipped(**{"schema.json": b"{}", "../../x": b""})),
                "members that no train stage",
            ),
            (
                as_skops(zipped(zipfile.ZIP_DEFLATED, **{"schema.json": b" " * (1 << 24)})),
                "members that no train stage",
            ),
            (
                as_skops(zipped(**{"schema.json": estimator(**ARRAY), "1.npy": object_array()})),
                "no skops file that loads",
            ),
            (
                as_skops(zipped(**{"schema.json": estimator(**FUNCTION)})),
                "not on the allow-list: os",
            ),
            (external_data, "refers to data outside of it"),
        ],
        every=3,
    ),
)
def test_a_hostile_model_file_is_rejected(first: Any, harm: Harm, said: str) -> None:
    first.edit(harm)
    assert first.gate() == 1
    (told,) = reasons(first).items()
    assert told[0] == "candidate answers"
    assert said in told[1]
    assert "it ran" not in told[1]


BOMB = "\n".join(
    [
        "a0: &a0 [x, x, x, x, x, x, x, x, x]",
        *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)),
    ]
)
DEEP = "[" * 200_000 + "]" * 200_000


def appended(name: str, text: str) -> Harm:
    """Return the edit that adds lines to a file of the bundle."""

    def change(bundle: Path, _: dict[str, Any]) -> None:
        (bundle / name).write_text(f"{(bundle / name).read_text()}{text}\n")

    return change


def replaced(name: str, content: bytes) -> Harm:
    """Return the edit that puts other bytes in the place of a file."""

    def change(bundle: Path, _: dict[str, Any]) -> None:
        (bundle / name).write_bytes(content)

    return change


def removed(name: str) -> Harm:
    """Return the edit that leaves a file out."""
    return lambda bundle, _: (bundle / name).unlink()


def stated(**other: Any) -> Harm:
    """Return the edit that has the manifest say something else."""
    return lambda _, manifest: manifest.update(other)


@pytest.mark.parametrize(
    ("harm", "said"),
    some(
        [
            (appended("resolved.yaml", BOMB), "resolved.yaml holds aliases"),
            (appended("resolved.yaml", "deep: " + DEEP), "nests deeper than 100 levels"),
            (appended("resolved.yaml", "- ["), "cannot be read"),
            (replaced("resolved.yaml", b"[]"), "cannot read its settings"),
            (replaced("resolved.yaml", b"\xff\xfe\x00"), "cannot be read"),
            (replaced("resolved.yaml", b"data: 1\nmodel: 2\n"), "cannot read its settings"),
            (replaced("contract.json", DEEP.encode()), "contract.json or resolved.yaml"),
            (replaced("contract.json", b"{}"), "contract.json or resolved.yaml"),
            (removed("contract.json"), "the bundle has no contract.json"),
            (stated(lineage=[]), "its manifest.json is none"),
            (stated(task="other"), "its manifest.json is none"),
            (stated(name={"x": 1}), "its manifest.json is none"),
        ],
        every=4,
    ),
)
def test_files_that_cannot_be_read_are_a_reason_and_no_failure(
    first: Any, harm: Harm, said: str
) -> None:
    first.edit(harm)
    assert first.gate() == 1
    (told,) = reasons(first).items()
    assert told[0] == "candidate files"
    assert said in told[1]
    assert first.report["candidate"]["sha256"] == sha256(first.root / "candidate/manifest.json")
    assert first.report["holdout"] is None
    for name in ("gate.md", "gate.html"):
        assert "on no rows, since what the branch brings cannot be read" in first.told(name)


@pytest.mark.parametrize(
    "content", some([b"", b"[]", DEEP.encode(), b'{"files": {"x": 1}}'], every=2)
)
def test_a_manifest_that_is_none_is_rejected_by_its_digest(first: Any, content: bytes) -> None:
    (first.root / "candidate/manifest.json").write_bytes(content)
    assert first.gate() == 1
    assert "no readable manifest.json" in reasons(first)["candidate files"]


def test_a_link_in_the_place_of_the_manifest_is_not_followed(first: Any) -> None:
    (first.root / "candidate/manifest.json").unlink()
    (first.root / "candidate/manifest.json").symlink_to("/dev/zero")
    assert first.gate() == 1
    assert "is a link" in reasons(first)["candidate files"]
    assert first.report["candidate"]["sha256"] is None


@pytest.mark.parametrize(
    ("harm", "part"),
    some(
        [
            (replaced("golden.json", b"PAR1"), "candidate"),
            (replaced("golden.json", DEEP.encode()), "candidate"),
            (replaced("golden.json", b'[{"row": 1, "prediction": {}}]'), "candidate"),
            (replaced("metrics.json", b"\xff"), "candidate metrics"),
            (replaced("metrics.json", DEEP.encode()), "candidate metrics"),
            (replaced("metrics.json", b'{"holdout": 1}'), "candidate metrics"),
            (replaced("training.json", b"{}"), "candidate answers"),
            (replaced("model.onnx", b""), "candidate answers"),
            (replaced("model.onnx", b"\x08\x07" + b"\xff" * 4096), "candidate answers"),
            (stated(holdout=None), "candidate"),
        ],
        every=3,
    ),
)
def test_a_file_that_is_read_later_is_a_reason_as_well(first: Any, harm: Harm, part: str) -> None:
    first.edit(harm)
    assert first.gate() == 1
    assert part in reasons(first)


def test_a_contract_of_other_types_is_rejected(first: Any) -> None:
    def change(bundle: Path, _: dict[str, Any]) -> None:
        contract = json.loads((bundle / "contract.json").read_text())
        contract["columns"]["plan"] = {"type": "number"}
        (bundle / "contract.json").write_text(json.dumps(contract))

    first.edit(change)
    assert first.gate() == 1
    assert "it does not answer" in reasons(first)["candidate answers"]


@pytest.mark.parametrize(
    "content", some([b"", b"PAR1" + b"\xff" * 64 + b"PAR1", b"PAR1", b"x" * 4096], every=2)
)
def test_a_hostile_table_is_a_reason_and_no_failure(first: Any, content: bytes) -> None:
    first_part(first.root / "data/prepared/holdout").write_bytes(content)
    assert first.gate() == 1
    (told,) = reasons(first).items()
    assert told[0] == "candidate rows"
    assert "its data/prepared/holdout cannot be read" in told[1]
    assert "arquet" in told[1]


@pytest.mark.parametrize("share", [0.5, 0.999])
def test_a_truncated_table_is_a_reason_and_no_failure(first: Any, share: float) -> None:
    path = first_part(first.root / "data/prepared/holdout")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert first.gate() == 1
    assert "cannot be read" in reasons(first)["candidate rows"]


def test_a_table_larger_than_the_machine_is_not_read(
    first: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where rows are read alone: a bundle that may use so little is ended before they are.
    little = SimpleNamespace(memory=lambda: 1000)
    monkeypatch.setattr("mlops.gate.candidate.sandbox", little)
    (told,) = first.judged()["reasons"]
    assert told["part"] == "rows"
    assert "and this machine has" in told["reason"]


def test_rows_that_are_not_there_are_a_failure_and_no_reason(
    first: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(first.root / "data/prepared/holdout")
    assert first.gate() == 2
    assert "holdout is missing: run `dvc repro`" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "text"),
    some(
        [
            ("conf/gate/standard.yaml", BOMB),
            ("conf/gate/standard.yaml", "rules: " + DEEP),
            ("params.yaml", f"{BOMB}\ngate: {{rules: *a11}}"),
        ],
        every=2,
    ),
)
def test_a_boundless_policy_of_the_branch_is_only_told(first: Any, name: str, text: str) -> None:
    first.write(name, text)
    assert first.gate() == 0
    assert "this branch" in first.report["policy"]["branch"]["error"]


def test_a_boundless_policy_of_the_base_is_a_failure(
    first: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    first.on_main(("conf/gate/standard.yaml", BOMB))
    assert first.gate() == 2
    assert "its aliases stand for more than 16,777,216 characters" in capfd.readouterr().err


def test_bytecode_that_was_committed_is_not_what_answers(second: Any) -> None:
    place = second.root / "src/project/__pycache__"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    other = second.root.parent / "features.py"
    other.write_text("raise SystemExit('bytecode')\n")
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compiled = place / f"features.{sys.implementation.cache_tag}.pyc"
    py_compile.compile(str(other), str(compiled), invalidation_mode=mode)
    second.git("add", "--force", str(compiled))
    second.commit()
    assert "__pycache__" in second.git("ls-files")
    assert second.gate() == 0


def test_code_that_no_commit_has_answers_nothing(second: Any) -> None:
    second.write(FEATURES, "raise RuntimeError('no commit has this')\n")
    assert second.gate() == 0
