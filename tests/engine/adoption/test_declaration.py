import string

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from ruamel.yaml import YAML

from mlops.adoption.declaration import adopted, contract_text, features_text, unedited, with_choices
from mlops.config.settings import Derived
from mlops.contract import UNNAMEABLE, Column, Contract, Role, Source

HOSTILE = [
    "${oc.env:HOME}",
    "\\${x}",
    "\\\\${y} ${z",
    "???",
    "yes",
    "no",
    "on",
    "NULL",
    "~",
    "",
    "1e5",
    "0x1F",
    "012",
    "1_000",
    "12:30:45",
    "2020-01-01",
    ".inf",
    "a: b",
    "#c",
    "- d",
    "'e'",
    '"f"',
    "{g}",
    "[h",
    "line\nbreak",
    "tab\t",
    " space ",
    "größe €",
    "\x85\u2028\ufeff",
    "x" * 300,
]
EXPERIMENT = """\
# top

data:
  use: churn   # the sample
  columns:
    a: {max: 3}
  x: 1   # in

# about split
split: {use: time, cutoff: 2019-01-01}

# about the model
model:   # m
  use: boosting  # b
seed: 3
"""
CHOICES = {
    "data": {"use": "on"},
    "features": {"use": "columns"},
    "split": {"use": "time", "cutoff": "2020-02-03"},
}
texts = st.text(
    st.one_of(
        st.sampled_from("${}\\?:#'\" -,[]"),
        st.characters(codec="utf-8", exclude_categories=["Cs"]),
        st.sampled_from(string.ascii_letters),
    ),
    max_size=12,
)


def role(name: str) -> Role:
    """Return what a column may be: a request has no field of such a name."""
    return "ignored" if UNNAMEABLE.search(name) else "feature"


def contract(names: list[str], labels: list[str]) -> Contract:
    columns = {f"{name}x": Column("category", role(name), categories=labels) for name in names}
    columns["plain"] = Column("number")
    columns["target "] = Column("category", role="target", categories=["no", "yes"])
    return Contract(
        name="t", task="binary", columns=columns, source=Source(separator="\t", missing=labels)
    )


def check(written: Contract) -> None:
    text = contract_text(written, "file\n.csv", 12)
    resolved = OmegaConf.to_container(OmegaConf.create(text), resolve=True)
    assert not OmegaConf.missing_keys(OmegaConf.create(text))
    assert msgspec.convert(resolved, Contract) == written
    plain = yaml.safe_load(text)
    assert YAML(typ="safe").load(text) == plain
    assert list(plain["columns"]) == list(written.columns)
    assert unedited(text)


def test_every_reader_sees_hostile_names_and_labels_as_they_are() -> None:
    check(contract(HOSTILE, HOSTILE))


@given(
    st.lists(texts, min_size=1, max_size=4, unique=True),
    st.lists(texts, min_size=1, max_size=4, unique=True),
)
def test_every_reader_sees_any_text_as_it_is(names: list[str], labels: list[str]) -> None:
    check(contract(names, labels))


def test_a_short_column_takes_one_line() -> None:
    written = Contract(
        name="t",
        task="regression",
        columns={
            "age": Column("number", min=0, max=16.5, nullable=True),
            "y": Column("integer", role="target", min=-3, max=1e6),
        },
    )
    lines = contract_text(written, "t.csv", 1000).splitlines()
    assert "  age: {type: number, nullable: true, min: 0, max: 16.5}" in lines
    assert '  "y": {type: integer, role: target, min: -3, max: 1000000}' in lines
    assert not any("missing:" in line for line in lines)
    assert max(map(len, lines)) <= 100


def test_says_whether_somebody_edited_it() -> None:
    text = features_text("t", {"h": Derived("hour_of_day", ["${t}"], "unassigned")})
    assert unedited(text)
    assert unedited(text.replace("h: {", "g: {")) is False
    assert adopted(text.replace("h: {", "g: {"))
    assert not adopted("exclude: []\n")
    features = OmegaConf.to_container(OmegaConf.create(text), resolve=True)
    assert features == {
        "exclude": [],
        "derived": {"h": {"function": "hour_of_day", "columns": ["${t}"], "owner": "unassigned"}},
    }


def test_choices_keep_comments_and_other_parts_and_drop_what_belonged_to_the_old() -> None:
    assert (
        with_choices(EXPERIMENT, CHOICES, fresh=True)
        == """\
# top

data:
  use: "on"

# about split
split: {use: time, cutoff: "2020-02-03"}

# about the model
model:   # m
  use: boosting  # b
seed: 3
features:
  use: columns
"""
    )


def test_the_same_choice_keeps_what_was_changed_in_it() -> None:
    experiment = "data:\n  use: t\n  description: mine\nsplit:\n  use: hash\n  salt: other\n"
    choices = {"data": {"use": "t"}, "split": {"use": "hash"}}
    assert with_choices(experiment, choices, fresh=False) == experiment
    rewritten = with_choices(experiment, choices, fresh=True)
    assert rewritten == "data:\n  use: t\nsplit:\n  use: hash\n  salt: other\n"


@pytest.mark.parametrize(
    "experiment",
    [
        "",
        "# only a comment\n",
        "data:\nmodel: {use: x}\n",
        EXPERIMENT,
        "split:\n  use: hash\n  salt: a\n",
    ],
)
def test_choices_can_be_read_and_made_again(experiment: str) -> None:
    once = with_choices(experiment, CHOICES, fresh=True)
    content = OmegaConf.to_container(OmegaConf.create(once))
    assert isinstance(content, dict)
    assert {part: content[part] for part in CHOICES} == CHOICES
    assert once.count("#") == experiment.count("#") - 2 * (experiment == EXPERIMENT)
    assert with_choices(once, CHOICES, fresh=True) == once
