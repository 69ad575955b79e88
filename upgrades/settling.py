"""Contents that git finds in conflict and that have one answer all the same.

Each way is held to what it promises before it is believed; what has no one answer stays git's.
"""

import ast
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import yaml_keys
from .repository import MERGING, Git

CRLF, LF = b"\r\n", b"\n"
HUNK = re.compile(
    rb"^<{7} .*\n(?P<ours>(?:.*\n)*?)^\|{7} .*\n(?P<base>(?:.*\n)*?)^={7}\n"
    rb"(?P<theirs>(?:.*\n)*?)^>{7} .*\n",
    re.MULTILINE,
)
COMMENT = re.compile(r"(?:^|(?<=\s))#.*\S", re.MULTILINE)
# Lists of lines, in which what both sides added stands beside each other.
LISTS = (".gitignore", ".dvcignore", "CODEOWNERS")


def settled(
    git: Git, path: str, base: bytes, ours: bytes, theirs: bytes
) -> tuple[bytes, str] | None:
    """Return a content, and how it came about; None where people have to decide."""
    if ours.count(LF) == ours.count(CRLF) > 0 and CRLF not in base + theirs:
        told = "by lines, whose ends stay CRLF"
        plain = ours.replace(CRLF, LF)
        content, whole = _by_lines(git, base, plain, theirs)
        found = (content, told) if whole else settled(git, path, base, plain, theirs)
        return (found[0].replace(LF, CRLF), told) if found else None
    if path.endswith(yaml_keys.SUFFIXES) and (keyed := _by_key(git, base, ours, theirs)):
        return keyed
    if path.endswith(".py") or path.rpartition("/")[2] in LISTS:
        content, _ = _by_lines(git, base, ours, theirs)
        both = _union(content, path.endswith(".py"))
        if both is not None and (not path.endswith(".py") or _has_all(both, base, ours, theirs)):
            return both, "what both sides added stands there, ours first"
    if path.endswith(".py"):
        was, there = (_formatted(git, path, one) for one in (base, theirs))
        if was and there and was != base:
            content, whole = _by_lines(git, was, ours, there)
            return (content, "by lines, formatted as this project is") if whole else None
    return None


def _by_key(git: Git, base: bytes, ours: bytes, theirs: bytes) -> tuple[bytes, str] | None:
    """Merge YAML by key, and the template's comments by lines where ours has nothing else there."""
    keyed = yaml_keys.merged(*(_text(one) for one in (base, ours, theirs)))
    if keyed is None:
        return None
    made = keyed.encode(errors="surrogateescape")
    more, _ = _by_lines(git, base, made, theirs, "--ours")
    if yaml_keys.is_alike(_text(more), keyed):
        made = more
    known = _text(base) + _text(made)
    left = [one for one in COMMENT.findall(_text(theirs)) if one not in known]
    told = f", but for comments of the template: {'; '.join(left)}" if left else ""
    return made, f"{yaml_keys.HOW}{told}"


def _formatted(git: Git, path: str, content: bytes) -> bytes | None:
    """Return a module as this project's own formatter leaves it; None where there is none."""
    own = git.root / ".venv/bin/ruff"
    ruff = str(own) if own.is_file() else shutil.which("ruff")
    if ruff is None:
        return None
    told = [ruff, "format", "--quiet", "--stdin-filename", path, "-"]
    done = subprocess.run(told, cwd=git.root, input=content, capture_output=True)
    return done.stdout if done.returncode == 0 else None


def _by_lines(
    git: Git, base: bytes, ours: bytes, theirs: bytes, *options: str
) -> tuple[bytes, bool]:
    """Merge three texts as git does; say whether without a conflict."""
    with tempfile.TemporaryDirectory() as folder:
        places = []
        for name, content in (("ours", ours), ("base", base), ("theirs", theirs)):
            places.append(str(Path(folder, name)))
            Path(folder, name).write_bytes(content)
        told = (*MERGING, "merge-file", "--stdout", "--diff3", "--quiet", *options, *places)
        done = git.run(*told, accept=range(128))
    return done.stdout, done.returncode == 0


def _union(content: bytes, is_python: bool) -> bytes | None:
    """Return a merge in which each conflict is an addition on both sides: ours, then theirs."""

    def both(hunk: re.Match[bytes]) -> bytes:
        ours, theirs = hunk["ours"], hunk["theirs"]
        if hunk["base"].strip() or (is_python and not _are_apart(ours, theirs)):
            return hunk[0]
        if ours == theirs:
            return ours
        # What both have at their ends, like empty lines, is wanted once.
        if is_python and _defines(ours) and _defines(theirs):
            return ours.rstrip(b"\n") + b"\n\n\n" + theirs.lstrip(b"\n")
        return ours + theirs

    made = HUNK.sub(both, content)
    return None if re.search(rb"^(<{7}|>{7}|\|{7}) ", made, re.MULTILINE) else made


def _are_apart(ours: bytes, theirs: bytes) -> bool:
    """Say whether two pieces are whole statements of a module that name nothing alike."""
    try:
        one, other = (_names(ast.parse(piece)) for piece in (ours, theirs))
    except (SyntaxError, ValueError):
        return False
    return not one & other


def _defines(piece: bytes) -> bool:
    return any(isinstance(node, _DEFINITIONS) for node in ast.parse(piece).body)


_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _names(module: ast.Module) -> set[str]:
    """Return what the statements of a module define; the whole text of others."""
    found = set()
    for node in module.body:
        if isinstance(node, _DEFINITIONS):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            found |= {ast.unparse(target) for target in node.targets}
        else:
            found.add(ast.unparse(node))
    return found


def _has_all(content: bytes, base: bytes, ours: bytes, theirs: bytes) -> bool:
    """Say whether a module has, once each, all that the sides have but for what one took away."""
    try:
        made, was, here, there = (ast.parse(one) for one in (content, base, ours, theirs))
    except (SyntaxError, ValueError):
        return False
    gone = (_names(was) - _names(here)) | (_names(was) - _names(there))
    defined = [node.name for node in made.body if isinstance(node, _DEFINITIONS)]
    wanted = (_names(here) | _names(there)) - gone
    return wanted <= _names(made) and len(defined) == len(set(defined))


def _text(content: bytes) -> str:
    return content.decode(errors="surrogateescape")
