"""Text of others stays text in GitHub's Markdown."""

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.bundle.escaping import LONGEST, SHOWN, code, table, text


@given(st.text(max_size=LONGEST))
def test_a_text_reads_as_it_was_given(words: str) -> None:
    shown = text(words)
    assert unescape(shown).replace("@\u200b", "@") == " ".join(words.split())
    assert not re.search(r"[\\`*\[\]|~$@<>\n]", shown)
    assert code(words) == f"<code>{shown}</code>"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("roc_auc is 0.5 (0.4 to 0.6)", "roc_auc is 0.5 (0.4 to 0.6)"),
        ("__init__", "&#95;&#95;init&#95;&#95;"),
        ("a: b", "a: b"),
        ("http://x", "http&#58;//x"),
        (":tada: #12", "&#58;tada: &#35;12"),
        ("&lt;", "&amp;lt;"),
        ("x" * 500, "x" * 480 + "…"),
    ],
)
def test_only_what_would_act_is_escaped(words: str, shown: str) -> None:
    assert text(words) == shown


def test_a_long_table_is_cut_and_says_so() -> None:
    assert "2 more stand in gate.json" in table(["a"], [["x"]] * (SHOWN + 2), "gate.json")
