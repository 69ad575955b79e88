"""The software bill of materials of an image, as CycloneDX: what its lock installs, and the model.

Written from what is locked, so that it is the same each time; the smoke test makes sure that the
image holds exactly that.
"""

import re
import uuid
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement

from ..files import sha256_of
from .declaration import Declaration
from .image import Image
from .smoke import normal

VERSION = re.compile(r"python:(\d+\.\d+)")
LINUX = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "sys_platform": "linux",
}


def installed(lock: str, python: str) -> dict[str, str]:
    """Return what a lock installs on Linux: the version of each package by its name."""
    found = {}
    for line in lock.splitlines():
        text = line.partition(" \\")[0].strip()
        if not text or text.startswith(("#", "-")):
            continue
        one = Requirement(text)
        if _applies(one.marker, python):
            found[normal(one.name)] = next(iter(one.specifier)).version
    return found


def _applies(marker: Marker | None, python: str) -> bool:
    told = LINUX | {"python_version": python, "python_full_version": f"{python}.0"}
    return marker is None or marker.evaluate(told)


def python(base: str, default: str = "3.11") -> str:
    """Return the version of Python that a base image's name tells."""
    found = VERSION.search(base)
    return found[1] if found else default


def sbom(
    said: Declaration, image: Image, base: str, packages: dict[str, str], lock: str
) -> dict[str, Any]:
    """Return the bill of materials of an image."""
    purl = "pkg:oci/{}?repository_url={}&tag={}"
    number = uuid.uuid5(uuid.NAMESPACE_URL, image.bundle_digest + image.code)
    name = image.repository.rpartition("/")[2]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{number}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "bom-ref": "image",
                "name": image.repository,
                "version": image.tag,
                "purl": purl.format(name, image.repository, image.tag),
            },
            "properties": [{"name": "mlops:lock:sha256", "value": sha256_of(lock)}],
        },
        "components": [
            {"type": "container", "bom-ref": "base", "name": base},
            {
                "type": "machine-learning-model",
                "bom-ref": "model",
                "name": said.name,
                "version": image.bundle_digest,
                "hashes": [{"alg": "SHA-256", "content": image.bundle_digest}],
            },
            *(
                {
                    "type": "library",
                    "bom-ref": f"pkg:pypi/{package}@{version}",
                    "name": package,
                    "version": version,
                    "purl": f"pkg:pypi/{package}@{version}",
                }
                for package, version in sorted(packages.items())
            ),
        ],
    }
