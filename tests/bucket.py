"""A real S3 server with one bucket, and how DVC reaches it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

NAME, REGION = "data", "us-east-1"
KEY, SECRET = "rehearsal", "a-secret-that-no-log-may-show"


@contextmanager
def bucket() -> Iterator[str]:
    """Run the server; yield where it listens."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client(address).create_bucket(Bucket=NAME)
    yield address
    server.stop()


def client(address: str) -> Any:
    """Return a client of the server."""
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET}
    return boto3.client("s3", endpoint_url=address, region_name=REGION, **keys)


def remote(address: str) -> str:
    """Return the configuration by which DVC reaches it, as a secret of a repository has it."""
    lines = (
        f"url = s3://{NAME}/dvc",
        f"endpointurl = {address}",
        f"region = {REGION}",
        f"access_key_id = {KEY}",
        f"secret_access_key = {SECRET}",
    )
    return "\n    ".join(["['remote \"storage\"']", *lines]) + "\n"


def key(md5: str) -> str:
    """Return the name of an object by the hash that DVC has for it."""
    return f"dvc/files/md5/{md5[:2]}/{md5[2:]}"
