"""Texts are hashed alike on every machine, in a table of any size and in a row."""

from typing import Any
from unicodedata import normalize

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.config.settings import Derived, Features
from mlops.contract import Column, Contract
from mlops.features import encoding, functions
from mlops.features.encoding import Encoder, FeatureError
from mlops.features.functions import feature
from mlops.features.texts import BLOCK, INSIDE, LAST, READ, text_ngrams

MODULUS = 2**32
ODD = ["", " ", "\0", "e\u0301", "é", "👍🏽", "a\u200db", "İΣ", "ﷺ", "...", "日本語", "ﬁn\tA-b"]


def texts(*values: str | None) -> np.ndarray:
    return np.array([*values, None], dtype=object)[:-1]


def mixed(number: int) -> int:
    number ^= number >> 16
    number = number * 0x85EBCA6B % MODULUS
    number ^= number >> 13
    number = number * 0xC2B2AE35 % MODULUS
    return number ^ number >> 16


def slowly(text: str, width: int, words: bool, lengths: range) -> np.ndarray:
    """The same by the definition, one part after the other."""
    text = normalize("NFKC", text).lower()
    split = "".join(c if INSIDE[min(ord(c), LAST)] else " " for c in text).split(" ")
    counts = np.zeros(width)

    def add(number: int) -> None:
        number = mixed(number)
        counts[(number >> 1) % width] += -1 if number & 1 else 1

    for word in filter(None, split):
        if words:
            powers = (pow(0x01000193, len(word) - at + 1, MODULUS) for at in range(len(word)))
            add(sum(ord(c) * p for c, p in zip(word, powers, strict=True)) % MODULUS)
        around = f" {word} "
        for length in lengths:
            for first in range(len(around) - length + 1):
                part = around[first : first + length]
                number = 0
                for c in part:
                    number = (number * 0x01000193 + ord(c)) % MODULUS
                if part != " ":
                    add((number + length) % MODULUS)
    return np.copysign(np.log1p(np.abs(counts)), counts)


@pytest.mark.parametrize(
    "arguments",
    [
        {"width": 16},
        {"width": 7, "words": False, "characters": [1, 2]},
        {"width": 1, "characters": []},
        {"width": 300, "words": False, "characters": [2, 8]},
    ],
)
@given(drawn=st.lists(st.text(max_size=30) | st.sampled_from(ODD), min_size=1, max_size=8))
def test_it_is_what_the_definition_says(arguments: dict[str, Any], drawn: list[str]) -> None:
    first, last = (arguments.get("characters", [3, 4]) or [1, 0])[:2]
    words, lengths = arguments.get("words", True), range(first, last + 1)
    wanted = [slowly(text, arguments["width"], words, lengths) for text in drawn]
    found = text_ngrams(texts(*drawn), **arguments)
    np.testing.assert_allclose(found, np.float32(wanted), rtol=1e-6)


def test_the_numbers_are_these_on_every_machine_and_version() -> None:
    found = text_ngrams(texts("Can't log in 👍", "çok İYİ"), width=6)
    np.testing.assert_array_equal(
        np.rint(np.expm1(np.abs(found))) * np.sign(found),
        [[1, 1, 0, 0, 3, -1], [-1, 0, -3, 0, -3, 1]],
    )


def test_case_composition_width_and_what_stands_between_words_do_not_matter() -> None:
    same = text_ngrams(
        texts("Café bill", "cafe\u0301  BILL", "café, bill!", "\n\uff23\uff41fé — bill ")
    )
    assert (same == same[0]).all()
    other = text_ngrams(texts("café bill", "cafe bill", "bill"))
    assert len({row.tobytes() for row in other}) == 3


def test_a_missing_text_is_missing_and_one_without_words_is_zero() -> None:
    found = text_ngrams(texts(None, "", " . ", "a"), width=4)
    assert np.isnan(found[0]).all()
    assert (found[1:3] == 0).all()
    assert found[3].any()


def test_only_the_first_characters_are_read() -> None:
    """However long a text is, and whatever it is made of, it costs milliseconds."""
    long = "ab " * READ
    found = text_ngrams(texts(long, long[:READ], "e" + "\u0301\u0323" * 500_000, "ﷺ" * 500_000))
    assert (found[0] == found[1]).all()
    assert np.isfinite(found).all()


def test_blocks_do_not_show() -> None:
    table = texts(*(None if at % 7 == 0 else f"word{at} " * (at % 90) for at in range(600)))
    assert sum(map(len, filter(None, table))) > BLOCK
    whole = text_ngrams(table, width=8)
    single = np.concatenate([text_ngrams(table[at : at + 1], width=8) for at in range(600)])
    assert whole.tobytes() == single.tobytes()


CONTRACT = Contract(
    name="t",
    task="binary",
    columns={
        "n": Column("number"),
        "note_1": Column("number"),
        "note": Column("text", nullable=True),
        "y": Column("boolean", role="target"),
    },
)
ROWS = {
    "n": np.array([1.0, 2.0]),
    "note_1": np.array([3.0, 4.0]),
    "note": texts("late again", None),
}


def encoder(**derived: tuple[str, dict[str, Any]]) -> Encoder:
    features = {
        name: Derived(function, ["note"], "me", arguments=arguments)
        for name, (function, arguments) in derived.items()
    }
    return Encoder.build(CONTRACT, Features(derived=features))


def test_a_feature_of_several_columns_is_one_feature() -> None:
    asked = encoder(
        said=("text_ngrams", {"width": 3}),
        said_3=("is_missing_text", {}),
        x=("text_ngrams", {"width": 1}),
    )
    assert asked.names == ("n", "note_1", "said_0", "said_1", "said_2", "said_3", "x_0")
    assert asked.features == {
        "n": range(1),
        "note_1": range(1, 2),
        "said": range(2, 5),
        "said_3": range(5, 6),
        "x": range(6, 7),
    }
    matrix = asked.matrix(ROWS)
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix[:, 2:5], text_ngrams(ROWS["note"], width=3))
    np.testing.assert_array_equal(matrix[:, 5], [0, 1])
    by_feature = asked.by_feature(matrix)
    np.testing.assert_array_equal(by_feature[:, 2], matrix[:, 2:5].mean(axis=1))
    np.testing.assert_array_equal(by_feature[:, [0, 1, 3]], matrix[:, [0, 1, 5]])


def test_a_matrix_of_single_columns_is_by_feature_as_it_is() -> None:
    asked = encoder(said=("is_missing_text", {}))
    matrix = asked.matrix(ROWS)
    assert asked.by_feature(matrix) is matrix


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"width": 0}, "from 1 to 4096 columns, not 0.*correct `arguments`"),
        ({"width": 5000}, "from 1 to 4096 columns, not 5000"),
        ({"width": "64"}, "from 1 to 4096 columns, not 64"),
        ({"characters": [4, 3]}, "from 1 to 8, the shortest first"),
        ({"characters": [3, 9]}, "from 1 to 8, the shortest first"),
        ({"characters": [3]}, "a shortest and a longest length"),
        ({"characters": 3}, "does not take this"),
        ({"characters": [], "words": False}, "nothing is left to count"),
        ({"length": 3}, "unexpected keyword argument 'length'"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(FeatureError, match=f"features.derived.said: text_ngrams .*{said}"):
        encoder(said=("text_ngrams", arguments))


def test_a_function_that_returns_another_width_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "_registry", registry := dict(functions._registry))
    monkeypatch.setattr(encoding, "FUNCTIONS", registry)
    monkeypatch.setattr(functions, "FUNCTIONS", registry)

    @feature("text", width=2)
    def ends(texts: np.ndarray) -> np.ndarray:
        return np.zeros((len(texts), 3))

    asked = encoder(ends=("ends", {}))
    assert asked.names == ("n", "note_1", "ends_0", "ends_1")
    with pytest.raises(FeatureError, match=r"ends: ends returned the shape \(2, 3\) for 2 rows: "):
        asked.matrix(ROWS)


def test_names_of_columns_are_taken_once() -> None:
    with pytest.raises(FeatureError, match=r"features\.derived\.note has the name note_1, as a"):
        encoder(note=("text_ngrams", {"width": 2}))
