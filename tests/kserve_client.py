"""KServe's own client and its models, in an environment of their own: `make kserve` installs them.

    python -P tests/kserve_client.py ask | check < told.json

`ask` sends the rows that are told to a server and prints what it answers; `check` prints what the
models of KServe's API do not know of the objects that are told.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from typing import Any

import kserve  # type: ignore[import-not-found,unused-ignore]
from kubernetes import client as kubernetes  # type: ignore[import-not-found,unused-ignore]


async def ask(told: dict[str, Any]) -> dict[str, Any]:
    """Return what a server answers KServe's client, in JSON and in bytes."""
    name, url = told["model"], told["address"]
    config = kserve.RESTConfig(protocol="v2", retries=0, timeout=30)
    client = kserve.InferenceRESTClient(config=config)
    inputs = [
        kserve.InferInput(one["name"], [len(one["data"])], one["datatype"], one["data"])
        for one in told["tensors"]
    ]
    request = kserve.InferRequest(model_name=name, infer_inputs=inputs, request_id="42")
    answer = await client.infer(url, request, model_name=name)
    return {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model ready": await client.is_model_ready(url, name),
        "id": answer.id,
        "outputs": {one.name: one.as_numpy().tolist() for one in answer.outputs},
    }


def unknown(value: Any, kind: str, at: str) -> Iterator[str]:
    """Yield what a type of the API does not know, at whatever depth."""
    if kind.startswith("list["):
        for number, one in enumerate(value):
            yield from unknown(one, kind[5:-1], f"{at}/{number}")
        return
    model: Any = getattr(kserve, kind, None) or getattr(kubernetes, kind, None)
    if not hasattr(model, "openapi_types"):
        return  # a text, a number, or a mapping of the user's own
    names = {theirs: ours for ours, theirs in model.attribute_map.items()}
    for key, inner in value.items():
        if key in names:
            yield from unknown(inner, model.openapi_types[names[key]], f"{at}/{key}")
        else:
            yield f"{at}/{key} is unknown"


if __name__ == "__main__":
    given = json.load(sys.stdin)
    if sys.argv[1] == "ask":
        print(json.dumps(asyncio.run(ask(given))))
    else:
        for one in given:
            print(*unknown(one, f"V1beta1{one['kind']}", one["kind"]), sep="\n", end="")
