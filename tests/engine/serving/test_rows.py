"""Every row that fits the contract is decoded, and no other."""

import json
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.config.settings import Features
from mlops.contract import Column, Contract, Source
from mlops.data import prepared
from mlops.data.parsing import parse
from mlops.features.encoding import Encoder
from mlops.serving.cells import read
from mlops.serving.diagnosis import diagnose
from mlops.serving.predictor import Predictor
from mlops.serving.problem import Problem
from mlops.serving.rows import RowSchema


def text(row: dict[str, Any], **changes: Any) -> str:
    return json.dumps(row | changes)


def test_lone_surrogate_is_refused(champion: Predictor, golden: list[dict[str, Any]]) -> None:
    with pytest.raises(Problem) as raised:
        champion.decode(text(golden[0], plan="\ud800").encode())
    assert raised.value.status == 400


def test_fields_in_any_order_and_spacing(champion: Predictor, golden: list[dict[str, Any]]) -> None:
    turned = dict(reversed(golden[0].items()))
    ways = (
        text(golden[0]),
        json.dumps(turned, indent=3),
        json.dumps(turned, separators=(",", ":")),
    )
    decoded = [champion.decode(way.encode()) for way in ways]
    assert decoded == [decoded[0]] * 3


def test_escaped_texts_are_not_taken_for_duplicates(
    champion: Predictor, golden: list[dict[str, Any]]
) -> None:
    for plan in ('"', '\\"', '":', "\\", "é", '","plan":"'):
        (row,) = champion.decode(text(golden[0], plan=plan).encode())
        assert champion.schema.record(row)["plan"] == plan


def test_moments_are_naive_and_in_utc(champion: Predictor, golden: list[dict[str, Any]]) -> None:
    for said in ("2026-03-01T01:00:00+02:00", "2026-02-28T23:00:00", "2026-02-28T23:00Z"):
        (row,) = champion.decode(text(golden[0], billed_at=said).encode())
        assert champion.schema.record(row)["billed_at"] == datetime(2026, 2, 28, 23)


def test_whole_number_may_have_a_point(champion: Predictor, golden: list[dict[str, Any]]) -> None:
    whole = champion.decode(text(golden[0], tenure_months=7).encode())
    point = champion.decode(text(golden[0], tenure_months=7.0).encode())
    assert point == whole


def test_unseen_category_is_refused_where_that_is_asked(
    champion: Predictor, golden: list[dict[str, Any]]
) -> None:
    loaded = champion.loaded
    strict = RowSchema(loaded.contract, loaded.encoder, "refuse")
    assert len(strict.decode(json.dumps(golden).encode())) == len(golden)
    champion.decode(text(golden[0], plan="platinum").encode())
    for plan in ("platinum", ""):
        with pytest.raises(Problem) as raised:
            strict.decode(f"[{text(golden[1])}, {text(golden[0], plan=plan)}]".encode())
        assert (raised.value.status, raised.value.row, raised.value.field) == (422, 1, "plan")


def test_a_text_that_means_no_value_is_refused_where_null_is(
    champion: Predictor, golden: list[dict[str, Any]]
) -> None:
    for plan in ("", " NA ", "null"):
        with pytest.raises(Problem) as raised:
            champion.matrix(
                champion.decode(f"[{text(golden[1])}, {text(golden[0], plan=plan)}]".encode())
            )
        assert (raised.value.row, raised.value.field) == (1, "plan")
        assert "which means no value" in (raised.value.detail or "")
    for region in ("NA", " null", None):
        rows = champion.decode(text(golden[0], region=region).encode())
        assert np.isnan(champion.schema.arrays(rows)["region"]).all()


def test_the_labels_of_a_table_are_taken(champion: Predictor, golden: list[dict[str, Any]]) -> None:
    (given,) = champion.decode(text(golden[0], auto_renew=True, plan="basic").encode())
    for auto_renew in ("Yes", "t", 1):
        body = text(golden[0], auto_renew=auto_renew, plan=" basic ").encode()
        assert champion.decode(body) == [given]
        assert champion.decode(b"[%b]" % body) == [given]
    with pytest.raises(Problem, match="has a field twice"):
        champion.decode(text(golden[0], auto_renew="Yes")[:-1].encode() + b', "auto_renew": true}')


EXTRA = {"customer_id": "C-1", "churned": True, "email": ["x", "y"]}


@pytest.fixture(scope="module")
def lenient(champion: Predictor) -> Predictor:
    return Predictor(champion.loaded, champion.bundle_digest, extra="ignore")


def test_fields_that_are_declared_and_not_needed_are_ignored_where_asked(
    champion: Predictor, lenient: Predictor, golden: list[dict[str, Any]]
) -> None:
    plain = champion.decode(json.dumps(golden).encode())
    full = [golden[0] | EXTRA, *golden[1:]]
    rows = lenient.decode(json.dumps(full).encode())
    assert [lenient.schema.record(row) for row in rows] == [
        champion.schema.record(row) for row in plain
    ]
    np.testing.assert_array_equal(lenient.matrix(rows), champion.matrix(plain))
    predictions = lenient.answered(rows)
    answer = json.loads(lenient.answer(predictions, "r", rows))["predictions"]
    assert answer[0]["ids"] == {"customer_id": "C-1"}
    assert "ids" not in answer[1]
    without = [{k: v for k, v in item.items() if k != "ids"} for item in answer]
    assert without == json.loads(champion.answer(predictions, "r", plain))["predictions"]
    with pytest.raises(Problem, match=r"leave customer_id out, or .* `extra: ignore`"):
        champion.decode(json.dumps(full).encode())


@pytest.mark.parametrize("sent", ["4006381333931", '"say \\"no\\""', "null", '"é"', "-0.50"])
def test_an_id_comes_back_as_it_was_sent(
    sent: str, lenient: Predictor, golden: list[dict[str, Any]]
) -> None:
    body = f'{text(golden[0])[:-1]}, "customer_id": {sent}}}'.encode()
    rows = lenient.decode(body)
    assert f'"ids":{{"customer_id":{sent}}}'.encode() in lenient.answer(
        lenient.answered(rows), "r", rows
    )


@pytest.mark.parametrize(
    ("member", "slug"),
    [
        ('"customer_id": "a", "customer_id": "b"', "duplicate-field"),
        ('"email": "a", "email": ["\\"", 1]', "duplicate-field"),
        ('"customer_id": ["a"]', "bad-value"),
        ('"nobody": 1', "unknown-field"),
        ('"email": 1, "plan": "basic"', "duplicate-field"),
    ],
)
def test_what_may_be_ignored_is_not_anything(
    member: str, slug: str, lenient: Predictor, golden: list[dict[str, Any]]
) -> None:
    with pytest.raises(Problem) as raised:
        lenient.decode(f"{text(golden[0])[:-1]}, {member}}}".encode())
    assert raised.value.slug == slug


@settings(max_examples=100)
@given(data=st.data())
def test_valid_rows_are_read_as_the_slow_parser_reads_them(
    data: st.DataObject, champion: Predictor, valid: st.SearchStrategy[dict[str, Any]]
) -> None:
    rows = data.draw(st.lists(valid, min_size=1, max_size=4))
    body = json.dumps(rows, ensure_ascii=data.draw(st.booleans())).encode()
    decoded = champion.decode(body)
    assert diagnose(body, champion.schema.columns) is None
    columns = champion.schema.columns
    for row, sent in zip(decoded, rows, strict=True):
        expected = {name: read(value, columns[name]) for name, value in sent.items()}
        assert champion.schema.record(row) == expected


@settings(max_examples=100)
@given(data=st.data())
def test_no_duplicate_passes(
    data: st.DataObject, champion: Predictor, valid: st.SearchStrategy[dict[str, Any]]
) -> None:
    rows = data.draw(st.lists(valid, min_size=1, max_size=3))
    name = data.draw(st.sampled_from(champion.schema.names))
    index = data.draw(st.integers(0, len(rows) - 1))
    value = json.dumps(data.draw(valid)[name])
    space = data.draw(st.sampled_from(["", " ", "\n\t "]))
    at_start = data.draw(st.booleans())
    texts = [json.dumps(row, ensure_ascii=data.draw(st.booleans())) for row in rows]
    member, inner = f'"{name}"{space}:{space}{value}', texts[index][1:-1]
    texts[index] = f"{{{member},{inner}}}" if at_start else f"{{{inner},{member}}}"
    with pytest.raises(Problem) as raised:
        champion.decode(f"[{','.join(texts)}]".encode())
    found = raised.value
    assert (found.slug, found.row, found.field) == ("duplicate-field", index, name)


def declared(**columns: dict[str, Any]) -> RowSchema:
    """Return the schema of a contract with these columns."""
    content = {
        "name": "odd",
        "task": "regression",
        "columns": {**columns, "y": {"type": "number", "role": "target"}},
    }
    contract = msgspec.convert(content, Contract)
    return RowSchema(contract, Encoder.build(contract, Features()))


def test_columns_may_have_any_name() -> None:
    names = ("class", "two words", "f0", "__slots__", "é", "a.b`c", "self", "")
    schema = declared(**{name: {"type": "number"} for name in names})
    (row,) = schema.decode(json.dumps(dict.fromkeys(names, 1)).encode())
    assert schema.record(row) == dict.fromkeys(names, 1.0)
    with pytest.raises(Problem) as raised:
        schema.decode(json.dumps(dict.fromkeys(names, 1) | {"a.b`c": "x"}).encode())
    assert raised.value.field == "a.b`c"


def test_name_that_no_field_can_have_is_said_with_the_remedy() -> None:
    with pytest.raises(ValueError, match="rename that column"):
        declared(**{'the "best"': {"type": "number"}})


@pytest.mark.parametrize(("kind", "value"), [("number", 1.5), ("integer", 2), ("boolean", True)])
def test_one_column_alone(kind: str, value: Any) -> None:
    schema = declared(only={"type": kind, "nullable": True})
    assert len(schema.decode(json.dumps([{"only": value}, {"only": None}]).encode())) == 2


def test_json_schema_says_what_is_required_and_what_may_be_null(champion: Predictor) -> None:
    schema = champion.schema.json_schema()
    assert schema["required"] == list(champion.schema.names)
    assert schema["additionalProperties"] is False
    assert {"type": "null"} in schema["properties"]["region"]["anyOf"]
    assert schema["properties"]["plan"]["examples"] == ["basic", "standard", "premium"]
    strict = RowSchema(champion.loaded.contract, champion.loaded.encoder, "refuse").json_schema()
    assert set(strict["properties"]["plan"]["enum"]) == {"basic", "standard", "premium"}


NOTES = Contract(
    "notes",
    "binary",
    {
        "note": Column("text", nullable=True),
        "title": Column("text"),
        "y": Column("boolean", role="target"),
    },
    Source(missing=["?"]),
)
TEXTS = RowSchema(NOTES, Encoder(("note", "title"), ("x",), (), (), {}))


def test_texts_are_read_as_a_table_has_them() -> None:
    said = [["  late ", "A"], [None, ""], ["?", 'say "no"'], ["", "é\\"]]
    body = json.dumps([{"note": note, "title": title} for note, title in said])
    columns = TEXTS.arrays(TEXTS.decode(body.encode()))
    assert columns["note"].tolist() == ["late", None, None, ""]
    assert columns["title"].tolist() == ["A", "", 'say "no"', "é\\"]
    assert columns["note"].dtype == object


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"note": 3, "title": "a"}', "note"),
        ('{"note": null, "title": null}', "title"),
        ('{"note": "a", "note": "b", "title": ""}', "note"),
        ('{"note": "a"}', "title"),
    ],
)
def test_what_is_no_text_is_refused(body: str, field: str) -> None:
    with pytest.raises(Problem) as raised:
        TEXTS.decode(body.encode())
    assert raised.value.field == field


def test_a_text_is_described_as_one() -> None:
    properties = TEXTS.json_schema()["properties"]
    assert properties["title"] == {"type": "string"}
    assert {"type": "null"} in properties["note"]["anyOf"]


READ = {
    "price": Column("number", units={"$": 1.0, "k": 1000.0}),
    "temp": Column("number", nullable=True, missing=["-200", "n.b."]),
    "term": Column(
        "integer", nullable=True, units={"months": 1.0, "years": 12.0}, missing=["9999"]
    ),
    "plan": Column("category", nullable=True, categories=["basic"], missing=["none"]),
}


def reading(decimal: str = ".") -> tuple[Contract, RowSchema]:
    target = {"y": Column("boolean", role="target")}
    source = Source(format="csv", decimal=decimal)  # type: ignore[arg-type]
    contract = Contract("t", "binary", READ | target, source)
    return contract, RowSchema(contract, Encoder.build(contract, Features()))


@pytest.mark.parametrize(
    ("row", "decimal"),
    [
        ({"price": "$1,200", "temp": "-200", "term": "2 years", "plan": "none"}, "."),
        ({"price": "1.5k", "temp": "n.b.", "term": "9999", "plan": "basic"}, "."),
        ({"price": "$1.200,5", "temp": "-200", "term": "18 months", "plan": "other"}, ","),
        ({"price": "7", "temp": "30.5", "term": "36", "plan": "basic"}, "."),
    ],
)
def test_units_and_missing_are_read_as_predict_reads_them(
    row: dict[str, str], decimal: str
) -> None:
    contract, schema = reading(decimal)
    raw = pd.DataFrame({name: [cell] for name, cell in row.items()}, dtype="str")
    offline = {name: parse(raw[name], READ[name], contract.source).values for name in READ}
    sent = {**row, "temp": float(row["temp"])} if row["temp"] != "n.b." else row
    found = schema.arrays(schema.decode(json.dumps(sent).encode()))
    for name in ("price", "temp", "term"):
        assert found[name].tolist() == pytest.approx(offline[name].tolist(), nan_ok=True), name
    expected = prepared.codes(pa.array(offline["plan"], pa.string(), from_pandas=True), ["basic"])
    assert found["plan"].tolist() == pytest.approx(expected.tolist(), nan_ok=True)


def test_another_unit_is_refused_with_those_that_are_declared() -> None:
    _, schema = reading()
    row = {"price": "€5", "temp": None, "term": 3, "plan": None}
    with pytest.raises(Problem, match="price must be a number, alone or with the unit \\$, k"):
        schema.decode(json.dumps(row).encode())
