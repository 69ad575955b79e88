"""What is judged answers here: a bundle with its own code, in a confined process of its own.

That process starts with an empty environment in a temporary folder that holds code and bundle and
nothing else. It is sent columns and returns predictions, or the matrix that they are made from.
What it can read, reach and import is in sandbox_process.py; what it says is believed as far as
its form can be checked here, and in nothing else.
"""

import importlib.metadata
import inspect
import json
import os
import re
import select
import shutil
import signal
import site
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from ..bundle import contents, reading
from ..bundle.manifest import BundleError
from ..config.settings import Settings
from ..contract import Contract
from ..errors import ProjectError
from ..git.repository import Repository
from . import syscalls

PROCESS = Path(__file__).with_name("sandbox_process.py")
ENGINE, PROJECT = Path("engine/src/mlops"), Path("src/project")
LOCKS = {"onnx": Path("requirements/serve.txt"), "skops": Path("requirements/serve-skops.txt")}
SERVED = (str(ENGINE), str(PROJECT), *map(str, LOCKS.values()))  # of a commit, for its champion
# What a process needs of the machine beside Python: libraries, times, how many processors.
MACHINE = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo"),
    *("/etc/ld.so.cache", "/etc/localtime", "/proc/self", "/proc/cpuinfo"),
    "/sys/devices/system/cpu",
)
KEPT = ("LD_LIBRARY_PATH", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
CONFINE = ("landlock", "namespace")
HEAD = 1 << 20
FLOAT, MATRIX = "<f8", "<f4"
UNHELD = "nothing"


class SandboxError(ProjectError):
    """A bundle does not answer, or answers with what is none."""


class Sandbox:
    """A bundle that answers in a process of its own; to be used in a `with` block.

    `code` is the folder with the engine/, src/project and requirements/ that it answers with; where
    that is `private`, and thus nobody else's, it is linked and not copied. After `seconds` without
    an answer it is ended.
    """

    def __init__(
        self,
        code: Path,
        bundle: Path,
        contract: Contract,
        runtime: str,
        seconds: float,
        confine: Sequence[str] | None = None,
        private: bool = False,
    ) -> None:
        self.contract, self.seconds, self.fault = contract, seconds, ""
        self._arguments = (code, bundle, contract, runtime, seconds, confine, private)
        self._held: str | None = None
        self._told: dict[str, Any] | None = None
        self._place = tempfile.TemporaryDirectory(prefix="answers-", ignore_cleanup_errors=True)
        self._log = Path(self._place.name) / "log"
        try:
            folder = Path(self._place.name) / "inside"
            (Path(self._place.name) / "empty").mkdir()
            _copy(code, bundle, folder, private)
            told = {
                "folder": str(folder.resolve()),
                "empty": str(Path(self._place.name).resolve() / "empty"),
                "packages": _packages(),
                "allowed": sorted(_allowed(code / LOCKS.get(runtime, LOCKS["onnx"]))),
                "readable": _readable(),
                "confine": list(CONFINE if confine is None else confine),
                "filter": syscalls.instructions(os.uname().machine),
                "memory": memory(),
            }
            self._process = self._started(folder, told)
        except BaseException:
            self._place.cleanup()
            raise

    def _started(self, folder: Path, told: dict[str, Any]) -> subprocess.Popen[bytes]:
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                # Isolated, without site and what .pth files in it would run, and no bytecode.
                [sys.executable, "-I", "-S", "-B", "-c", PROCESS.read_text(), json.dumps(told)],
                cwd=folder,
                env={"LC_ALL": "C.UTF-8", **{k: os.environ[k] for k in KEPT if k in os.environ}},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                start_new_session=True,
            )
        assert process.stdin is not None
        assert process.stdout is not None
        os.set_blocking(process.stdin.fileno(), False)
        self._in, self._out = process.stdin.fileno(), process.stdout.fileno()
        self._left = b""
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process and what it started, and remove its folder."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        self._process.wait()
        self._place.cleanup()

    @property
    def confinement(self) -> str:
        """What keeps the process from everything but its own folder."""
        if self._held is None:
            told = self._head(time.monotonic() + self.seconds)
            self._held = str(told.get("confinement", "")) or UNHELD
        return self._held

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns of the contract that it reads."""
        return tuple(self._hello["inputs"])

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of its matrix."""
        return tuple(self._hello["names"])

    @property
    def categorical(self) -> tuple[int, ...]:
        """The positions of those that hold category codes."""
        return tuple(self._hello["categorical"])

    @property
    def features(self) -> dict[str, range]:
        """The columns of its matrix, each for itself: what belongs together, the settings say."""
        return {name: range(at, at + 1) for at, name in enumerate(self.names)}

    def matrix(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the float32 matrix (rows, len(names))."""
        return self._asked("matrix", columns, MATRIX, (len(self.names),))

    def predict(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the predictions, as runtime.model.Model.predict does."""
        return self._asked("predict", columns, FLOAT, self._classes)

    def golden(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Return the predictions for rows as a client sends them."""
        self._hello  # noqa: B018
        body = json.dumps(rows).encode()
        head = {"ask": "golden", "columns": [["", "json", len(body)]]}
        return self._answer(head, [body], FLOAT, (len(rows), *self._classes))

    def served(self, body: bytes, rows: int) -> np.ndarray:
        """Return the predictions for the body of a request, NaN where a server would refuse it."""
        self._hello  # noqa: B018
        shape = (rows, *self._classes)
        head = {"ask": "served", "columns": [["", "json", len(body)]], "shape": list(shape)}
        return self._answer(head, [body], FLOAT, shape)

    def peak_bytes(self, columns: Mapping[str, np.ndarray]) -> int:
        """Return the peak resident memory of a fresh process that loads the bundle and predicts."""
        with Sandbox(*self._arguments) as other:
            other.predict(columns)
            return other.peak()

    def peak(self) -> int:
        """Return the peak resident bytes of the process, as the system tells them."""
        status = Path(f"/proc/{self._process.pid}/status")
        if status.exists():
            found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)
            if found is not None:
                return int(found[1]) * 1024
        os.killpg(self._process.pid, signal.SIGKILL)
        _, code, used = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(code)
        return used.ru_maxrss if sys.platform == "darwin" else used.ru_maxrss * 1024

    @property
    def _classes(self) -> tuple[int, ...]:
        return (len(self.contract.labels),) if self.contract.task == "multiclass" else ()

    @property
    def _hello(self) -> dict[str, Any]:
        """What the process said of itself, once it was ready."""
        if self.fault:
            raise SandboxError(self.fault)
        if self._told is None:
            _ = self.confinement  # is told first
            try:
                told = self._head(time.monotonic() + self.seconds)
            except SandboxError as error:
                self.fault = str(error)
                raise
            self._check(told)
            self._told = told
        return self._told

    def _check(self, told: Mapping[str, Any]) -> None:
        """Refuse inputs that are none of the candidate's business, and names that are none."""
        inputs, names, places = (told.get(key) for key in ("inputs", "names", "categorical"))
        for what, given in (("inputs", inputs), ("names", names)):
            listed: list[Any] = given if isinstance(given, list) else []
            texts = bool(listed) and all(isinstance(name, str) for name in listed)
            if not texts or len(set(listed)) != len(listed):
                self._refuse(f"its {what} are no list of different names")
        columns = self.contract.columns
        for name in inputs or ():
            if name not in columns:
                self._refuse(f"it asks for {name[:80]!r}, which its contract does not declare")
            for role, said in (("target", "the target"), ("ignored", "which is ignored")):
                if role in columns[name].roles:
                    self._refuse(f"it asks for {name}, {said}: nothing but inputs is handed out")
        known = range(len(names or ()))
        if not isinstance(places, list) or not all(type(p) is int and p in known for p in places):
            self._refuse("what it says of its categories is no list of columns")

    def _asked(
        self, what: str, columns: Mapping[str, np.ndarray], kind: str, width: tuple[int, ...]
    ) -> np.ndarray:
        sent = [(name, *_bytes(columns[name])) for name in self.inputs]
        head = {"ask": what, "columns": [[name, k, len(content)] for name, k, content in sent]}
        rows = len(columns[self.inputs[0]])
        return self._answer(head, [content for _, _, content in sent], kind, (rows, *width))

    def _answer(
        self, head: Mapping[str, Any], contents: Sequence[bytes], kind: str, shape: tuple[int, ...]
    ) -> np.ndarray:
        """Return the array that is answered: of this kind and shape, or none at all."""
        until = time.monotonic() + self.seconds
        self._write(b"".join([json.dumps(head).encode(), b"\n", *contents]), until)
        told = self._head(until)
        if told.get("dtype") != kind or told.get("shape") != list(shape):
            self._refuse(
                f"{head['ask']}: its answer is {str(told.get('dtype'))[:20]} of shape "
                f"{str(told.get('shape'))[:60]}, not {kind} of {list(shape)}"
            )
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        return np.frombuffer(self._read(size, until), kind).reshape(shape)

    def _head(self, until: float) -> dict[str, Any]:
        """Return the next line, a JSON object; raise what it says failed."""
        line = bytearray()
        while b"\n" not in line:
            if len(line) > HEAD:
                self._refuse("it says more than an answer has")
            line += self._some(HEAD, until)
        found, _, self._left = bytes(line).partition(b"\n")
        try:
            told = json.loads(found)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            self._refuse("what it says is no JSON object")
        if "error" in told:
            raise SandboxError(" ".join(str(told["error"])[:2000].split()))
        return dict(told)

    def _read(self, size: int, until: float) -> bytearray:
        content = bytearray()
        while len(content) < size:
            content += self._some(size - len(content), until)
        if self._left:
            self._refuse("it says more than an answer has")
        return content

    def _some(self, most: int, until: float) -> bytes:
        """Return up to `most` bytes, at least one."""
        if self._left:
            found, self._left = self._left[:most], self._left[most:]
            return found
        self._wait(self._out, select.POLLIN, until)
        found = os.read(self._out, min(most, 1 << 20))
        if not found:
            self._ended()
        return found

    def _write(self, content: bytes, until: float) -> None:
        if self.fault:
            raise SandboxError(self.fault)
        view = memoryview(content)
        while view:
            self._wait(self._in, select.POLLOUT, until)
            try:
                view = view[os.write(self._in, view[: 1 << 20]) :]
            except BlockingIOError:
                continue
            except OSError:
                self._ended()

    def _wait(self, stream: int, event: int, until: float) -> None:
        if self.fault:
            raise SandboxError(self.fault)
        poll = select.poll()
        poll.register(stream, event)
        left = until - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            self._refuse(
                f"it had no answer after {self.seconds:g} seconds and was ended: make it faster, "
                "or give `answer_seconds` more in conf/gate, in a pull request of its own"
            )

    def _ended(self) -> None:
        """Raise with how the process ended, and the last that it printed."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.returncode
        how = f"by signal {-code}" if code is not None and code < 0 else f"with {code}"
        text = self._log.read_bytes()[-2000:].decode(errors="replace").strip()
        # ONNX Runtime warns of what it may not look at, like graphics cards.
        lines = [line for line in text.splitlines() if "[W:onnxruntime" not in line]
        said = f": {lines[-1][:300]}" if lines else ""
        self._refuse(f"its process ended {how}{said}")

    def _refuse(self, reason: str) -> None:
        """End the process and raise; what is asked later fails for the same reason."""
        self.fault = reason
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        raise SandboxError(reason)


class Confined(NamedTuple):
    """A verified bundle whose code and model run in a sandbox."""

    manifest: dict[str, Any]
    contract: Contract
    settings: Settings
    encoder: Sandbox

    @property
    def confinement(self) -> str:
        """What keeps its process from everything but its own folder."""
        return self.encoder.confinement

    def answer(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return predictions, as runtime.model.Model.predict does."""
        return self.encoder.predict(columns)

    def golden(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Return the predictions for rows as a client sends them."""
        return self.encoder.golden(rows)

    def served(self, body: bytes, rows: int) -> np.ndarray:
        """Return the predictions for the body of a request, NaN where a server would refuse it."""
        return self.encoder.served(body, rows)

    def peak_bytes(self, columns: Mapping[str, np.ndarray]) -> int:
        """Return the peak resident memory of a process that loads it and predicts."""
        return self.encoder.peak_bytes(columns)


@contextmanager
def confined(
    repository: Repository, bundle: Path, commit: str, seconds: float
) -> Iterator[Confined]:
    """Yield a bundle that answers with the code that a commit has, as an image of it would.

    Raises SandboxError where it does not answer. What is read of it here are bytes that were
    verified, as data.
    """
    content = contents.read(bundle)
    contract, settings = reading.declared(content)
    with tempfile.TemporaryDirectory(prefix="code-") as place:
        code = Path(place)
        repository.extract(commit, SERVED, code)
        runtime = str(content.manifest.get("runtime"))
        with Sandbox(code, bundle, contract, runtime, seconds, private=True) as sandbox:
            yield Confined(content.manifest, contract, settings, sandbox)


def _bytes(values: np.ndarray) -> tuple[str, bytes]:
    """Return the kind and the bytes of a column."""
    if values.dtype.kind == "M":
        return "<M8[us]", values.astype("<M8[us]").tobytes()
    if values.dtype.kind in "fiub":
        return FLOAT, values.astype(FLOAT).tobytes()
    texts = [value if isinstance(value, str) else None for value in values.tolist()]
    return "text", json.dumps(texts).encode()


def _copy(code: Path, bundle: Path, folder: Path, private: bool) -> None:
    """Copy what a bundle answers with; a link stays one, and leads nowhere from there.

    Files of `code` are linked where that is private; the bundle, and the judge's own engine, never.
    """
    bytecode = shutil.ignore_patterns("__pycache__")
    own = (code / ENGINE).is_dir()
    engine = code / ENGINE if own else Path(__file__).parents[1]
    for source, target, is_linked in (
        (engine, ENGINE, private and own),
        (code / PROJECT, PROJECT, private),
        (bundle, Path("bundle"), False),
    ):
        if source.is_dir():
            given = _linked if is_linked else shutil.copy2
            shutil.copytree(
                source, folder / target, symlinks=True, ignore=bytecode, copy_function=given
            )
    if not (folder / "bundle").is_dir():
        raise BundleError(f"{bundle} is no bundle: run `dvc repro`")


def _linked(source: str, target: str) -> None:
    """Have a file in a second place too, or a copy of it where file systems know no such link."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def memory() -> int:
    """Return the bytes of memory that this machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _packages() -> list[str]:
    """Return the folders that packages are installed in."""
    known = {*site.getsitepackages(), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    usual = ("site-packages", "dist-packages")
    found = [p for p in sys.path if p in known or Path(p).name in usual]
    return list(dict.fromkeys(found))


def _readable() -> list[str]:
    """Return what of the machine the process may read."""
    standard = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib")]
    library = sysconfig.get_config_var("LIBDIR")
    python = [f"{sys.base_prefix}/lib", *([library] if library else [])]
    return list(dict.fromkeys([*MACHINE, *standard, *python, *_packages()]))


def _allowed(lock: Path) -> set[str]:
    """Return what the packages of a lock are imported as."""
    try:
        text = lock.read_text(encoding="utf-8")
    except OSError as error:
        raise SandboxError(f"{lock.parent.name}/{lock.name} is missing: run `make lock`") from error
    names = re.findall(r"^([A-Za-z0-9][\w.-]*)\s*==", text, re.MULTILINE)
    return {top for name in names for top in _imported_as(name)}


@cache
def _imported_as(name: str) -> frozenset[str]:
    """Return what an installed distribution is imported as; nothing for one that is not there."""
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return frozenset()
    if told := found.read_text("top_level.txt"):
        return frozenset(told.split())
    files = found.files or ()
    tops = {f.parts[0] if len(f.parts) > 1 else inspect.getmodulename(f.name) for f in files}
    return frozenset(top for top in tops if top and top.isidentifier())
