"""What share of small mistakes, put into the gate's code, its tests notice.

    uv run --with mutmut==3.8.1 python benchmarks/gate/mutation.py FOLDER [MUTANTS] [SEED]

A copy of the project in FOLDER, made anew, is mutated and tested with tests/gate, but without the
sabotage suite (minutes a mutant); there, `mutmut show NAME` shows what survived. Code that only a
process of its own runs is changed in place, since mutmut does not follow it. The sample is every
k-th mutant, from a random start, of a list by module in random order inside each.

No behaviour, and left out, are mutants that change only a text: a literal of several words (no
verdict), what an exception says, HTML in page.py. mutmut itself leaves alone what functions with
decorators do, and constants of modules and classes. Mutants of the functions in ENDLESS can have
the gate start itself without end: they are not run, and count as survived.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from math import sqrt
from pathlib import Path
from random import Random

PROJECT = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}"
COPIED = "src tests benchmarks conf requirements params.yaml dvc.yaml pyproject.toml .dvcignore"
GATE = "engine/src/mlops/gate"
TESTS = ("tests/gate", "--ignore=tests/gate/judging/sabotage")
LISTS = {"also_copy": COPIED.split(), "pytest_add_cli_args_test_selection": TESTS}
SETTINGS = f"[mutmut]\nsource_paths=src\nonly_mutate={GATE}/*\nuse_setproctitle=false\n"
SETTINGS += "".join("\n  ".join((f"{key} =", *LISTS[key])) + "\n" for key in LISTS)
ENDLESS = ("rerun.x_handed_over_", "rerun.x__delegated_")
UNSEEN = 33  # mutmut saw no test reach it
NOTICED = (1, 3, 24, -24, 36, 152, 255)  # a test fails, or does not end


def bare(node: object, words: re.Pattern[str]) -> str:
    """Return code without what is wording only."""
    match node:
        case ast.Constant(value=str(text)) if text != "not applicable" and words.search(text):
            return ""
        case ast.JoinedStr(values=parts) if words.search(
            "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in parts)
        ):
            return ""
        case ast.Raise(exc=ast.Call(func=kind)):
            return f"raise {bare(kind, words)} {bare(node.cause, words)}"
        case list():
            return f"[{','.join(bare(one, words) for one in node)}]"
        case ast.AST():
            return type(node).__name__ + bare([value for _, value in ast.iter_fields(node)], words)
    return repr(node)


def mutants(path: Path) -> list[str]:
    """Return the names of a module's mutants that change more than wording."""
    from mutmut.mutation.file_mutation import mutate_file_contents
    from mutmut.utils.format_utils import get_mutant_name

    made = mutate_file_contents(str(path), path.read_text(encoding="utf-8"))
    words = re.compile(r"<|>|\w.* .*\w" if path.name == "page.py" else r"\w.* .*\w", re.DOTALL)
    every = [node for node in ast.walk(ast.parse(made.code)) if isinstance(node, ast.FunctionDef)]
    code = {node.name: bare(node.args, words) + bare(node.body, words) for node in every}
    pairs = [(name, f"{name.rpartition('_')[0]}_orig") for name in made.mutant_names]
    return [get_mutant_name(path, name) for name, own in pairs if code[name] != code[own]]


def applied(name: str, path: Path) -> int:
    """Return the exit code of the tests with a mutant written into the code."""
    whole = path.read_bytes()
    subprocess.run(["mutmut", "apply", name], check=True, stdout=subprocess.DEVNULL)
    code = subprocess.run(["pytest", "-xq", *TESTS], stdout=subprocess.DEVNULL).returncode
    path.write_bytes(whole)
    return code


def main(folder: Path, count: int = 300, seed: int = 1) -> None:
    """Draw, run and count."""
    (folder / "tmp").mkdir(parents=True)
    for name in COPIED.split():
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, folder / name)
    os.chdir(folder)
    Path("setup.cfg").write_text(SETTINGS)
    os.environ["TMPDIR"] = str(Path("tmp").resolve())  # what mutants leave behind stays in FOLDER
    random, every, home = Random(seed), list[str](), dict[str, str]()
    for path in sorted(Path(GATE).rglob("*.py")):
        names = mutants(path)
        every += random.sample(names, len(names))
        home |= dict.fromkeys(names, path.relative_to(GATE).as_posix())
    step = max(1.0, len(every) / count)
    start = random.uniform(0, step)
    drawn = [every[int(start + at * step)] for at in range(min(count, len(every)))]
    print(f"{len(drawn)} of {len(every)} mutants, seed {seed}", flush=True)
    tried = [name for name in drawn if not any(one in name for one in ENDLESS)]
    with Path("mutmut.log").open("w") as log:
        subprocess.run(["mutmut", "run", "--max-children", "2", *tried], stdout=log, check=True)
    codes: dict[str, int | None] = {}
    for file in Path("mutants", GATE).rglob("*.meta"):
        codes |= json.loads(file.read_text(encoding="utf-8"))["exit_code_by_key"]
    for name in drawn:
        if codes[name] == UNSEEN:
            codes[name] = applied(name, Path(GATE, home[name]))
    noticed = Counter(home[name] for name in drawn if codes[name] in NOTICED)
    for module, number in Counter(home[name] for name in drawn).items():
        print(f"{module:24} {noticed[module]:4} of {number}")
    rate, of, z = noticed.total() / len(drawn), len(drawn), 1.96
    centre, half = rate + z * z / 2 / of, z * sqrt(rate * (1 - rate) / of + z * z / 4 / of / of)
    low, high = ((centre + sign * half) / (1 + z * z / of) for sign in (-1, 1))
    print(f"{noticed.total()} of {of} noticed: {rate:.1%} (95 %: {low:.1%} to {high:.1%})")
    print("survived:", *(name for name in drawn if codes[name] not in NOTICED), sep="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:4]))
