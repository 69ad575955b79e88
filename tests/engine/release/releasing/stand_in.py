#!/usr/bin/env python3
"""Stands in for `podman` and `skopeo`: images and registry are folders, containers nothing at all.

What it answers for a container is what the image's bundle has recorded. That a real image answers
so is for the template's own tests, which run one.
"""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

HOME = Path(os.environ["STAND_IN"])


def place(kind: str, name: str) -> Path:
    folder = HOME / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder / hashlib.sha256(name.encode()).hexdigest()[:16]


def label(about: dict[str, str]) -> dict[str, str]:
    return {"mlops.model.digest": about["MODEL"], "revision": about["COMMIT"]}


def build(arguments: list[str]) -> None:
    name, context = arguments[arguments.index("--tag") + 1], Path(arguments[-1])
    pairs = [arguments[i + 1] for i, word in enumerate(arguments) if word == "--build-arg"]
    about = dict(pair.partition("=")[::2] for pair in pairs)
    text = (context / "bundle/manifest.json").read_bytes()
    if hashlib.sha256(text).hexdigest() != about["MODEL"]:
        sys.exit("the bundle is another one")
    with (HOME / "builds").open("a") as builds:
        builds.write(f"{name}\n")
    about["built"] = str(len((HOME / "builds").read_text().splitlines()))
    # Like a layer: what was built before is there until what replaces it is whole.
    folder = place("images", name)
    shutil.rmtree(folder, ignore_errors=True)
    staging = folder.with_suffix(".unfinished")
    shutil.rmtree(staging, ignore_errors=True)
    shutil.copytree(context, staging)
    (staging / "about.json").write_text(json.dumps(about))
    staging.rename(folder)


def answer(name: str) -> None:
    container = json.loads(place("containers", name).read_text())
    folder = place("images", container)
    golden = json.loads((folder / "bundle/golden.json").read_text())
    digest = hashlib.sha256((folder / "bundle/manifest.json").read_bytes()).hexdigest()
    told = {
        "model": {"digest": digest},
        "status": 200,
        "answer": {
            "model": digest,
            "predictions": [
                {"probabilities": {"false": 1 - one["prediction"], "true": one["prediction"]}}
                for one in golden
            ],
        },
        "installed": json.loads((HOME / "installed.json").read_text()),
        "user": 10001,
    }
    told |= json.loads(os.environ.get("STAND_IN_SAYS", "{}"))
    print(json.dumps(told))


def push(name: str) -> None:
    about = (place("images", name) / "about.json").read_text()
    place("registry", name).write_text(about)


def inspect(name: str) -> None:
    pushed = place("registry", name)
    if not pushed.exists():
        sys.exit("fatal: reading manifest: manifest unknown")
    print(json.dumps({"Digest": digest(name), "Labels": label(json.loads(pushed.read_text()))}))


def digest(name: str) -> str:
    return f"sha256:{hashlib.sha256(place('registry', name).read_bytes()).hexdigest()}"


def main() -> None:
    if os.environ.get("STAND_IN_AWAY") == Path(sys.argv[0]).name:
        sys.exit("dial tcp: connection refused")
    match sys.argv[1:]:
        case ["info" | "logs", *_]:
            pass
        case ["image", "inspect", *_, name]:
            if not place("images", name).exists():
                sys.exit("no such image")
            print(json.dumps(label(json.loads((place("images", name) / "about.json").read_text()))))
        case ["build", *arguments]:
            build(arguments)
        case ["run", *options, image]:
            name = options[options.index("--name") + 1]
            if place("containers", name).exists():
                sys.exit(f"the name {name} is in use")
            place("containers", name).write_text(json.dumps(image))
        case ["rm", "--force", name]:
            place("containers", name).unlink(missing_ok=True)
        case ["exec", "--interactive", name, *_]:
            answer(name)
        case ["push", *_, "--digestfile", file, name]:
            push(name)
            Path(file).write_text(digest(name))
        case ["inspect", *_, name]:
            inspect(name.removeprefix("docker://"))
        case unknown:
            sys.exit(f"the stand-in does not know {unknown}")


if __name__ == "__main__":
    main()
