"""The reference of rules and verbs, as the code itself tells it.

Run in a project's folder, with its code on the path, it prints the pages as JSON.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops.policy.rule import Registry


def rules(kind: str, registry: "Registry") -> str:
    """Return the page of the rules of one policy."""
    from mlops.policy.explanation import explanation

    parts = [f"# Rules of the {kind}", f"What `mlops {kind} --explain RULE` says of each."]
    for name in registry.rules:
        head, _, rest = explanation(name, registry).partition("\n")
        parts += [f"## {name}", f"```text\n{head.partition(': ')[2]}\n{rest}\n```"]
    return "\n\n".join(parts) + "\n"


def verbs(parser: argparse.ArgumentParser) -> str:
    """Return the page of the command line."""
    parts = ["# The command line", parser.description or ""]
    for name, one in _children(parser):
        parts += [f"## mlops {name}", f"```text\n{one.format_help().rstrip()}\n```"]
        for below, deeper in _children(one):
            shown = deeper.format_help().rstrip()
            parts += [f"### mlops {name} {below}", f"```text\n{shown}\n```"]
    return "\n\n".join(parts) + "\n"


def _children(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def main() -> None:
    """Print each page by its name."""
    os.environ.update(COLUMNS="96", NO_COLOR="1")
    from mlops.cli import parser
    from mlops.gate.rule import RULES as GATE
    from mlops.monitoring.rule import RULES as MONITORING

    pages = {
        "gate-rules": rules("gate", GATE),
        "monitoring-rules": rules("monitor", MONITORING),
        "command-line": verbs(parser()),
    }
    json.dump(pages, sys.stdout)


if __name__ == "__main__":
    main()
