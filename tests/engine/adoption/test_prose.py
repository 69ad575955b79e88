"""What is a text whose words tell something, and what are names, addresses, lists and codes."""

import random
from collections.abc import Callable

import pandas as pd
import pytest

from mlops.adoption.inference import feature
from mlops.adoption.prose import counted, is_prose
from mlops.adoption.statistics import Statistics
from mlops.config.settings import Derived
from mlops.contract import Column, Source

ROWS = 300
ACTS = ["wants to cancel the contract", "asked about the bill", "has no connection", "moved house"]
WHERE = ["in the shop", "on the phone", "by mail", "in the chat, twice"]
MADE = ["crashes on start", "worth every cent", "does what it says", "stopped after two days"]
DEUTSCH = ["Kunde möchte den Vertrag kündigen", "fragt nach der Rechnung", "Anschluss ist gestört"]
GOODS = [
    "WHITE HANGING HEART T-LIGHT HOLDER",
    "RED WOOLLY HOTTIE WITH WHITE DOTS",
    "SET OF SIX FORKS",
]
FIRST = ["Owen", "Laura", "Jonkheer", "Elisabeth", "William", "Anna"]
LAST = ["Braund", "Cumings", "Heikkinen", "Futrelle", "Allen", "Moran"]


def drawn(line: Callable[[random.Random, int], str]) -> pd.Series:
    chance = random.Random(1)
    return pd.Series([line(chance, row) for row in range(ROWS)], dtype="str")


def facts(name: str, line: Callable[[random.Random, int], str]) -> Statistics:
    return Statistics(name, drawn(line), Source(format="csv"))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("comment", lambda r, n: f"Customer {r.choice(ACTS)} {r.choice(WHERE)}, day {n}"),
        ("review", lambda r, n: r.choice(["", "ok ", f"{n}! "]) + f"it {r.choice(MADE)} {n}"),
        ("Notiz", lambda r, n: f"{r.choice(DEUTSCH)}, seit {n} Tagen und {r.choice(DEUTSCH)}"),
        ("评论", lambda r, n: f"{r.choice(['服务很好', '价格太高'])}{n} 谢谢"),
        ("Description", lambda r, n: f"{r.choice(GOODS)} {r.choice(GOODS)} {n}"),
        ("tweet", lambda r, n: f"@airline {r.choice(ACTS)} {r.choice(WHERE)} 😡 {n} https://t.co/{n}"),
    ],
)  # fmt: skip
def test_sentences_are_a_text_of_which_words_are_counted(
    name: str, line: Callable[[random.Random, int], str]
) -> None:
    found = feature(facts(name, line))
    assert (found.type, found.role) == ("text", "feature")
    assert found.description.startswith("a text of which words are counted")
    derived = counted({name: found}, {}, ROWS)
    assert derived == {
        f"{name}_words": Derived("text_ngrams", [name], "unassigned", arguments={"width": 64})
    }


def braund(r: random.Random, n: int) -> str:
    return f"{r.choice(LAST)}, Mr. {r.choice(FIRST)} {r.choice(FIRST)} {chr(65 + n % 26)}{n}"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Name", braund),
        ("passenger", braund),  # by their capitals
        ("customer_name", lambda r, n: f"{r.choice(ACTS)} {n}"),  # by what it is called
        ("Ticket", lambda r, n: f"{r.choice(['A/5', 'PC', 'STON/O2.'])} {r.choice([1, 2])}{n}"),
        ("contact", lambda r, n: f"{r.choice(FIRST)}.{n}@mail.example"),
        ("reached_by", lambda r, n: f"{r.choice(FIRST)}{n}@mail.example"),
        ("seen_at", lambda r, n: f"https://shop.example/{r.choice(FIRST)}/{n}"),
        ("house", lambda r, n: f"{n} {r.choice(LAST)} Street, {r.choice(LAST)}ville"),
        ("amenities", lambda r, n: f'["tv", "dish washer", "hair dryer", "bed {n}"]'),
        ("parameters", lambda r, n: '{"some": "words of a mapping", "n": ' + f"{n}" + "}"),
        ("place", lambda r, n: f"shelf {n} row {n % 7} box {n % 5}"),
        ("measures", lambda r, n: f"{n} 3 {r.random()} a"),
        ("model", lambda r, n: f"{r.choice(LAST)} {r.choice(FIRST)} {n}".lower()),
        ("unlike", lambda r, n: " ".join("".join(r.choices("abcdefghij", k=9)) for _ in range(5))),
    ],
)  # fmt: skip
def test_names_addresses_lists_and_codes_are_none(
    name: str, line: Callable[[random.Random, int], str]
) -> None:
    found = facts(name, line)
    assert not is_prose(found)
    assert feature(found).role != "feature"


def test_texts_that_come_again_stay_a_category() -> None:
    found = feature(facts("comment", lambda r, n: f"customer {r.choice(ACTS)}"))
    assert found.type == "category"


def test_many_rows_have_more_columns_and_a_taken_name_is_not_used() -> None:
    columns = {"note": Column("text"), "note_words": Column("number")}
    assert counted(columns, {}, 5000) == {
        "note_words_": Derived("text_ngrams", ["note"], "unassigned", arguments={"width": 128})
    }
    assert counted({"note": Column("text", role="ignored")}, {}, 5000) == {}
