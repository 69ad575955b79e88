"""A later version of the template."""

from .verb import Arguments, Verb


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    add = verb(upgrade, "follow the template to a later version: exit 1 where conflicts are left")
    add.add_argument("--to", metavar="REF", help="a tag, branch or commit (default: last release)")
    add.add_argument("--template", metavar="ADDRESS", help="where it is, if not where it was")
    add.add_argument("--no-lock", action="store_true", help="leave `make lock` to later")
    only = add.add_mutually_exclusive_group()
    only.add_argument("--undo", action="store_true", help="take the last upgrade back")


def upgrade(arguments: Arguments) -> int:
    from ..git.repository import Repository
    from ..upgrading.undo import undo
    from ..upgrading.upgrade import upgrade

    repository = Repository()
    if arguments.undo:
        print(undo(repository))
        return 0
    return upgrade(repository, arguments.to, arguments.template, not arguments.no_lock)
