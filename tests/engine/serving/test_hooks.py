"""before, after and endpoints of an owner's serving.py, in a real application of a real bundle."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pandas as pd
import pytest
from baked import SOURCE as PROJECT

from mlops.bundle.reading import load as read
from mlops.data import prepared
from mlops.data.sources import DataError
from mlops.errors import ProjectError
from mlops.runtime.hooks import Before, Veto
from mlops.serving.app import App, create
from mlops.serving.batch import predict
from mlops.serving.loading import load
from mlops.serving.predictor import Predictor
from mlops.serving.settings import ServingSettings

VETO = """
from mlops.serving.hooks import Veto


def before(columns):
    if columns["monthly_fee"][0] == 13.0:
        raise Veto("no contract costs 13 euro", row=0)
    if (columns["monthly_fee"] == 14.0).any():
        raise Veto("nor 14")
"""
HALVED = """
import numpy as np


def after(columns, predictions):
    return np.where(columns["plan"] == "basic", predictions / 2, predictions)
"""
ENDPOINT = """
import json

from fastapi import APIRouter, Request
from mlops.serving.hooks import Veto, served


def router():
    routes = APIRouter(prefix="/offers")

    @routes.post("/{plan}")
    async def offer(plan: str, request: Request) -> dict[str, float | str]:
        if plan == "none":
            raise Veto("there is no such offer")
        predictor = served(request)
        rows = predictor.decode(await request.body())
        risk = float(predictor.answered(rows)[0])
        return {"plan": plan, "risk": risk, "model": predictor.bundle_digest}

    return routes
"""


@pytest.fixture
def owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Put an owner's serving.py in the place of the template's."""

    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "project"]:
            del sys.modules[name]

    def write(text: str) -> Path:
        source = tmp_path / "src"
        shutil.copytree(PROJECT / "src/project", source / "project", dirs_exist_ok=True)
        (source / "project/serving.py").write_text(text)
        monkeypatch.syspath_prepend(source)
        forget()
        return source

    yield write
    forget()


def ask(app: App, method: str, path: str, **options: Any) -> httpx.Response:
    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://served") as client:
            return await client.request(method, path, **options)

    return app.state.runner.run(answer())  # type: ignore[no-any-return]


@pytest.fixture
def started() -> Iterator[Callable[..., App]]:
    """Load applications with these settings, each with an event loop of its own."""
    with ExitStack() as stack:

        def start(folder: Path, **settings: Any) -> App:
            app = create(ServingSettings(bundle=folder, watch_seconds=0, **settings))
            app.state.models.load()
            app.state.runner = stack.enter_context(asyncio.Runner())
            return app

        yield start


def tensors(row: dict[str, Any], app: App) -> dict[str, Any]:
    """Return a row as the Open Inference Protocol has it."""
    name = app.state.models.champion.loaded.contract.name
    described = ask(app, "GET", f"/v2/models/{name}").json()["inputs"]
    inputs = [
        {"name": one["name"], "datatype": one["datatype"], "shape": [1], "data": [row[one["name"]]]}
        for one in described
    ]
    return {"inputs": inputs}


def test_veto_is_the_answer_of_every_door(
    owner: Callable[[str], Path],
    started: Callable[..., App],
    bundle_folder: Path,
    golden: list[dict[str, Any]],
) -> None:
    owner(VETO)
    app = started(bundle_folder)
    assert ask(app, "POST", "/predict", json=golden).status_code == 200
    refused = golden[0] | {"monthly_fee": 13.0}
    for path in ("/predict", "/explain"):
        reply = ask(app, "POST", path, json=refused)
        assert reply.headers["content-type"] == "application/problem+json"
        assert (reply.status_code, reply.json()["row"]) == (422, 0)
        assert reply.json()["type"] == "urn:mlops:problem:veto"
        assert reply.json()["detail"] == "no contract costs 13 euro"
    reply = ask(app, "POST", "/v2/models/churn/infer", json=tensors(refused, app))
    assert reply.status_code == 422
    assert "no contract costs 13 euro" in reply.json()["error"]


def test_large_request_is_vetoed_too(
    owner: Callable[[str], Path],
    started: Callable[..., App],
    bundle_folder: Path,
    golden: list[dict[str, Any]],
) -> None:
    owner(VETO)
    rows = [*golden * 20, golden[0] | {"monthly_fee": 14.0}]
    assert len(json.dumps(rows)) > 1 << 16
    assert ask(started(bundle_folder), "POST", "/predict", json=rows).status_code == 422


@pytest.mark.parametrize("row", ["", ", row=2"])
def test_batch_names_the_vetoed_row(
    row: str, owner: Callable[[str], Path], trained: Path, tmp_path: Path
) -> None:
    table = pd.read_parquet(trained / "data/prepared/holdout").head(5)
    table.loc[2, "monthly_fee"] = 14.0
    table.to_parquet(tmp_path / "rows.parquet")
    owner(VETO.replace('"nor 14"', f'"nor 14"{row}'))
    with pytest.raises(DataError, match=r"row 3 is refused by `before` .* \(nor 14\)"):
        predict(tmp_path / "rows.parquet", tmp_path / "out.csv", trained / "candidate")
    assert not (tmp_path / "out.csv").exists()


def test_labels_missing_and_undeclared_are_told_apart(
    owner: Callable[[str], Path], bundle_folder: Path
) -> None:
    owner(
        "from mlops.serving.hooks import Veto\n"
        "def before(columns):\n"
        "    raise Veto(f\"{list(columns['region'])} {columns['billed_at'].dtype}\")\n"
    )
    contract = read(bundle_folder).contract
    before = Before.find(contract)
    assert before is not None
    undeclared = float(len(contract.columns["region"].categories))
    columns = {
        "region": np.array([1.0, np.nan, undeclared]),
        "billed_at": np.array(["2026-01-01"] * 3, "datetime64[us]"),
    }
    with pytest.raises(Veto, match=r"^\['east', None, ''\] datetime64\[us\]$"):
        before(columns)


def repro(root: Path) -> None:
    """Run the stages that measure and bundle, again."""
    from mlops.bundle.assembly import bundle
    from mlops.config.compose import resolve
    from mlops.evaluation.evaluate import evaluate

    with chdir(root):
        settings = resolve()
        evaluate(settings)
        bundle(settings)


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained project, to change."""
    return Path(shutil.copytree(trained, tmp_path / "project"))


def test_after_is_part_of_what_is_measured_and_served_everywhere(
    owner: Callable[[str], Path], started: Callable[..., App], project: Path, tmp_path: Path
) -> None:
    before = json.loads((project / "candidate/metrics.json").read_text())["holdout"]
    raw = read(project / "candidate")
    owner(HALVED)
    repro(project)
    folder = project / "candidate"
    after = json.loads((folder / "metrics.json").read_text())["holdout"]
    assert after["roc_auc"]["value"] != before["roc_auc"]["value"]

    golden = json.loads((folder / "golden.json").read_text())
    basic = next(one for one in golden if one["row"]["plan"] == "basic")
    predictor = load(folder)
    rows = predictor.decode(json.dumps([basic["row"]]).encode())
    model = raw.model.predict(predictor.matrix(rows))[0]
    assert basic["prediction"] == pytest.approx(model / 2, abs=1e-6)

    app = started(folder)
    served = [ask(app, "POST", path, json=basic["row"]).json() for path in ("/predict", "/explain")]
    for answer in (served[0]["predictions"][0], served[1]["explanations"][0]):
        assert answer["probabilities"]["true"] == pytest.approx(model / 2, abs=1e-6)
    answer = ask(app, "POST", "/v2/models/churn/infer", json=tensors(basic["row"], app)).json()
    assert answer["outputs"][1]["data"][-1] == pytest.approx(model / 2, abs=1e-6)

    table = pd.read_parquet(project / "data/prepared/holdout").head(200)
    table.to_parquet(tmp_path / "rows.parquet")
    predict(tmp_path / "rows.parquet", tmp_path / "out.csv", folder)
    batch = pd.read_csv(tmp_path / "out.csv")["probability_true"]
    columns = prepared.read(tmp_path / "rows.parquet", predictor.loaded.contract)
    np.testing.assert_allclose(batch, predictor.loaded.answer(columns), atol=1e-9)


def test_after_answers_for_a_model_that_onnx_cannot_express_too(
    owner: Callable[[str], Path],
    started: Callable[..., App],
    bundle_folder: Path,
    golden: list[dict[str, Any]],
) -> None:
    row = golden[0] | {"plan": "basic"}
    app = started(bundle_folder)
    answer = ask(app, "POST", "/predict", json=row).json()["predictions"][0]
    owner(HALVED)
    loaded = app.state.models.champion.loaded
    slow = msgspec.structs.replace(loaded, model=loaded.model._replace(runtime="skops"))
    app.state.models.champion = Predictor(slow, "d" * 64)
    halved = ask(app, "POST", "/predict", json=row).json()["predictions"][0]
    expected = answer["probabilities"]["true"] / 2
    assert halved["probabilities"]["true"] == pytest.approx(expected, abs=1e-6)


def test_bundle_that_other_code_made_is_not_served(
    owner: Callable[[str], Path], bundle_folder: Path
) -> None:
    owner(HALVED)
    with pytest.raises(ProjectError, match="does not answer the rows"):
        load(bundle_folder)


def test_golden_rows_are_some_that_before_lets_pass(
    owner: Callable[[str], Path], project: Path
) -> None:
    text = (
        "from mlops.serving.hooks import Veto\n"
        "def before(columns):\n"
        "    if (columns['plan'] == 'basic').any():\n"
        "        raise Veto('basic is sold out')\n"
    )
    owner(text)
    with pytest.raises(ProjectError, match="basic is sold out"):
        load(project / "candidate")
    repro(project)  # the remedy that was named
    assert "basic" not in {
        one["row"]["plan"] for one in json.loads((project / "candidate/golden.json").read_text())
    }
    load(project / "candidate")
    owner(text.replace("(columns['plan'] == 'basic').any()", "True"))
    with pytest.raises(ProjectError, match="vetoes every row of the holdout"):
        repro(project)


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        ("predictions[:-1]", "one answer for each"),
        ("predictions * float('nan')", "no finite number"),
        ("predictions + 2", "no probability"),
        ("None", "one answer for each"),
        ("columns['no_such']", "`after` of .* raised KeyError in line 2"),
    ],
)
def test_what_is_no_answer_is_refused_in_a_sentence(
    returned: str, sentence: str, owner: Callable[[str], Path], bundle_folder: Path
) -> None:
    owner(f"def after(columns, predictions):\n    return {returned}\n")
    with pytest.raises(ProjectError, match=sentence):
        load(bundle_folder)


def test_exception_of_a_hook_is_500_and_quotes_no_row(
    owner: Callable[[str], Path],
    started: Callable[..., App],
    bundle_folder: Path,
    golden: list[dict[str, Any]],
) -> None:
    owner(
        "def before(columns):\n"
        "    if columns['monthly_fee'][0] == 13.25:\n"
        "        raise ValueError(f'secret {columns}')\n"
    )
    app = started(bundle_folder)
    reply = ask(app, "POST", "/predict", json=golden[0] | {"monthly_fee": 13.25})
    assert (reply.status_code, reply.json()["type"]) == (500, "urn:mlops:problem:failed")
    assert "secret" not in reply.text
    assert "13.25" not in reply.text


def test_endpoint_of_ones_own_is_one_of_ours(
    owner: Callable[[str], Path],
    started: Callable[..., App],
    bundle_folder: Path,
    golden: list[dict[str, Any]],
) -> None:
    owner(ENDPOINT)
    app = started(bundle_folder, api_key="long secret", max_body_bytes=5000)
    key = {"x-api-key": "long secret"}
    assert ask(app, "POST", "/offers/basic", json=golden[0]).status_code == 401
    reply = ask(app, "POST", "/offers/basic", json=golden[0], headers=key)
    assert reply.status_code == 200
    said = ask(app, "POST", "/predict", json=golden[0], headers=key).json()
    assert reply.json()["risk"] == pytest.approx(said["predictions"][0]["probabilities"]["true"])
    assert (
        ask(app, "POST", "/offers/none", headers=key).json()["detail"] == "there is no such offer"
    )
    wrong = ask(app, "POST", "/offers/basic", json={}, headers=key)
    assert (wrong.status_code, "field" in wrong.json()) == (422, True)
    large = ask(app, "POST", "/offers/basic", content=b"x" * 6000, headers=key)
    assert large.status_code == 413
    assert 'route="/offers/{plan}"' in ask(app, "GET", "/metrics", headers=key).text
    assert "/offers/{plan}" in ask(app, "GET", "/openapi.json", headers=key).json()["paths"]


def test_the_example_of_the_documentation_works_as_written(
    owner: Callable[[str], Path],
    started: Callable[..., App],
    project: Path,
    golden: list[dict[str, Any]],
) -> None:
    text = (PROJECT / "engine/docs/serving.md").read_text(encoding="utf-8")
    owner(text.partition("```python\n")[2].partition("```")[0])
    repro(project)
    app = started(project / "candidate")
    certain = [one["probabilities"]["true"] for one in answers(app, golden)]
    assert [round(one, 2) for one in certain] == pytest.approx(certain)
    offered = ask(app, "POST", "/offers", json=golden).json()["offer"]
    assert offered == [at for at, one in enumerate(certain) if one > 0.3]
    reply = ask(app, "POST", "/predict", json=[golden[0], golden[1] | {"tenure_months": -1}])
    assert (reply.status_code, reply.json()["row"]) == (422, 1)


def answers(app: App, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the predictions for rows."""
    return list(ask(app, "POST", "/predict", json=rows).json()["predictions"])


@pytest.mark.parametrize(
    "path", ["/predict", "/model", "/{anything}", "/page/mine", "/v2/mine", "/docs", "/healthz"]
)
def test_endpoint_may_not_shadow_ours(path: str, owner: Callable[[str], Path]) -> None:
    owner(
        "from fastapi import APIRouter\n"
        "def router():\n"
        "    routes = APIRouter()\n"
        f"    routes.add_api_route({path!r}, lambda: {{}})\n"
        "    return routes\n"
    )
    with pytest.raises(ProjectError, match="would stand in the way of /"):
        create(ServingSettings())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("import no_such_package\n", r"src/project/serving\.py:1 cannot be imported"),
        ("router = 3\n", "`router` of .* is no function"),
        ("def router():\n    return 3\n", "return a fastapi.APIRouter"),
        ("def router():\n    return 1 / 0\n", "ZeroDivisionError"),
    ],
)
def test_serving_that_is_none_is_refused_at_start(
    text: str, sentence: str, owner: Callable[[str], Path]
) -> None:
    owner(text)
    with pytest.raises(ProjectError, match=sentence):
        create(ServingSettings())


def test_server_process_has_it_and_logs_no_value(
    owner: Callable[[str], Path], bundle_folder: Path, golden: list[dict[str, Any]], tmp_path: Path
) -> None:
    source = owner(
        ENDPOINT + "\ndef before(columns):\n    if (columns['monthly_fee'] == 13.25)"
        ".any():\n        raise ValueError(f'secret {columns}')\n"
    )
    command = [sys.executable, "-m", "mlops.cli", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--bundle", str(bundle_folder)],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(PROJECT / "engine/src"), str(source)])},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        address = process.stdout.readline().rpartition(" at ")[2].strip()
        reply = httpx.post(f"{address}/offers/basic", json=golden[0])
        assert (reply.status_code, reply.json()["plan"]) == (200, "basic")
        failed = httpx.post(f"{address}/predict", json=golden[0] | {"monthly_fee": 13.25})
        assert failed.status_code == 500
    finally:
        process.terminate()
        _, log = process.communicate(timeout=30)
    assert "serving.py" in log
    assert "before" in log
    assert "secret" not in log


def test_server_process_says_in_one_sentence_what_is_wrong(
    owner: Callable[[str], Path], bundle_folder: Path, tmp_path: Path
) -> None:
    source = owner("import no_such_package\n")
    paths = os.pathsep.join([str(PROJECT / "engine/src"), str(source)])
    done = subprocess.run(
        [sys.executable, "-m", "mlops.cli", "serve", "--bundle", bundle_folder, "--port", "0"],
        env=os.environ | {"PYTHONPATH": paths},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "src/project/serving.py:1 cannot be imported" in done.stderr
    assert "Traceback" not in done.stderr
