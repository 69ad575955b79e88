"""A bundle that is not what it says is not loaded, and nothing of it is run."""

import functools
import io
import json
import os
import pickle
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from mlops.bundle import contents, manifest
from mlops.bundle import reading as bundles
from mlops.errors import ProjectError
from mlops.runtime import model as runtime
from mlops.serving.loading import load
from mlops.training.compilation import compile_model

RNG = np.random.default_rng(7)


@pytest.fixture
def bundle(bundle_folder: Path, tmp_path: Path) -> Path:
    """A bundle to damage."""
    return Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """What does not exist, unless a bundle makes it."""
    return tmp_path / "canary"


def seal(folder: Path, **changes: Any) -> None:
    """Recompute every digest, as one does who wants a change not to be found."""
    content = manifest.read(folder)
    del content["files"]
    manifest.write(folder, content | changes)


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps(change(content) or content))


def refused(folder: Path, said: str, canary: Path | None = None, expect: str | None = None) -> None:
    with pytest.raises(ProjectError, match=said) as raised:
        load(folder, expect=expect)
    assert "\n" not in str(raised.value)
    assert canary is None or not canary.exists()


def made_skops(folder: Path, content: bytes | None = None) -> None:
    """Make the bundle one of a scikit-learn model: a fitted one, or other content."""
    width = len(manifest.read(folder)["features"])
    matrix = RNG.normal(size=(200, width)).astype(np.float32)
    fitted = HistGradientBoostingClassifier(max_iter=2).fit(matrix, matrix[:, 0] > 0)
    (folder / runtime.ONNX).unlink()
    if content is None:
        compile_model(fitted, "binary", matrix, folder, runtime="skops", tolerance=1e-5)
    else:
        (folder / runtime.SKOPS).write_bytes(content)
    edit(folder / runtime.ABOUT, lambda about: about | {"runtime": "skops"})
    seal(folder, runtime="skops")


class Touch:
    """What creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mknod, (str(self.path),)


def test_whole_bundle_answers_as_recorded(bundle: Path) -> None:
    predictor = load(bundle, expect=manifest.bundle_digest(bundle))
    assert predictor.bundle_digest == manifest.bundle_digest(bundle)
    golden = json.loads((bundle / "golden.json").read_text())
    rows = predictor.decode(json.dumps([one["row"] for one in golden]).encode())
    answers = predictor.predict(predictor.matrix(rows))
    np.testing.assert_allclose(answers, [one["prediction"] for one in golden], atol=1e-5)


def test_folder_may_be_a_link(bundle: Path) -> None:
    (bundle.parent / "current").symlink_to(bundle)
    assert load(bundle.parent / "current").bundle_digest == manifest.bundle_digest(bundle)


def test_nothing_is_read_after_it_was_verified(bundle: Path) -> None:
    content = contents.read(bundle)
    shutil.rmtree(bundle)
    loaded = bundles.parsed(content)
    assert loaded.model.width == len(loaded.encoder.names)
    assert set(loaded.files) == set(content.files) - {"model.onnx", "holdout.npy"}


def test_skops_bundle_answers_as_recorded(bundle: Path) -> None:
    made_skops(bundle)
    refused(bundle, "does not answer the rows")
    loaded = bundles.load(bundle)

    def answered(golden: list[dict[str, Any]]) -> None:
        arrays = _arrays(loaded, [one["row"] for one in golden])
        for one, prediction in zip(golden, loaded.model.predict(arrays), strict=True):
            one["prediction"] = float(prediction)

    edit(bundle / "golden.json", answered)
    edit(bundle / "edges.json", answered)
    seal(bundle)
    assert load(bundle).loaded.model.runtime == "skops"


def _arrays(loaded: bundles.Loaded, rows: list[dict[str, Any]]) -> np.ndarray:
    from mlops.serving.predictor import Predictor

    predictor = Predictor(loaded, "")
    return predictor.matrix(predictor.decode(json.dumps(rows).encode()))


@pytest.mark.parametrize("name", ["model.onnx", "model.skops"])
def test_pickle_under_another_name(name: str, bundle: Path, canary: Path) -> None:
    content = pickle.dumps(Touch(canary))
    if name == "model.skops":
        made_skops(bundle, content)
    else:
        (bundle / name).write_bytes(content)
        seal(bundle)
    refused(bundle, f"{name} is no", canary)
    pickle.loads(content)
    assert canary.exists()


def test_skops_of_a_foreign_function(bundle: Path, canary: Path) -> None:
    from skops.io import dumps

    made_skops(bundle, dumps(functools.partial(os.mknod, str(canary))))
    refused(bundle, "not on the allow-list: .*mknod", canary)


def test_skops_of_a_foreign_module_does_not_import_it(
    bundle: Path, canary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from skops.io import dumps

    code = f"import pathlib\npathlib.Path({str(canary)!r}).touch()\nclass Model: pass\n"
    (tmp_path / "foreign_module.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    import foreign_module

    made_skops(bundle, dumps(foreign_module.Model()))
    del sys.modules["foreign_module"]
    canary.unlink()
    refused(bundle, "not on the allow-list: foreign_module.Model", canary)
    assert "foreign_module" not in sys.modules


def archive(*members: tuple[str, bytes], deflated: bool = False, link: bool = False) -> bytes:
    buffer = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", kind) as file:
        for name, content in members:
            about = zipfile.ZipInfo(name)
            about.compress_type = kind
            about.external_attr = (0o120777 if link else 0o644) << 16
            file.writestr(about, content)
    return buffer.getvalue()


def overlapping() -> bytes:
    """Return an archive in which a thousand members are the same megabyte."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("0.npy", bytes(1 << 20))
        first = file.infolist()[0]
        for number in range(1, 1000):
            more = zipfile.ZipInfo(f"{number}.npy")
            for name in ("CRC", "file_size", "compress_size", "header_offset"):
                setattr(more, name, getattr(first, name))
            file.filelist.append(more)
            file.NameToInfo[more.filename] = more
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            archive(("schema.json", bytes(64 << 20)), deflated=True),
            r"writes \(schema\.json\)",
        ),
        (overlapping(), "holds more than it can"),
        (archive(("schema.json", b"{}"), ("../out.npy", b"x")), r"writes \(\.\./out\.npy\)"),
        (archive(("schema.json", b"{}"), ("/out.npy", b"x")), r"writes \(/out\.npy\)"),
        (archive(("schema.json", b"/etc/passwd"), link=True), r"writes \(schema\.json\)"),
        (archive(("a.npy", b"x")), "is no skops file"),
        (archive(("schema.json", b"[" * 100_000)), "is no skops file"),
        (archive(("schema.json", b'{"protocol": 99}')), "is no skops file"),
    ],
    ids=["bomb", "overlap", "up", "absolute", "link", "no schema", "deep", "protocol"],
)
def test_archive_that_no_train_stage_wrote(content: bytes, said: str, bundle: Path) -> None:
    assert len(content) < 2 << 20
    made_skops(bundle, content)
    refused(bundle, said)


def test_truncated_onnx(bundle: Path) -> None:
    whole = (bundle / "model.onnx").read_bytes()
    (bundle / "model.onnx").write_bytes(whole[: len(whole) // 2])
    seal(bundle)
    refused(bundle, "no ONNX model that loads")


def outside(location: str, width: int) -> bytes:
    """Return an ONNX model whose weights are in another file."""
    from onnx import TensorProto, helper

    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[width, 2])
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(width * 8))):
        weights.external_data.add(key=key, value=value)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["features", "w"], ["probabilities"])],
        "g",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2])],
        [weights],
    )
    opset = [helper.make_opsetid("", 21)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString())


@pytest.mark.parametrize("location", ["../../etc/passwd", "/etc/passwd", "weights"])
def test_onnx_with_data_outside_is_refused_before_it_is_parsed(
    location: str, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    width = len(manifest.read(bundle)["features"])
    (bundle / "model.onnx").write_bytes(outside(location, width))
    seal(bundle)
    refused(bundle, "refers to data outside")


def test_yaml_that_calls(bundle: Path, canary: Path) -> None:
    call = f'seed: !!python/object/apply:os.mknod ["{canary}"]\n'
    (bundle / "resolved.yaml").write_text(call)
    seal(bundle)
    refused(bundle, r"resolved\.yaml of the bundle cannot be read", canary)


def test_yaml_that_grows(bundle: Path) -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 64)]
    (bundle / "resolved.yaml").write_text("\n".join(lines))
    seal(bundle)
    refused(bundle, "holds aliases")


def other_width(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(_linear(len(manifest.read(folder)["features"]) + 1))


def _linear(width: int) -> bytes:
    from sklearn.linear_model import LogisticRegression

    from mlops.training.compilation import convert

    matrix = RNG.normal(size=(50, width)).astype(np.float32)
    return convert(LogisticRegression().fit(matrix, matrix[:, 0] > 0), "binary", width)


def other_model(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(_linear(len(manifest.read(folder)["features"])))


def golden(change: Callable[[list[Any]], Any]) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "golden.json", change)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (golden(lambda rows: rows[3].update(prediction=0.123)), "as recorded"),
        (golden(lambda rows: rows[0].update(prediction=[0.5, 0.5])), "cannot be read"),
        (golden(lambda rows: rows[0]["row"].popitem() and None), r"golden\.json is refused"),
        (golden(lambda rows: {"rows": rows}), "cannot be read"),
        (lambda folder: (folder / "golden.json").write_text("[]"), "holds no rows"),
        (lambda folder: (folder / "golden.json").write_text("[NaN]"), "cannot be read"),
        (lambda folder: (folder / "golden.json").unlink(), "cannot be read"),
        (other_model, "as recorded"),
        (other_width, "width of the model"),
        (
            lambda f: edit(f / "contract.json", lambda c: c | {"description": "another"}),
            r"contradicts itself \(contract\)",
        ),
        (
            lambda f: edit(f / "manifest.json", lambda c: c | {"features": ["one"]}),
            r"contradicts itself \(features\)",
        ),
        (
            lambda f: edit(f / "training.json", lambda c: c | {"task": "regression"}),
            r"contradicts itself \(task of the model\)",
        ),
        (
            lambda f: edit(f / "training.json", lambda c: c | {"runtime": "pickle"}),
            "no known task and runtime",
        ),
        (lambda f: (f / "contract.json").write_text("{}"), "cannot be read"),
        (lambda f: (f / "contract.json").unlink(), r"no contract\.json"),
        (lambda f: (f / "model.onnx").unlink(), "no model"),
    ],
)
def test_bundle_with_good_digests_that_does_not_hold_together(
    damage: Callable[[Path], Any], said: str, bundle: Path
) -> None:
    damage(bundle)
    seal(bundle)
    refused(bundle, said)
