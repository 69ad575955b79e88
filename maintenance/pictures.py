"""The pictures of the documentation, drawn from a project that walked the tutorial.

`make pictures FROM=build/tutorial/tumours` opens its report, the gate's, the monitor's and the page
of its server in Chromium, and writes docs/pictures.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURES = Path(__file__).parents[1] / "docs/pictures"
PAGES = {
    "report": "reports/report.html",
    "gate": "reports/gate/gate.html",
    "monitor": "reports/monitor/monitor.html",
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WINDOW = {"width": 1100, "height": 760}
MOST = 200_000  # bytes of a picture
PATIENCE = 60.0  # seconds


@contextmanager
def served(project: Path) -> Iterator[str]:
    """Serve what production declares; yield the page's address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    verb = ["serve", "--bundle", "deploy/production/champion", "--port", port]
    told = [sys.executable, "-m", "mlops.cli", *verb]
    path = os.pathsep.join(str(project.resolve() / folder) for folder in ("engine/src", "src"))
    own = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen(told, cwd=project, env=own, stderr=subprocess.DEVNULL) as server:
        try:
            _wait(f"http://127.0.0.1:{port}/readyz")
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()


def _wait(url: str) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(url, timeout=PATIENCE).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def draw(addresses: dict[str, str], out: Path) -> None:
    """Draw the top of each page, as small as eight bits a pixel make it.

    Raises:
        SystemExit: a picture is larger than a repository should keep.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"pictures: there is no browser: install {BROWSERS[0]}")
    out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport=WINDOW, color_scheme="light")  # type: ignore[arg-type]
        for name, address in addresses.items():
            page.goto(address, wait_until="networkidle")
            file = out / f"{name}.png"
            page.screenshot(path=file)
            if file.stat().st_size > MOST:
                sys.exit(f"pictures: {file} has {file.stat().st_size:,} bytes: draw less of it")
            print(f"{file}: {file.stat().st_size:,} bytes")
        chromium.close()


def main(project: Path) -> None:
    """Draw what a project has."""
    for path in PAGES.values():
        if not (project / path).is_file():
            sys.exit(f"pictures: {project / path} is missing: walk the tutorial there first")
    with served(project) as address:
        pages = {name: (project / path).resolve().as_uri() for name, path in PAGES.items()}
        draw({**pages, "serve": address}, PICTURES)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
