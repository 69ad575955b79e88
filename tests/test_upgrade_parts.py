"""What an upgrade settles by itself, each way with what it must leave to people."""

import json
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from baked import IDENTITY, ROOT, Project, clean_environment
from conftest import Bake
from upgrades import locks, migrations, yaml_keys
from upgrades.merging import merge
from upgrades.origin import parsed
from upgrades.rendering import rendered
from upgrades.repository import PLAIN, Entry, Git, Tree, UpgradeError
from upgrades.settling import settled

BASE = """\
# Of the template.
data:
  use: churn
model:
  use: lightgbm  # chosen by a comparison
  n_estimators: {lightgbm: 170}
steps:
  - name: a
    run: one
  - name: b
    run: two
last: 1
"""


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """An empty repository."""
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "git")], check=True)
    return Git(tmp_path / "git")


def tree(git: Git, **files: str) -> Tree:
    return {
        name.replace("__", "/").replace("_dot_", "."): Entry(PLAIN, git.put(text.encode()))
        for name, text in files.items()
    }


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (("churn", "mine"), ("lightgbm: 170", "lightgbm: 180")),
        (("  # chosen", "  # by us"), ("use: lightgbm", "use: forest")),
        (("last: 1", "last: 1  # ours\nown: 2"), ("last: 1", "last: 2")),
        (("run: one", "run: mine"), ("run: two", "run: theirs")),
        (("last: 1\n", ""), ("churn", "loans")),
        (("churn", "mine"), ("data:\n", "data:\n  # why\n  name: x\n")),
        (("lightgbm: 170", "lightgbm: 175"), ("}", ", x: 1}")),
        (("churn", "mine"), ("last: 1\n", "")),
        (("churn", "mine"), ("last: 1", "last: |\n  two\n  lines")),
        (("churn", "mine"), ("run: one", "run: one\n    env: {A: b}")),
    ],
)
def test_keys_merge(ours: tuple[str, str], theirs: tuple[str, str]) -> None:
    for old, _ in (ours, theirs):
        assert old in BASE
    mine = BASE.replace(*ours)
    merged = yaml_keys.merged(BASE, mine, BASE.replace(*theirs))
    assert merged == mine.replace(*theirs)
    assert yaml_keys.merged(BASE, mine, mine) == mine


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (("churn", "mine"), ("churn", "loans")),  # the same key
        (("last: 1\n", ""), ("last: 1", "last: 2")),  # removed here, changed there
        (("last: 1", "last: 2"), ("last: 1\n", "")),  # and the other way round
        (("last: 1", "last: 1\nnew: 1"), ("last: 1", "last: 1\nnew: 2")),  # both added it
        (("last: 1", "last: &a 1\nb: *a"), ("churn", "loans")),  # an alias
        (("last: 1", "last: 1\nlast: 3"), ("churn", "loans")),  # a key twice
        (("last: 1", "last: ["), ("churn", "loans")),  # no YAML
        (("  - name: a\n    run: one\n", ""), ("run: two", "run: three")),  # which item is which
    ],
)
def test_keys_that_people_decide(ours: tuple[str, str], theirs: tuple[str, str]) -> None:
    assert yaml_keys.merged(BASE, BASE.replace(*ours), BASE.replace(*theirs)) is None


def test_comments_of_the_template_come_too_and_those_that_do_not_are_told(git: Git) -> None:
    ours = BASE.replace("last: 1", "last: 1\nown: 1")
    theirs = BASE.replace("# Of the", "# Of a new").replace("last: 1", "last: 2")
    found = settled(git, "a.yaml", *(text.encode() for text in (BASE, ours, theirs)))
    assert found == (theirs.replace("last: 2", "last: 2\nown: 1").encode(), "by key")
    theirs = theirs.replace("last: 2", "# why\nlast: 2")
    found = settled(git, "a.yaml", *(text.encode() for text in (BASE, ours, theirs)))
    assert found is not None
    assert b"# Of a new template" in found[0]
    assert b"# why" not in found[0]  # where ours has something else
    assert found[1] == "by key, but for comments of the template: # why"


ONE = '"""A module."""\n\nimport os\n\n\ndef first():\n    return os\n'
MINE, THEIRS = "\n\ndef mine():\n    return 1\n", "\n\ndef theirs():\n    return 2\n"


def test_functions_that_both_appended_stand_beside_each_other(git: Git) -> None:
    both = settled(git, "a.py", ONE.encode(), (ONE + MINE).encode(), (ONE + THEIRS).encode())
    assert both is not None
    assert both[0].decode() == ONE + MINE + THEIRS
    same = THEIRS.replace("theirs", "mine")
    assert settled(git, "a.py", ONE.encode(), (ONE + MINE).encode(), (ONE + same).encode()) is None
    assert (
        settled(git, "a.txt", ONE.encode(), (ONE + MINE).encode(), (ONE + THEIRS).encode()) is None
    )


def test_methods_that_both_appended_are_for_people(git: Git) -> None:
    base = "class A:\n    x = 1\n"
    sides = (base + textwrap.indent(one, "    ") for one in (MINE, THEIRS))
    assert settled(git, "a.py", base.encode(), *(side.encode() for side in sides)) is None


def test_line_ends_stay(git: Git) -> None:
    ours = ONE.replace("first", "mine").replace("\n", "\r\n").encode()
    made = settled(git, "a.txt", ONE.encode(), ours, ONE.replace("A module", "Theirs").encode())
    assert made is not None
    assert made[0] == ours.replace(b"A module", b"Theirs")
    theirs = ONE.replace("first", "theirs").encode()
    assert settled(git, "a.txt", ONE.encode(), ours, theirs) is None


def test_what_merges_by_lines_to_a_key_twice_is_merged_by_key_or_told(git: Git) -> None:
    head, body, tail = "a: 1\n", "".join(f"k{n}: {n}\n" for n in range(9)), "z: 1\n"
    base = head + body + tail
    sides = (f"{head}new: 1\n{body}{tail}", f"{head}{body}{tail}new: {{number}}\n")
    for number, broken in ((1, []), (2, ["c.yaml"])):
        files = (base, sides[0], sides[1].format(number=number))
        merged = merge(git, *(tree(git, c_dot_yaml=text) for text in files))
        assert not merged.conflicts
        assert merged.broken == broken
        if not broken:
            assert git.blob(merged.tree["c.yaml"].object).decode() == sides[0]


def test_a_lock_that_both_changed_starts_from_theirs_and_the_pins_that_ours_adds(git: Git) -> None:
    pin = "{0}=={1} \\\n    --hash=sha256:{1}\n"
    old = "# head\n" + pin.format("a", 1) + pin.format("gone", 1)
    mine, new = old + pin.format("mine", 1), "# head\n" + pin.format("a", 2) + pin.format("b", 1)
    name = "requirements/x.txt"
    sides = [{name: Entry(PLAIN, git.put(text.encode()))} for text in (old, mine, new)]
    found = locks.chosen(git, *sides)
    assert found.stale == [name]
    assert git.blob(found.files[name].object).decode() == new + pin.format("mine", 1)
    assert locks.chosen(git, sides[0], sides[0], sides[2]) == ({name: sides[2][name]}, [])
    assert locks.chosen(git, sides[0], sides[1], sides[0]) == ({name: sides[1][name]}, [])
    assert locks.chosen(git, sides[0], {}, sides[2]) == ({}, [])  # deleted here


MIGRATION = '''"""The search of a model has a part of its own."""

def migrate(files):
    files.rename_key("params.yaml", ("model", "n_estimators"), "trees")
    for path in files.paths("conf/split/*.yaml"):
        files.move(path, path.replace("split", "splits"))
'''


def test_a_migration_on_a_project_before_and_after(
    git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that an owner changed and the template renamed, and files of both that moved."""
    import upgrades

    (tmp_path / "more").mkdir()
    (tmp_path / "more/001_trees.py").write_text(MIGRATION)
    monkeypatch.setattr(upgrades, "__path__", [*upgrades.__path__, str(tmp_path / "more")])
    names = ["001_trees"]
    base = tree(git, params_dot_yaml=BASE, conf__split__a_dot_yaml="a: 1\nb: 1\nc: 1\n")
    own = tree(git, conf__split__own_dot_yaml="own: 1\n")
    mine = {**base, **own, **tree(git, params_dot_yaml=BASE.replace("170", "300"))}
    theirs = tree(
        git,
        params_dot_yaml=BASE.replace("n_estimators", "trees").replace("last: 1", "last: 2"),
        conf__splits__a_dot_yaml="a: 1\nb: 1\nc: 2\n",
    )
    sides = [migrations.applied(git, one, names) for one in (base, mine)]
    made = merge(git, sides[0], sides[1], theirs)
    assert not made.conflicts
    assert set(made.tree) == {"params.yaml", "conf/splits/a.yaml", "conf/splits/own.yaml"}
    text = git.blob(made.tree["params.yaml"].object).decode()
    wanted = (
        BASE.replace("n_estimators", "trees").replace("170", "300").replace("last: 1", "last: 2")
    )
    assert text == wanted
    again = migrations.applied(git, made.tree, names)
    assert again == made.tree  # what has the new name stays
    assert merge(git, base, mine, theirs).conflicts  # without it


def test_migrations_are_due_that_a_version_did_not_have(git: Git) -> None:
    names = ("upgrades/001_a.py", "upgrades/002_b.py", "upgrades/plan.py")
    commits = [
        git.commit(git.write({n: Entry(PLAIN, git.put(b"")) for n in names[:some]}), [], "x")
        for some in (1, 3)
    ]
    assert migrations.due(git, *commits) == ["002_b"]
    assert migrations.due(git, commits[1], commits[1]) == []


def test_no_migration_has_the_number_of_another() -> None:
    found = sorted(path.name[:3] for path in (ROOT / "upgrades").glob("[0-9]*.py"))
    assert len(found) == len(set(found))


@pytest.mark.parametrize("text", ["", "[]", '{"template": 1}', '{"context": {}}'])
def test_a_record_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UpgradeError, match="does not say where"):
        parsed(text)


def test_answers_are_text_whatever_is_in_them(git: Git, template: Path) -> None:
    said = '{{ 7 * 7 }} {% if %} "x" \\ 🚲'
    answers = {"project_slug": "here", "description": said, "gone": "of an older version"}
    made = rendered(git, Git(template), Git(template).commit_of("main"), answers)
    assert made.answers["description"] == said
    assert said in git.blob(made.tree["README.md"].object).decode()
    with pytest.raises(UpgradeError, match="refuses the answers"):
        rendered(git, Git(template), "HEAD", {"project_slug": "Not allowed"})


def record(path: Path) -> dict[str, object]:
    return dict(json.loads((path / ".template.json").read_text(encoding="utf-8")))


def test_a_project_records_where_it_comes_from(bake: Bake, template: Path) -> None:
    """Of a folder that was cloned, the address it came from, without a password."""
    at = Project(template, clean_environment(template.parent / "home"))
    commit = at.run("git", "rev-parse", "HEAD").stdout.strip()
    first = record(bake())
    assert (first["template"], first["commit"], first["checkout"]) == (None, commit, None)
    assert "dirty" not in first
    at.run("git", "remote", "add", "origin", "https://me:secret@example.invalid/us/template")
    try:
        told = record(bake(project_slug="cloned", description='said "x"'))
    finally:
        at.run("git", "remote", "remove", "origin")
    assert told["template"] == "https://example.invalid/us/template"
    assert told["context"]["cookiecutter"]["description"] == 'said "x"'  # type: ignore[index]
    assert str(template) not in json.dumps(told)


@pytest.mark.parametrize(("place", "named"), [(".", "."), ("..", "template"), ("..", "./template")])
def test_it_does_where_the_template_is_named_from_there(
    template: Path, isolated: Path, tmp_path: Path, place: str, named: str
) -> None:
    """As the README has it, in a clone: cookiecutter passes on what it was told."""
    clone = tmp_path / "template"
    environment = clean_environment(tmp_path / "home")
    Project(tmp_path, environment).run("git", "clone", "--quiet", str(template), str(clone))
    at = Project(clone, environment)
    at.run("git", "remote", "set-url", "origin", "https://example.invalid/us/template")
    commit = at.run("git", "rev-parse", "HEAD").stdout.strip()
    made = [sys.executable, "-m", "cookiecutter", "--no-input", "--config-file", str(isolated)]
    told = f"{shlex.join([*made, named, '--output-dir', str(tmp_path)])} project_slug="
    at.run("sh", "-c", f"cd {place} && {told}here")
    found = record(tmp_path / "here")
    assert (found["template"], found["commit"]) == ("https://example.invalid/us/template", commit)
    # Called with the variable of another folder, it takes that for no template.
    other = Project(clone if place == "." else tmp_path, {**environment, "PWD": str(isolated)})
    other.run(*shlex.split(f"{told}there"))
    assert (record(tmp_path / "there")["template"], record(tmp_path / "there")["commit"]) == (
        None,
        None,
    )


def test_a_template_with_changes_is_said(
    bake: Bake, template: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (template / "changed").touch()
    try:
        assert record(bake())["dirty"] is True
    finally:
        (template / "changed").unlink()
    assert "the template has changes" in capfd.readouterr().out


def test_the_same_answers_come_to_the_same_record(bake: Bake, tmp_path: Path) -> None:
    one, other = (bake(project_slug="same").rename(tmp_path / name) for name in ("a", "b"))
    texts = {(path / ".template.json").read_bytes() for path in (one, other)}
    assert len(texts) == 1
