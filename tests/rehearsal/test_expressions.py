"""GitHub's expression language, case by case: what its documentation says, and what it refuses."""

import math
from typing import Any

import pytest

from rehearsal.expressions import Scope, evaluate, interpolate
from rehearsal.grammar import ExpressionError, parse

CONTEXT = {
    "github": {"ref": "refs/heads/main", "event": {"number": 7, "labels": [{"name": "bug"}]}},
    "env": {"EMPTY": "", "NAME": "Octocat"},
    "fruits": [
        {"name": "apple", "quantity": 1},
        {"name": "orange", "quantity": 2},
        {"name": "pear", "quantity": 1},
    ],
    "vegetables": {
        "scallions": {"colour": ["green", "white"], "dishes": ["roasts"]},
        "beets": {"colour": ["purple"], "dishes": ["salads"]},
    },
}
CASES: list[tuple[str, Any]] = [
    # literals
    ("null", None),
    ("false", False),
    ("711", 711.0),
    ("-9.2", -9.2),
    ("0xff", 255.0),
    ("-2.99e-2", -0.0299),
    ("'Mona the Octocat'", "Mona the Octocat"),
    ("'It''s open source!'", "It's open source!"),
    # precedence and operands: && and || return one of theirs
    ("true || false && false", True),
    ("!true || true", True),
    ("!(true || true)", False),
    ("'a' && 'b'", "b"),
    ("'' || 'b'", "b"),
    ("false && 'b'", False),
    ("0 || null", None),
    # what is false
    ("!0", True),
    ("!-0", True),
    ("!''", True),
    ("!null", True),
    ("!'0'", False),
    ("!' '", False),
    ("!NaN", True),
    # loose equality
    ("null == 0", True),
    ("null == ''", True),
    ("null == false", True),
    ("true == 1", True),
    ("true == '1'", True),
    ("true == 'true'", False),
    ("'' == 0", True),
    ("'3' == 3", True),
    ("'0x10' == 16", True),
    ("'abc' == 0", False),
    ("NaN == NaN", False),
    ("'a' == 'A'", True),
    ("'a' != 'A'", False),
    ("'2' < 10", True),
    ("'2' < '10'", False),
    ("'b' > 'A'", True),
    ("NaN < 1", False),
    ("NaN >= 1", False),
    ("fruits == fruits", True),
    ("fruits == fromJSON('[]')", False),
    # contexts
    ("github.ref", "refs/heads/main"),
    ("github['ref']", "refs/heads/main"),
    ("GitHub.REF", "refs/heads/main"),
    ("github.event.missing.deeper", None),
    ("github.event.labels[0].name", "bug"),
    ("github.event.labels[9].name", None),
    ("fruits.*.name", ["apple", "orange", "pear"]),
    ("fruits[*].name", ["apple", "orange", "pear"]),
    ("vegetables.*.colour", [["green", "white"], ["purple"]]),
    ("github.event.labels.*.colour", []),
    # functions
    ("contains('Hello world', 'llo')", True),
    ("contains('Hello world', 'LLO')", True),
    ("contains(fruits.*.name, 'Pear')", True),
    ("contains(fromJSON('[\"push\", \"pull_request\"]'), 'push')", True),
    ("contains('v1.10', '1.1')", True),
    ("startsWith('Hello world', 'he')", True),
    ("endsWith('Hello world', 'LD')", True),
    ("format('Hello {0} {1} {2}', 'Mona', 'the', 'Octocat')", "Hello Mona the Octocat"),
    ("format('{{Hello {0}!}}', 'Mona')", "{Hello Mona!}"),
    ("format('{0} {1}', true, 1.5)", "true 1.5"),
    ("join(fruits.*.name, ', ')", "apple, orange, pear"),
    ("join(fruits.*.quantity)", "1,2,1"),
    ("join('one')", "one"),
    ("toJSON(fromJSON('{\"a\": [1, true]}'))", '{\n  "a": [\n    1,\n    true\n  ]\n}'),
    ("fromJSON('true')", True),
    ('fromJSON(\'{"a": {"b": 2}}\').a.b', 2),
    # the ternary that people write, and its trap
    ("env.EMPTY == '' && 'yes' || ''", "yes"),
    ("true && '' || 'trap'", "trap"),
]
WRONG = [
    *("", "1 +", "a b", "'open", '"double"', "a == ", "(1", "a..b", "1 = 1", "a & b"),
    *("unknown", "unknown.name", "nothing()", "contains('a')", "format('{1}', 'a')"),
    *("format('{', 'a')", "fromJSON('[')", "join()", "success()", "hashFiles('x')", "True"),
]


@pytest.mark.parametrize(("source", "value"), CASES, ids=[source for source, _ in CASES])
def test_value(source: str, value: Any) -> None:
    found = evaluate(parse(source), Scope(CONTEXT))
    assert (found, type(found)) == (value, type(value)) or list(found) == value


def test_not_a_number() -> None:
    assert math.isnan(evaluate(parse("NaN"), Scope({})))


@pytest.mark.parametrize("source", WRONG)
def test_what_is_not_known_is_refused(source: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(parse(source), Scope(CONTEXT))


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("plain", "plain"),
        ("a ${{ github.event.number }} b", "a 7 b"),
        ("${{ github.event.number }}", 7),
        ("${{ 1.0 }}-${{ null }}-${{ true }}-${{ fruits }}", "1--true-Array"),
        ("${{ '}}' }}x", "}}x"),
        (True, True),
    ],
)
def test_interpolation(template: Any, value: Any) -> None:
    assert interpolate(template, Scope(CONTEXT)) == value


def test_an_expression_without_an_end_is_refused() -> None:
    with pytest.raises(ExpressionError, match="no end"):
        interpolate("${{ 'a'", Scope({}))
