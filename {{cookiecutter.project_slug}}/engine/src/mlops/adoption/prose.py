"""Columns of sentences, whose words are features; names, addresses and codes are none."""

import re
from collections import Counter
from collections.abc import Mapping
from statistics import median

from ..config.settings import Derived
from ..contract import Column
from .statistics import Statistics
from .timeliness import OWNER, free

LOOKED_AT = 2000  # texts
READ = 500  # characters of each
SEVERAL = 4  # words
OFTEN = 0.3  # share of the texts that have several
SHORT = 6  # words, up to which many capitals are those of a name
CAPITALS = 0.7
RECURRING = 0.05  # share of the texts that have the most frequent word
MANY_ROWS = 1000  # from here on more columns pay
WIDTHS = (64, 128)
# Of a column whose texts name somebody, some place or some thing, however many words they have.
NAMING = {"name", "names", "surname", "lastname", "firstname", "fullname", "username", "author"}
NAMING |= {"email", "mail", "phone", "address", "street", "city", "location", "contact", "iban"}
NAMING |= {"url", "uri", "link", "href", "website", "path", "file", "filename", "image", "photo"}
NAMING |= {"id", "uuid", "guid", "key", "identifier", "code", "sku", "hash", "token"}
# What opens a list, a mapping or markup, and addresses of mail and of pages.
NO_SENTENCE = re.compile(r"\s*[\[{<]|\S+@\S+\s*$|\S*(://|www\.)\S*\s*$")
WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
# Of Chinese and Japanese, which have no spaces, a character counts as a word.
UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
TOLD = (
    "a text of which words are counted: where it names people, or is written after what is "
    "predicted, set role: ignored and take its feature out of conf/features"
)


def is_prose(facts: Statistics) -> bool:
    """Say whether many texts of a column are sentences, with words that come again."""
    if not facts.written or facts.words & NAMING:
        return False
    texts = [str(text)[:READ] for text in facts.texts.iloc[:: -(-facts.distinct // LOOKED_AT)]]
    texts = [text for text in texts if not NO_SENTENCE.match(text)]
    if 2 * len(texts) < min(facts.distinct, LOOKED_AT):
        return False
    split = [_words(text) for text in texts]
    if sum(len(words) >= SEVERAL for words in split) < OFTEN * len(split):
        return False
    lettered = sum(map(len, split))
    if 2 * lettered < sum(
        max(len(text.split()), len(words)) for text, words in zip(texts, split, strict=True)
    ):
        return False
    rows = Counter(word.lower() for words in split for word in set(words))
    return max(rows.values()) >= max(2, RECURRING * len(split)) and not _names(split)


def counted(
    columns: Mapping[str, Column], found: Mapping[str, Derived], rows: int
) -> dict[str, Derived]:
    """Return the feature of each text that is one."""
    added: dict[str, Derived] = {}
    width = WIDTHS[rows >= MANY_ROWS]
    for name, column in columns.items():
        if column.type == "text" and "feature" in column.roles:
            called = free(f"{name}_words", columns, found, added)
            added[called] = Derived("text_ngrams", [name], OWNER, arguments={"width": width})
    return added


def _words(text: str) -> list[str]:
    if UNSPACED.search(text):
        return UNSPACED.findall(text)
    return WORD.findall(text)


def _names(split: list[list[str]]) -> bool:
    """Say whether texts are short, and most words begin as names do."""
    cased = [word for words in split for word in words if word[0].lower() != word[0].upper()]
    if not cased:
        return False
    capitals = sum(word[0].isupper() for word in cased) / len(cased)
    return capitals >= CAPITALS and median(map(len, split)) < SHORT
