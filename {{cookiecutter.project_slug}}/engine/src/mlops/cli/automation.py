"""What automation reads, where a repository has several projects."""

from .verb import Arguments, Verb


def grammar(verb: Verb) -> None:
    """Declare the verbs of this module."""
    add = verb(workflows, "write this project's workflows to the top of a repository of several")
    only = add.add_mutually_exclusive_group()
    only.add_argument("--check", action="store_true", help="only say whether they are as written")
    only.add_argument(
        "--ruleset", action="store_true", help="print the ruleset of main that requires its checks"
    )


def workflows(arguments: Arguments) -> None:
    import json

    from ..git.placement import placement
    from ..git.repository import Repository
    from ..workflows.copies import ruleset
    from ..workflows.installation import check, install

    repository = Repository()
    if arguments.ruleset:
        print(json.dumps(ruleset(repository.root, placement(repository)), indent=2))
    elif arguments.check:
        print(check(repository))
    else:
        for path in install(repository):
            print(path)
        print(check(repository))
