"""The locks: hashed, naming no place, agreeing with pyproject.toml and each other."""

import re
import tomllib
from pathlib import Path

import pytest
from baked import ROOT, SOURCE

ENGINE = tomllib.loads((SOURCE / "engine/pyproject.toml").read_text(encoding="utf-8"))
LOCKS = sorted((SOURCE / "requirements").glob("*.txt"))
GROUPS = ENGINE["dependency-groups"]
PIN = re.compile(r"^([a-z0-9-]+)==([^ ]+?)( ; (.+?))? \\$", re.MULTILINE)


def pins(lock: str) -> dict[tuple[str, str], str]:
    """Return the version of each package, by name and marker."""
    return {(name, marker): version for name, version, _, marker in PIN.findall(lock)}


def faults(lock: str) -> list[str]:
    """Return the lines of a lock without a hash, and those that tie it to an index or machine."""
    lines = [line for line in lock.splitlines() if line and not line.startswith("#")]
    found = [line for line in lines if re.search(r"://|^-|--(index|find|extra)|(^|\s)/", line)]
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if not line.startswith(" ") and not after.startswith("    --hash=sha256:"):
            found.append(line)
    return found


def unreasoned(pyproject: str) -> list[str]:
    """Return the requirements that exclude versions and do not say why on their line."""
    needs = re.findall(r'^.*"[\w.-]+(?:\[\w+\])?[^"]*(?:<|==)[^"]*".*$', pyproject, re.MULTILINE)
    return [line for line in needs if "#" not in line]


def needed(group: str) -> set[str]:
    """Return the names of the packages that a dependency group asks for."""
    names: set[str] = set()
    for need in GROUPS[group]:
        if isinstance(need, dict):
            names |= needed(need["include-group"])
        else:
            names.add(re.split(r"[^\w.-]", need)[0].replace(".", "-").replace("_", "-"))
    return names


@pytest.mark.parametrize(
    "path",
    [*LOCKS, ROOT / "requirements.txt", *(ROOT / "tests").glob("*.txt")],
    ids=lambda path: path.name,
)
def test_a_lock_is_hashed_and_names_no_place(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert faults(text) == []
    assert pins(text)
    assert text.splitlines()[1].split() == ["#", "make", "lock"]


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://index.invalid/simple",
        "--find-links /opt/wheels",
        "a @ https://index.invalid/a.whl",
        "a==1.0",
        "-e .",
    ],
)
def test_a_loose_lock_is_refused(line: str) -> None:
    assert faults(f"# made\n#    make lock\n{line}\n") != []


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_is_locked(group: str) -> None:
    names = (group, *(f"{kind}-{group}" for kind in ("storage", "model", "compute")))
    (name,) = (one for one in names if SOURCE / f"requirements/{one}.txt" in LOCKS)
    text = (SOURCE / f"requirements/{name}.txt").read_text(encoding="utf-8")
    assert needed(group) <= {package for package, _ in pins(text)}


def test_every_lock_has_its_group() -> None:
    kinds = re.compile("^(storage|model|compute)-")
    stems = {kinds.sub("", path.stem) for path in LOCKS}
    assert stems == set(GROUPS)


@pytest.mark.parametrize(
    "path", [path for path in LOCKS if path.stem != "dev"], ids=lambda path: path.stem
)
def test_locks_agree(path: Path) -> None:
    """What is installed together, or must behave alike, has one version."""
    dev = pins((SOURCE / "requirements/dev.txt").read_text(encoding="utf-8"))
    for package, version in pins(path.read_text(encoding="utf-8")).items():
        assert dev.get(package, version) == version, package


def test_the_template_installs_what_projects_install() -> None:
    dev = pins((SOURCE / "requirements/dev.txt").read_text(encoding="utf-8"))
    own = pins((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    assert {(name, version) for (name, _), version in dev.items()} <= {
        (name, version) for (name, _), version in own.items()
    }


def test_unusual_pins_carry_their_reason() -> None:
    assert unreasoned((SOURCE / "engine/pyproject.toml").read_text(encoding="utf-8")) == []


def test_a_pin_without_a_reason_is_found() -> None:
    assert unreasoned('  "a>=1",\n  "b<2",\n  "c==1.*",  # c 2 is broken\n') == ['  "b<2",']


def test_training_dependencies_are_used() -> None:
    """Every direct dependency is imported, run or named as the reason of its pin."""
    places = (*(SOURCE / "engine/src").rglob("*.py"), *(SOURCE / "conf/model").glob("*.yaml"))
    code = "".join(
        path.read_text(encoding="utf-8") for path in [*places, SOURCE / "engine/tasks.mk"]
    )
    modules = {"hydra-core": "hydra", "pyyaml": "yaml", "scikit-learn": "sklearn"}
    pinned_only = {"protobuf"}
    for package in needed("train") - pinned_only:
        module = modules.get(package, package).replace("-", ".")
        named = re.escape(module)
        used = rf"\b(import|from) {named}\b|^\t{named} |^_target_: {named}\."
        assert re.search(used, code, re.MULTILINE), package
