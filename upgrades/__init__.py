"""How a generated project follows its template: run from the version that it goes to.

`mlops upgrade` of any project takes this folder from the template's target commit and runs it, so
that what is mended here reaches projects that are years old. It knows git, cookiecutter and the
files of a project, and nothing of the engine that a project has.
"""
