"""What git answers hangs on the commit alone: not on who asks, nor on what a commit says."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops.git import landing
from mlops.git.extraction import ExtractionError, extract
from mlops.git.repository import Repository, RepositoryError, UnreadableError

CODE = Path("src/code.py")


def git(root: Path, *arguments: str, text: str = "") -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True,
                          input=text.encode())  # fmt: skip
    return done.stdout.decode().rstrip("\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two commits of one file, and what a merge says of who approved it."""
    place = tmp_path / "repository"
    (place / "src").mkdir(parents=True)
    git(place, "init", "-q", "-b", "main")
    for text, message in (("old\n", "Old"), ("new\n", "New\n\nWhy\n\nReviewed-by: R <r@x>")):
        (place / CODE).write_text(text)
        git(place, "add", ".")
        git(place, "commit", "-q", "-m", message)
    return place


def answers(root: Path) -> object:
    """Return all that a judgment asks of git."""
    repository = Repository(root)
    head = repository.commit_of("HEAD")
    paths = [str(CODE)]
    return (
        repository.changed("HEAD", paths),
        repository.commit([CODE]),
        repository.is_clean([CODE]),
        repository.line("HEAD"),
        repository.parent(head),
        repository.text_at(head, str(CODE)),
        repository.blobs(head, paths),
        repository.last_author(head, paths),
        repository.author(head),
        repository.titles(f"{head}^"),
    )


def signature(root: Path) -> None:
    """Commits that say that they are signed, which git is to verify as it shows them."""
    git(root, "config", "log.showSignature", "true")
    git(root, "config", "gpg.program", "false")


def text_conversion(root: Path) -> None:
    (root / ".git/info/attributes").write_text("*.py diff=loud export-ignore eol=crlf ident\n")
    git(root, "config", "diff.loud.textconv", "tr a-z A-Z <")


def settings(root: Path) -> None:
    for name, said in {
        "log.follow": "true", "log.mailmap": "true", "log.date": "relative",
        "core.quotePath": "true", "core.abbrev": "4", "core.commentChar": "R",
        "trailer.separators": "=", "i18n.logOutputEncoding": "ISO-8859-1",
        "status.showUntrackedFiles": "no", "status.relativePaths": "true",
        "diff.noprefix": "true", "diff.renames": "copies", "diff.ignoreSubmodules": "all",
        "format.pretty": "oneline", "core.autocrlf": "true", "color.ui": "always",
    }.items():  # fmt: skip
        git(root, "config", name, said)


def replaced(root: Path) -> None:
    git(root, "replace", "HEAD", "HEAD^")


def replaced_content(root: Path) -> None:
    git(root, "replace", git(root, "rev-parse", f"HEAD:{CODE}"),
        git(root, "rev-parse", f"HEAD^:{CODE}"))  # fmt: skip


def graft(root: Path) -> None:
    (root / ".git/info/grafts").write_text(f"{git(root, 'rev-parse', 'HEAD')}\n")


@pytest.mark.parametrize(
    "disturb", [signature, text_conversion, settings, replaced, replaced_content, graft]
)
def test_nobodys_settings_change_an_answer(root: Path, disturb: Callable[[Path], None]) -> None:
    before = answers(root)
    disturb(root)
    assert answers(root) == before


@pytest.mark.parametrize(
    "variable",
    ["GIT_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ICASE_PATHSPECS", "GIT_NAMESPACE"],
)
def test_nor_do_variables_that_a_hook_has(
    root: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answers(root)
    monkeypatch.setenv(variable, os.devnull)
    assert answers(root) == before
    assert landing.touched(Repository(root), [str(CODE)]) == []


@pytest.mark.parametrize("sign", ["\x1e", "\x1f", "\x1d", "\x1f\x1fApproved-by: M\x1e", "\x85"])
def test_a_message_forges_no_field(root: Path, sign: str) -> None:
    """No sign in author, title or body moves a field, makes a commit or approves one."""
    (root / CODE).write_text("newer\n")
    message = f"Merge {sign} x\n\nBody {sign} y\n\nApproved-by: A{sign}B <a@x>\n"
    git(root, "-c", f"user.name=N{sign}", "commit", "-q", "-a", "--cleanup=verbatim",
        f"--author=N{sign}M <n@x>", "-F", "-", text=message)  # fmt: skip
    newest, *_ = found = Repository(root).changed("HEAD", [str(CODE)])
    assert len(found) == 3
    assert newest.commit == Repository(root).commit_of("HEAD")
    assert (newest.subject, newest.approved) == (f"Merge {sign} x", (f"A{sign}B <a@x>",))
    assert (newest.author, newest.email) == (f"N{sign}M", "n@x")
    assert newest.body.startswith(f"Body {sign} y")


def untracked(root: Path) -> None:
    git(root, "config", "status.showUntrackedFiles", "no")
    (root / "src/extra.py").write_text("")


def ignored(root: Path) -> None:
    (root / ".git/info/exclude").write_text("extra.py\n")
    (root / "src/extra.py").write_text("")


def assumed(root: Path) -> None:
    git(root, "update-index", "--assume-unchanged", str(CODE))
    (root / CODE).write_text("edited\n")


def skipped(root: Path) -> None:
    git(root, "update-index", "--skip-worktree", str(CODE))
    (root / CODE).unlink()


def filtered(root: Path) -> None:
    git(root, "config", "filter.same.clean", "echo new")
    (root / ".git/info/attributes").write_text("*.py filter=same\n")
    (root / CODE).write_text("edited\n")


def leading_out(root: Path) -> None:
    (root / "elsewhere.py").write_text("")
    (root / "src/extra.py").symlink_to("../elsewhere.py")
    git(root, "add", "src")
    git(root, "commit", "-q", "-m", "x")


@pytest.mark.parametrize("edit", [untracked, ignored, assumed, skipped, filtered, leading_out])
def test_what_git_does_not_have_is_never_clean(root: Path, edit: Callable[[Path], None]) -> None:
    assert Repository(root).is_clean([Path("src")])
    edit(root)
    assert not Repository(root).is_clean([Path("src")])
    assert len(Repository(root).differing([Path("src")])) == 1


def test_bytecode_and_links_within_are_clean(root: Path) -> None:
    (root / "src/same.py").symlink_to("code.py")
    git(root, "add", "src")
    git(root, "commit", "-q", "-m", "x")
    (root / "src/__pycache__").mkdir()
    (root / "src/__pycache__/code.pyc").write_bytes(b"\0")
    assert Repository(root).is_clean([Path("src")])


@pytest.mark.parametrize("edit", [assumed, skipped, filtered])
def test_an_edit_that_the_index_hides_is_not_overwritten(
    root: Path, edit: Callable[[Path], None]
) -> None:
    edit(root)
    assert landing.touched(Repository(root), [str(CODE), "src/none"]) == [str(CODE)]


def test_what_is_staged_alone_is_touched(root: Path) -> None:
    (root / CODE).write_text("staged\n")
    git(root, "add", "src")
    (root / CODE).write_text("new\n")
    assert landing.touched(Repository(root), [str(CODE)]) == [str(CODE)]


@pytest.mark.parametrize("name", ["*.py", "größe.py", ':(top)x"y', "a\tb\nc"])
def test_a_path_is_no_pattern(root: Path, name: str) -> None:
    (root / "src" / name).write_text("a\r\nb\n", newline="")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "Odd")
    repository, path = Repository(root), f"src/{name}"
    assert [step.subject for step in repository.changed("HEAD", [path])] == ["Odd"]
    assert repository.text_at("HEAD", path) == "a\r\nb\n"
    assert set(repository.blobs("HEAD", [path])) == {path}
    assert repository.is_clean([Path("src")])


@pytest.mark.parametrize("other", ["refs/tags/origin/main", "refs/heads/origin/main"])
def test_a_name_of_two_is_refused(root: Path, other: str) -> None:
    """Git takes the tag that anybody may push before the branch of the remote."""
    repository, whole = Repository(root), "refs/remotes/origin/main"
    git(root, "update-ref", whole, "HEAD")
    head = repository.commit_of("origin/main")
    git(root, "update-ref", other, "HEAD^")
    with pytest.raises(RepositoryError, match=f"origin/main is .*{other}.*: give the whole name"):
        repository.commit_of("origin/main")
    assert repository.commit_of(whole) == head == repository.commit_of("main")


def test_what_is_no_text_is_a_sentence(root: Path) -> None:
    (root / "binary").write_bytes(b"\xff\xfe")
    (root / "link").symlink_to("src/code.py")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "x")
    for name in ("binary", "link"):
        with pytest.raises(UnreadableError, match="put the text itself there"):
            Repository(root).text_at("HEAD", name)
    assert Repository(root).text_at("HEAD", "src") is None


def test_a_submodule_is_refused(root: Path, tmp_path: Path) -> None:
    """Its commit would be named, and none of its files taken."""
    head = git(root, "rev-parse", "HEAD")
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{head},src/policy")
    git(root, "commit", "-q", "-m", "x")
    with pytest.raises(ExtractionError, match=r"src/policy of .* is a submodule"):
        extract("HEAD", ["src"], tmp_path / "out", root)
