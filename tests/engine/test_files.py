"""A file is whole or absent."""

import fcntl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlops.files import (
    BoundlessError,
    atomic_directory,
    atomic_file,
    claimed,
    in_quotes,
    misread,
    parse_yaml,
    sha256,
    sweep,
    tree_sha256,
    write_text,
)


def test_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with atomic_file(path) as staging:
        staging.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_failure_leaves_the_old_file(tmp_path: Path, failure: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(failure), atomic_file(path) as staging:
        staging.write_text("half")
        raise failure
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_failure_leaves_the_old_directory(tmp_path: Path) -> None:
    path = tmp_path / "d"
    with atomic_directory(path) as staging:
        (staging / "a").write_text("old")
    with pytest.raises(ValueError, match="stop"), atomic_directory(path) as staging:
        (staging / "b").write_text("half")
        raise ValueError("stop")
    assert [p.name for p in path.iterdir()] == ["a"]
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    number = subprocess.Popen(["true"])
    number.wait()
    left = tmp_path / f".d.{number.pid}.tmp"
    left.mkdir()
    (left / "half").write_text("")
    with atomic_directory(tmp_path / "d") as staging:
        (staging / "a").write_text("")
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


def test_what_another_process_is_writing_stays(tmp_path: Path) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as running:
        other = tmp_path / f".d.{running.pid}.tmp"
        other.write_text("half")
        assert sweep(tmp_path) == []
        write_text(tmp_path / "d", "mine")
        assert other.exists()
    assert sweep(tmp_path) == [other]


def test_sha256_of_known_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_tree_digest_sees_names_and_contents_but_no_bytecode(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = tree_sha256(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("x")
    assert tree_sha256(tmp_path) == before
    (tmp_path / "a").rename(tmp_path / "b")
    renamed = tree_sha256(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({before, renamed, tree_sha256(tmp_path)}) == 3


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("", None),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ("a: &x text\nb: [*x, *x]", {"a": "text", "b": ["text", "text"]}),
        ("[" * 99 + "]" * 99, None),
    ],
)
def test_aliases_and_depth_are_read_within_bounds(text: str, content: object) -> None:
    parsed = parse_yaml(text)
    assert content is None or parsed == content


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n".join([f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9 * (n > 0)}x]" for n in range(9)]), "alias"),
        ("a: &a [*a]", "its aliases stand for more"),
        ("a: &a {<<: *a}", "its aliases stand for more"),
        (f"a: &a {'x' * 1_000_000}\nb: [{'*a, ' * 20}]", "its aliases stand for more"),
        ("[" * 200_000 + "]" * 200_000, "nests deeper than 100 levels"),
        ("- " * 200_000, "nests deeper than 100 levels"),
        (f"a: {'x' * (1 << 24)}", "is longer than 16,777,216 characters"),
    ],
)
def test_yaml_that_outgrows_its_text_is_refused(text: str, said: str) -> None:
    with pytest.raises(BoundlessError, match=said):
        parse_yaml(text)


def test_a_claim_has_one_holder_and_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "deep/claim.lock"
    with claimed(file) as first, claimed(file) as second:
        assert (first, second) == (True, False)
    assert not file.exists()
    with pytest.raises(KeyError), claimed(file):
        raise KeyError
    file.touch()  # left by a process that was killed
    with claimed(file) as mine:
        assert mine
    assert not file.exists()


@pytest.mark.parametrize("wait", [True, False])
def test_a_claim_released_while_it_is_taken_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait: bool
) -> None:
    """Or it would lie on a file that is gone, beside that of whoever makes it anew."""
    file, lock = tmp_path / "claim.lock", fcntl.flock

    def late(descriptor: int, how: int) -> None:
        monkeypatch.undo()
        file.unlink()
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with claimed(file, wait) as first, claimed(file) as second:
        assert (first, second) == (True, False)


def test_whoever_waits_for_a_claim_has_it_alone_in_the_end(tmp_path: Path) -> None:
    file, at_work = tmp_path / "claim.lock", []

    def work(_: int) -> None:
        for _ in range(20):
            with claimed(file, wait=True) as mine:
                assert mine
                at_work.append(1)
                assert len(at_work) == 1
                at_work.pop()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert not file.exists()


def test_texts_that_yaml_reads_as_something_else_are_named() -> None:
    assert misread(["yes", "off", "NO", "012", "Yes, sir", "y", "true", "1", "1.5", "gold"]) == {
        "yes": "true",
        "off": "false",
        "NO": "false",
        "012": "10",
    }
    assert in_quotes(["gold", "n"]) == ""
    assert in_quotes(["on", "gold"]) == 'write "on" in quotes, since YAML reads on as true'
