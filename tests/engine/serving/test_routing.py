"""Who answers whom is decided in one way, whichever door a request comes by."""

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mlops.bundle import manifest
from mlops.serving.models import routing_key

KEYS = [b"zo\xc3\xab", b"zo\xeb", b"plain", b"\xff\xfe"]


@pytest.fixture(scope="module")
def server(server: Callable[..., Any], bundle_folder: Path, tmp_path_factory: Any) -> Any:
    """A server whose challenger, the same model by another digest, answers half of the keys."""
    other = Path(shutil.copytree(bundle_folder, tmp_path_factory.mktemp("other") / "bundle"))
    content = manifest.read(other)
    content.pop("files")
    content["name"] = "other"
    manifest.write(other, content)
    return server(challenger=other, challenger_mode="share", challenger_share=0.5)


def test_every_door_leads_to_the_same_model(server: Any, golden: list[dict[str, Any]]) -> None:
    row = json.dumps(golden[0]).encode()
    answered = set()
    for number in range(20):
        for key in (b"k%d\xc3\xab" % number, b"k%d\xff" % number):
            found = set()
            for path in ("/predict", "/explain"):
                with closing(server.connect()) as connection:
                    connection.putrequest("POST", path)
                    connection.putheader("content-type", "application/json")
                    connection.putheader("content-length", str(len(row)))
                    connection.putheader("x-routing-key", key)
                    connection.endheaders(row)
                    answer = connection.getresponse()
                    content = json.loads(answer.read())
                    assert answer.status == 200, content
                    found.add(content["model"])
            assert len(found) == 1
            answered |= found
    assert len(answered) == 2


def test_a_key_counts_by_its_bytes_and_without_one_the_id() -> None:
    for key in KEYS:
        assert routing_key({b"x-routing-key": key}, "id") == key
    assert routing_key({}, "id") == b"id"
    assert routing_key({b"x-routing-key": b""}, "id") == b"id"
