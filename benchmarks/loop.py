"""How long people wait for the workflows of a generated project: the rehearsal, with a watch.

    python benchmarks/loop.py

A pull request of a model that its author ran and pushed, and its merge, up to an answer of the
image that the deployment branch names; the second finds the layers of the first. Timed are the
commands of the workflows on this machine, without the installation from the locks.
"""

import sys
import tempfile
import time
from pathlib import Path

from cookiecutter.main import cookiecutter

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import engine  # noqa: E402
from rehearsal.story import EXPERIMENT, Story, states  # noqa: E402


def proposed(story: Story, branch: str, trees: int) -> None:
    """Make a model, propose and merge it; print how long people waited."""
    story.begin(branch)
    model = f"{{use: boosting, max_iter: {trees}}}"
    story.write("params.yaml", EXPERIMENT.format(model=model))
    story.author.commit("Experiment")
    story.author.run("dvc", "repro")
    story.author.run("dvc", "push", "--quiet")
    story.author.commit("Candidate")
    started = time.perf_counter()
    number, runs = story.propose(branch)
    print(
        f"{branch}: model with nothing to train {time.perf_counter() - started:.1f} s", flush=True
    )
    assert states(runs["model"])["pass"] == "success", runs["model"].output
    story.take(number)
    started = time.perf_counter()
    released = story.accept(number)["release"]
    seconds = time.perf_counter() - started
    assert released.result == "success", released.output
    assert story.served() == story.declared()
    answered = time.perf_counter() - started
    print(f"{branch}: release {seconds:.1f} s, from the merge to an answer {answered:.1f} s")


def main() -> None:
    """Print what was measured."""
    with tempfile.TemporaryDirectory() as place, engine.registry(Path(place)) as address:
        folder = Path(place)
        environment = engine.prepare(ROOT / "build/engine", folder)
        plain = folder / "registries.conf"
        plain.write_text(f'[[registry]]\nlocation = "{address}"\ninsecure = true\n')
        environment["CONTAINERS_REGISTRIES_CONF"] = str(plain)
        answers = {"container_registry": f"{address}/loop", "project_name": "Loop"}
        made = cookiecutter(str(ROOT), no_input=True, extra_context=answers, output_dir=place)
        with Story(folder / "world", engine=environment) as story:
            story.settle(Path(made))
            story.push(story.author.path, "main")
            proposed(story, "first", 30)
            proposed(story, "second", 60)


if __name__ == "__main__":
    main()
