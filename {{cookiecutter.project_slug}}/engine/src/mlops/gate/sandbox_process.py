"""What a bundle answers, computed by its own code in a process of its own; see sandbox.py.

A program and no module: it is started from its text, confines itself, and only then imports
`mlops` and `project` from the folder that it is told. A frame is a line of JSON and the bytes
that it announces: one comes in for each question, one goes out for each answer.
"""

import ctypes
import json
import os
import signal
import struct
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

READ_FILE, READ_DIR = 1 << 2, 1 << 3
# How many rights over files each version of Landlock has.
FILES = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
CREATE, ADD, RESTRICT = 444, 445, 446  # the system calls, by the same numbers on every processor
NO_NEW_PRIVILEGES, END_WITH_PARENT = 38, 1
SECCOMP, FILTER = 22, 2
PRINTED = 1 << 24  # bytes
NEW_USER, NEW_MOUNT, NEW_NETWORK = 0x10000000, 0x00020000, 0x40000000
BIND, REC, PRIVATE, READ_ONLY, REMOUNT = 0x1000, 0x4000, 0x40000, 0x1, 0x20
NO_SUID, NO_DEVICES, DETACH = 0x2, 0x4, 0x2
CAPSET = {"x86_64": 126, "aarch64": 91}
PIVOT = {"x86_64": 155, "aarch64": 41}
ROOM = 1 << 16
LONGEST = 1000

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long


def landlock(readable: Iterable[str]) -> str:
    """Let this process read below these paths and do nothing else with files, nor reach others.

    Returns what holds; nothing where the kernel has no Landlock.
    """
    version = int(LIBC.syscall(CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))
    if version < 1:
        return ""
    files = (1 << FILES[min(version, max(FILES))]) - 1
    network = 0b11 if version >= 4 else 0  # to listen and to connect by TCP
    others = 0b11 if version >= 6 else 0  # abstract sockets and signals
    known = 8 if version < 4 else 16 + 8 * (version > 5)
    rules = struct.pack("QQQ", files, network, others)[:known]
    ruleset = int(LIBC.syscall(CREATE, rules, ctypes.c_size_t(len(rules)), ctypes.c_uint32(0)))
    if ruleset < 0:
        return ""
    for path in readable:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # not on this machine
        rights = READ_FILE | (READ_DIR if os.path.isdir(path) else 0)
        rule = struct.pack("=Qi", rights, place)
        added = LIBC.syscall(ADD, ctypes.c_int(ruleset), ctypes.c_int(1), rule, ctypes.c_uint32(0))
        os.close(place)
        if added:
            return ""
    held = LIBC.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
    held = held and LIBC.syscall(RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint32(0)) == 0
    os.close(ruleset)
    _drop()
    return f"Landlock (ABI {version})" if held else ""


def namespace(readable: Iterable[str], empty: str) -> str:
    """Leave this process a file system of its own, read only, of these paths, and no network.

    `empty` is a folder to build it in. Returns what holds; nothing where it is not allowed.
    """
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in PIVOT:
        return ""
    user, group = os.getuid(), os.getgid()
    if LIBC.unshare(NEW_USER | NEW_MOUNT | NEW_NETWORK):
        return ""
    try:
        maps = {"setgroups": "deny", "uid_map": f"0 {user} 1", "gid_map": f"0 {group} 1"}
        for name, text in maps.items():
            Path("/proc/self", name).write_text(text)
        _mount(None, "/", None, REC | PRIVATE)
        _mount("none", empty, "tmpfs", NO_SUID | NO_DEVICES)
        for path in readable:
            _bind(path, empty)
        Path(empty, "old").mkdir()
        _checked(LIBC.syscall(PIVOT[machine], empty.encode(), f"{empty}/old".encode()))
        os.chdir("/")
        _checked(LIBC.umount2(b"/old", DETACH))
        _mount(None, "/", None, REMOUNT | BIND | READ_ONLY | NO_SUID | NO_DEVICES)
        _checked(LIBC.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))
        _drop()
    except OSError as error:  # half of it does not count, and what it changed ends with the process
        raise SystemExit(f"the namespace could not be made ({error})") from error
    return "a namespace of its own"


def _drop() -> None:
    """Leave this process no right that only root has, like to set the clock or to load a module."""
    if (number := CAPSET.get(os.uname().machine)) is not None:
        header, none = struct.pack("Ii", 0x20080522, 0), bytes(24)
        _checked(LIBC.syscall(number, header, none))


def _bind(path: str, empty: str) -> None:
    """Mount a path, read only, at the same place below the folder `empty`."""
    real, place = os.path.realpath(path), Path(empty + path)
    if not os.path.exists(real) or os.path.exists(place):
        return
    if os.path.isdir(real):
        place.mkdir(parents=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    _mount(real, str(place), None, BIND | REC)
    flags = os.statvfs(place).f_flag & (NO_SUID | NO_DEVICES | 0x8 | 0x400 | 0x800)
    _mount(None, str(place), None, REMOUNT | BIND | READ_ONLY | flags)


def _mount(source: str | None, target: str, kind: str | None, flags: int) -> None:
    given = [None if one is None else one.encode() for one in (source, target, kind)]
    _checked(LIBC.mount(*given, ctypes.c_ulong(flags), None))


def _checked(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def seccomp(instructions: Iterable[tuple[int, int, int, int]]) -> str:
    """Have the kernel refuse what the filter names, from now on and in every thread.

    Returns what holds; nothing where there is no filter for this processor, or no seccomp.
    """
    own = os.getpid()
    lines = [
        struct.pack("HBBI", code, yes, no, own if k < 0 else k) for code, yes, no, k in instructions
    ]
    if not lines or sys.platform != "linux":
        return ""
    content = ctypes.create_string_buffer(b"".join(lines))
    program = struct.pack("HxxxxxxP", len(lines), ctypes.addressof(content))
    held = LIBC.prctl(SECCOMP, ctypes.c_ulong(FILTER), program, 0, 0) == 0
    return "seccomp" if held else ""


def limit(memory: int) -> None:
    """Leave no dump behind, fill neither disk nor memory, and end with the process that judges."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (PRINTED, PRINTED))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        LIBC.prctl(END_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
        # Where memory runs out all the same, this process is what the kernel ends first.
        Path("/proc/self/oom_score_adj").write_text("1000")


class Image:
    """Refuses to import what the serving image has not."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = {*names, "mlops", "project", *sys.stdlib_module_names}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Raise for what is not there; leave the rest to Python."""
        top = name.partition(".")[0]
        # How Python was built is a module too, with the machine in its name.
        if top not in self.names and not top.startswith("_sysconfigdata_"):
            raise ModuleNotFoundError(
                f"{top} is not in the serving image: use numpy, or add the package to group serve "
                "and run `make lock`",
                name=name,
            )


class Answering:
    """A loaded bundle behind a pair of streams."""

    def __init__(self, asked: BinaryIO, answers: BinaryIO, folder: Path) -> None:
        self.asked, self.answers, self.folder = asked, answers, folder
        self.loaded: Any = None
        self.predictor: Any = None

    def say(self, content: bytes = b"", **head: Any) -> None:
        """Write one frame."""
        self.answers.write(json.dumps(head).encode() + b"\n" + content)
        self.answers.flush()

    def load(self) -> None:
        """Load the bundle, and say what it reads and what its matrix looks like."""
        from mlops.bundle.reading import load

        self.loaded = load(self.folder / "bundle")
        encoder = self.loaded.encoder
        told: dict[str, Any] = {
            key: list(getattr(encoder, key)) for key in ("inputs", "names", "categorical")
        }
        self.say(b"", **told)

    def answer(self, line: bytes) -> None:
        """Answer one question."""
        import numpy as np

        head = json.loads(line)
        found = getattr(self, f"_{head['ask']}")(head)
        kind = "<f4" if found.dtype == np.float32 else found.dtype.str
        content = np.ascontiguousarray(found)
        self.say(content.tobytes(), dtype=kind, shape=list(content.shape))

    def _matrix(self, head: dict[str, Any]) -> Any:
        return self.loaded.encoder.matrix(self._columns(head))

    def _predict(self, head: dict[str, Any]) -> Any:
        return self.loaded.answer(self._columns(head))

    def _golden(self, head: dict[str, Any]) -> Any:
        """Answer rows as a client sends them, as the server does."""
        from mlops.serving.predictor import Predictor
        from mlops.serving.problem import Problem

        (_, _, size), *_ = head["columns"]
        predictor = Predictor(self.loaded, "")
        try:
            rows = predictor.decode(bytes(self._exactly(size)))
        except Problem as problem:
            raise ValueError(problem.detail or problem.title) from problem
        return predictor.answered(rows)

    def _served(self, head: dict[str, Any]) -> Any:
        """Answer rows as the server does, down to what is sent back; NaN where it refuses them."""
        import numpy as np

        from mlops.serving.predictor import Predictor
        from mlops.serving.problem import Problem

        (_, _, size), *_ = head["columns"]
        body = bytes(self._exactly(size))
        if self.predictor is None:
            self.predictor = Predictor(self.loaded, "")
        try:
            predictions = self.predictor.answered(self.predictor.decode(body))
            self.predictor.answer(predictions, "")
        except Problem:  # a refusal is an answer, and takes its time
            return np.full(head["shape"], np.nan)
        return predictions

    def _columns(self, head: dict[str, Any]) -> dict[str, Any]:
        import numpy as np

        columns = {}
        for name, kind, size in head["columns"]:
            content = self._exactly(size)
            if kind == "text":
                columns[name] = np.array(json.loads(bytes(content)), dtype=object)
            else:
                columns[name] = np.frombuffer(content, kind)
        return columns

    def _exactly(self, size: int) -> bytearray:
        content = bytearray(size)
        view, done = memoryview(content), 0
        while done < size:
            read = self.asked.readinto(view[done:])  # type: ignore[attr-defined]
            if not read:
                raise EOFError("the judge ended")
            done += read
        return content


def reason(error: BaseException) -> str:
    """Return what happened in a line, with the place where it is the project's own code."""
    cause = error.__cause__
    if cause is not None and _frames(cause):
        error = cause  # what the project's own code raised, and not what the engine says of it
    kinds = {kind.__name__ for kind in type(error).__mro__}
    said = " ".join(str(error).split())
    if not kinds & {"ProjectError", "ModuleNotFoundError"}:
        said = f"{type(error).__name__}: {said}"
    if frames := _frames(error):
        file = frames[-1].filename.rpartition("/src/project/")[2]
        said += f" (src/project/{file}, line {frames[-1].lineno})"
    if isinstance(error.__cause__, ImportError):
        said += f" ({' '.join(str(error.__cause__).split())})"
    return said[:LONGEST]


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    return [f for f in traceback.extract_tb(error.__traceback__) if "/src/project/" in f.filename]


def main(told: dict[str, Any]) -> None:
    """Confine this process, load the bundle, and answer until nothing more is asked."""
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)  # what the bundle's code prints is no answer
    folder = Path(told["folder"])
    limit(told["memory"])
    held = ""
    if "landlock" in told["confine"]:
        held = landlock([str(folder), *told["readable"]])
    if not held and "namespace" in told["confine"]:
        held = namespace([str(folder), *told["readable"]], told["empty"])
    os.chdir(folder)
    if held and (more := seccomp(told["filter"])):
        held = f"{held} and {more}"
    answering = Answering(asked, answers, folder)
    answering.say(confinement=held)
    sys.path[:] = [str(folder / "engine/src"), str(folder / "src"), *sys.path, *told["packages"]]
    sys.meta_path.insert(0, Image(told["allowed"]))
    try:
        answering.load()
    except BaseException as error:
        return answering.say(error=reason(error))
    while line := asked.readline(ROOM * 16):
        try:
            answering.answer(line)
        except BaseException as error:
            answering.say(error=reason(error))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
