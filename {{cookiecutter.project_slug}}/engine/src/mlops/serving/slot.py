"""A place for one bundle: what is there, whether it changed, and what is wrong with it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..bundle import manifest
from ..errors import ProjectError
from . import loading
from .settings import ServingSettings

if TYPE_CHECKING:
    from .online.online import Online
    from .predictor import Predictor

Signature = tuple[tuple[str, int, int, int], ...]


class Slot:
    """A folder that bundles are swapped in, and the last one of it that was good."""

    def __init__(
        self,
        folder: Path,
        settings: ServingSettings,
        expect: str | None = None,
        online: "Online | None" = None,
    ) -> None:
        self.folder = folder
        self.predictor: Predictor | None = None
        self.reason = ""
        self._settings = settings
        self._expect = expect
        self._online = online
        self._tried: Signature | None = None

    def load(self) -> None:
        """Load what the folder holds, if it is another bundle than the one that serves."""
        self._tried = signature(self.folder)
        if self.predictor and _bundle_digest(self.folder) == self.predictor.bundle_digest:
            return
        self.predictor = loading.load(
            *(self.folder, self._settings.unseen, self._expect, self._settings.extra),
            self._online,
        )

    def refresh(self, always: bool = False) -> str:
        """Load what changed, and return how that went: `loaded`, `refused`, or empty.

        What is no good leaves the old one, and `reason` says why. It is not tried again until a
        file of it changes, or `always`.
        """
        if not always and signature(self.folder) == self._tried:
            return ""
        before = self.predictor
        try:
            self.load()
        except ProjectError as error:
            self.reason = str(error)
        except Exception as error:  # nothing that a new bundle does may end the old one
            self.reason = f"{self.folder} cannot be loaded ({type(error).__name__}: {error})"
        else:
            self.reason = ""
            return "" if self.predictor is before else "loaded"
        return "refused"

    def restore(self, predictor: "Predictor | None", reason: str) -> None:
        """Hold what was there before again, and try anew whatever the folder has next."""
        self.predictor, self.reason, self._tried = predictor, reason, None


def _bundle_digest(folder: Path) -> str:
    """Return the digest of the manifest, or none where it cannot be read."""
    try:
        return manifest.bundle_digest(folder)
    except OSError:
        return ""


def signature(folder: Path) -> Signature:
    """Return what changes when a file of the folder does, or the folder is replaced."""
    try:
        with os.scandir(folder) as entries:
            facts = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    except OSError:
        return ()
    return tuple(sorted((name, s.st_ino, s.st_size, s.st_mtime_ns) for name, s in facts))
