"""What is judged answers in a confined process: columns in, predictions out, and nothing else."""

import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlops.bundle import contents
from mlops.bundle.manifest import BundleError
from mlops.bundle.reading import load
from mlops.data import prepared
from mlops.gate import sandbox
from mlops.gate import sandbox as room
from mlops.gate.sandbox import Sandbox, SandboxError

FEATURES = "src/project/features.py"
ENCODING = "engine/src/mlops/features/encoding.py"
OWN = Path(sandbox.__file__)
Edit = Callable[[str, str], None]


@pytest.fixture
def code(trained: Path, tmp_path: Path) -> Path:
    """The code of a project, to be changed."""
    for name in ("engine/src", "src", "requirements"):
        shutil.copytree(trained / name, tmp_path / "code" / name)
    return tmp_path / "code"


@pytest.fixture
def start(code: Path, trained: Path) -> Callable[..., Sandbox]:
    """Return what starts a sandbox with the code as it is."""
    contract = load(trained / "candidate").contract

    def started(bundle: Path = trained / "candidate", **options: Any) -> Sandbox:
        return Sandbox(code, bundle, contract, "onnx", **{"seconds": 300.0, **options})

    return started


@pytest.fixture
def columns(trained: Path) -> dict[str, np.ndarray]:
    contract = load(trained / "candidate").contract
    return prepared.read(trained / "data/prepared/holdout", contract)


@pytest.fixture
def edit(code: Path) -> Edit:
    """Return what adds lines to a file of the code, or puts them into the feature `per_unit`."""

    def change(name: str, lines: str) -> None:
        file = code / name
        text = file.read_text()
        mark = "    return np.where(units > 0"
        body = "".join(f"    {line}\n" for line in lines.splitlines())
        file.write_text(text.replace(mark, body + mark) if mark in text else text + lines)

    return change


def test_it_answers_as_the_bundle_does(
    start: Callable[..., Sandbox], trained: Path, columns: dict[str, np.ndarray]
) -> None:
    loaded = load(trained / "candidate")
    rows = json.loads(loaded.files["golden.json"])
    with start() as sandbox:
        assert sandbox.inputs == loaded.encoder.inputs
        assert sandbox.names == loaded.encoder.names
        assert sandbox.categorical == loaded.encoder.categorical
        np.testing.assert_array_equal(sandbox.matrix(columns), loaded.encoder.matrix(columns))
        np.testing.assert_array_equal(sandbox.predict(columns), loaded.answer(columns))
        golden = sandbox.golden([row["row"] for row in rows])
        assert golden == pytest.approx([row["prediction"] for row in rows], abs=1e-6)
        assert 20e6 < sandbox.peak_bytes(columns) < 1e9


def test_this_kernel_confines_it(start: Callable[..., Sandbox]) -> None:
    with start() as sandbox:
        assert sandbox.confinement != room.UNHELD


READS = """
import glob
found = []
for path in {paths!r}:
    try:
        found.append(open(path, "rb").read(1))
    except OSError:
        pass
if found:
    raise RuntimeError(f"it read {{len(found)}}")
"""


@pytest.mark.parametrize("confine", [("landlock",), ("namespace",)], ids=["landlock", "namespace"])
def test_it_reads_nothing_but_its_own_folder(
    start: Callable[..., Sandbox],
    edit: Edit,
    trained: Path,
    columns: dict[str, np.ndarray],
    confine: tuple[str, ...],
) -> None:
    """Neither the holdout's targets, nor raw data, nor the home of who judges, nor the judge."""
    with start(confine=confine) as sandbox:
        if sandbox.confinement == room.UNHELD:
            pytest.skip(f"this kernel allows no {confine[0]}: run it where it does")
    paths = [
        *map(str, (trained / "data/prepared").glob("*")),
        *map(str, (trained / "data/raw").glob("*")),
        str(trained / "params.yaml"),
        f"/proc/{os.getpid()}/environ",
        f"/proc/{os.getppid()}/environ",
        "/etc/passwd",
    ]
    assert all(os.access(path, os.R_OK) for path in paths[:3])
    edit(FEATURES, READS.format(paths=paths))
    with start(confine=confine) as sandbox:
        assert len(sandbox.predict(columns)) == len(columns["plan"])


REACH = """
import ctypes, os, resource, signal, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(function, *given):
    if function(*given) == -1:
        raise OSError(ctypes.get_errno(), "refused")
def connected(family, kind, address):
    socket.socket(family, kind).connect(address)
def forked():
    if not os.fork():
        os._exit(0)
unix, inet, stream, datagram = (
    socket.AF_UNIX, socket.AF_INET, socket.SOCK_STREAM, socket.SOCK_DGRAM)
judge = {judge}
attempts = dict(
    write=lambda: open({out!r}, "w"),
    write_inside=lambda: open("inside", "w"),
    tcp=lambda: connected(inet, stream, ("127.0.0.1", {tcp})),
    udp=lambda: socket.socket(inet, datagram).sendto(b"told", ("127.0.0.1", {udp})),
    raw=lambda: socket.socket(inet, socket.SOCK_RAW, 1),
    listen=lambda: socket.socket(inet, stream).listen(),
    unix=lambda: connected(unix, stream, {unix!r}),
    abstract=lambda: connected(unix, stream, {abstract!r}),
    netlink=lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0),
    signal=lambda: os.kill(judge, 0),
    everybody=lambda: os.kill(-1, 0),
    pidfd=lambda: os.pidfd_open(judge),
    trace=lambda: call(libc.ptrace, 16, judge, None, None),
    limits=lambda: resource.prlimit(judge, resource.RLIMIT_CPU),
    priority=lambda: os.setpriority(os.PRIO_PROCESS, judge, 5),
    memory=lambda: open(f"/proc/{{judge}}/mem", "rb"),
    environment=lambda: open(f"/proc/{{judge}}/environ", "rb"),
    folder=lambda: os.readlink(f"/proc/{{judge}}/cwd"),
    files=lambda: os.listdir(f"/proc/{{judge}}/fd"),
    fork=forked,
    program=lambda: os.execv(sys.executable, [sys.executable]),
    rights=lambda: os.chmod({out!r}, 0o777),
    times=lambda: os.utime({out!r}),
    namespace=lambda: call(libc.unshare, 0x10000000),
    shared=lambda: call(libc.shmget, 0x6d6c, 4096, 0o1600),
    ring=lambda: call(libc.syscall, 425, 1, ctypes.create_string_buffer(120)),
    host=lambda: call(libc.sethostname, {host!r}, len({host!r})),
)
reached = []
for name, attempt in attempts.items():
    try:
        attempt()
        reached.append(name)
    except OSError:
        pass
if reached:
    raise RuntimeError(f"it reached {{reached}}")
"""


@pytest.mark.parametrize("confine", [("landlock",), ("namespace",)], ids=["landlock", "namespace"])
def test_it_writes_nothing_and_reaches_nobody(
    start: Callable[..., Sandbox],
    edit: Edit,
    columns: dict[str, np.ndarray],
    tmp_path: Path,
    confine: tuple[str, ...],
) -> None:
    with start(confine=confine) as sandbox:
        if "seccomp" not in sandbox.confinement:
            pytest.skip(f"this machine has no {confine[0]} with seccomp: run it where it has")
    out = tmp_path / "out"
    out.write_text("as it was")
    out.chmod(0o600)
    with ExitStack() as stack, tempfile.TemporaryDirectory() as place:
        kinds = {
            "tcp": (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "udp": (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "unix": (socket.AF_UNIX, socket.SOCK_STREAM, f"{place}/s"),
            "abstract": (socket.AF_UNIX, socket.SOCK_STREAM, f"\0{place}"),
        }
        servers = {}
        for name, (family, kind, address) in kinds.items():
            servers[name] = stack.enter_context(socket.socket(family, kind))
            servers[name].bind(address)
            if kind == socket.SOCK_STREAM:
                servers[name].listen()
        given = {
            **{name: servers[name].getsockname()[1] for name in ("tcp", "udp")},
            **{name: kinds[name][2] for name in ("unix", "abstract")},
            **{"out": str(out), "judge": os.getpid(), "host": os.uname().nodename.encode()},
        }
        edit(FEATURES, REACH.format(**given))
        with start(confine=confine) as sandbox:
            assert len(sandbox.predict(columns)) == len(columns["plan"])
        servers["udp"].setblocking(False)
        with pytest.raises(BlockingIOError):
            servers["udp"].recv(10)
    assert (out.read_text(), out.stat().st_mode & 0o777) == ("as it was", 0o600)


def test_without_confinement_the_same_attempts_reach_something(
    start: Callable[..., Sandbox], edit: Edit, columns: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """Of those, what does no harm here: so that they would be noticed."""
    given = {"tcp": 9, "udp": 9, "unix": "-", "abstract": "-", "host": b"", "judge": os.getpid()}
    text = REACH.format(out=str(tmp_path / "out"), **given)
    kept = "('udp', 'signal', 'pidfd', 'limits', 'environment', 'files', 'fork')"
    edit(FEATURES, text.replace("attempts.items()", f"[(n, attempts[n]) for n in {kept}]"))
    with start(confine=()) as sandbox, pytest.raises(SandboxError, match="it reached") as refused:
        sandbox.predict(columns)
    assert kept.strip("()") in str(refused.value)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("import os\nwhile True: os.write(2, b'x' * (1 << 20))", "File too large"),
        ("held = np.ones(1 << 50)", "MemoryError|Unable to allocate"),
        ("held = [np.ones(1 << 27) for _ in range(1 << 20)]", "MemoryError|Unable to allocate"),
    ],
)
def test_it_fills_neither_disk_nor_memory(
    start: Callable[..., Sandbox],
    edit: Edit,
    columns: dict[str, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    lines: str,
    said: str,
) -> None:
    monkeypatch.setattr(room, "memory", lambda: 1 << 31)
    edit(FEATURES, lines)
    with start() as sandbox, pytest.raises(SandboxError, match=said):
        sandbox.predict(columns)


def test_its_environment_is_empty(
    start: Callable[..., Sandbox],
    edit: Edit,
    columns: dict[str, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DVC_CONFIG", "secret")
    edit(FEATURES, "import os\nassert not {'HOME', 'DVC_CONFIG', 'PATH'} & set(os.environ)")
    with start() as sandbox:
        assert len(sandbox.predict(columns)) == len(columns["plan"])


@pytest.mark.parametrize(
    ("name", "said"),
    [("churned", "the target"), ("email", "which is ignored"), ("x", "does not declare")],
)
def test_who_asks_for_more_than_inputs_gets_nothing(
    start: Callable[..., Sandbox], edit: Edit, name: str, said: str
) -> None:
    edit(
        ENCODING,
        f"""
_build = Encoder.build
Encoder.build = lambda c, f: (e := _build(c, f))._replace(inputs=(*e.inputs, {name!r}))
""",
    )
    with start() as sandbox, pytest.raises(SandboxError, match=said):
        _ = sandbox.inputs


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("import pandas", "pandas is not in the serving image: use numpy, or add the package"),
        ("1 / 0", r"ZeroDivisionError: division by zero \(src/project/features.py, line \d+\)"),
        ("import os; os._exit(0)", "its process ended with 0"),
        ("import os; os.kill(os.getpid(), 9)", "its process ended by signal 9"),
        ("import time; time.sleep(99)", "no answer after 1 seconds .* `answer_seconds` more"),
        ("print('{}' * 9)\nreturn 'x'", "ValueError"),
    ],
)
def test_a_feature_that_fails_is_told(
    start: Callable[..., Sandbox],
    edit: Edit,
    columns: dict[str, np.ndarray],
    lines: str,
    said: str,
) -> None:
    edit(FEATURES, lines)
    with start() as sandbox:
        _ = sandbox.inputs
        sandbox.seconds = 1
        with pytest.raises(SandboxError, match=said):
            sandbox.predict(columns)


@pytest.mark.parametrize(
    "answer",
    [
        "np.zeros((1, len(self.names)), np.float32)",
        "np.zeros((len(columns['plan']), 1), np.float32)",
        "np.zeros((len(columns['plan']), len(self.names)))",
        "np.full((len(columns['plan']), len(self.names)), self)",
    ],
)
def test_what_is_no_matrix_of_the_rows_is_refused(
    start: Callable[..., Sandbox], edit: Edit, columns: dict[str, np.ndarray], answer: str
) -> None:
    edit(ENCODING, f"\nEncoder.matrix = lambda self, columns: {answer}\n")
    said = r"matrix: its answer is|ValueError"
    with start() as sandbox, pytest.raises(SandboxError, match=said):
        sandbox.matrix(columns)


def test_what_it_prints_is_no_answer(
    start: Callable[..., Sandbox], edit: Edit, columns: dict[str, np.ndarray]
) -> None:
    edit(FEATURES, 'print(\'{"dtype": "<f8"}\', flush=True)')
    with start() as sandbox:
        assert len(sandbox.predict(columns)) == len(columns["plan"])


def test_a_bundle_that_is_none_is_refused(
    start: Callable[..., Sandbox], trained: Path, tmp_path: Path
) -> None:
    bundle = shutil.copytree(trained / "candidate", tmp_path / "bundle")
    (bundle / "model.onnx").write_bytes(b"no model")
    with start(bundle) as sandbox, pytest.raises(SandboxError, match=r"model\.onnx"):
        _ = sandbox.inputs
    with pytest.raises(BundleError, match=r"model\.onnx"):
        contents.read(bundle)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("inputs=('plan', 'plan')", "no list of different names"),
        ("inputs=()", "no list of different names"),
        ("names=(1, 2)", "no list of different names"),
        ("categorical=(999,)", "no list of columns"),
        ("categorical=('0',)", "no list of columns"),
        ("categorical=(True,)", "no list of columns"),
    ],
)
def test_what_it_says_of_itself_has_to_be_sound(
    start: Callable[..., Sandbox], edit: Edit, told: str, said: str
) -> None:
    edit(ENCODING, "\n_build = Encoder.build\n")
    edit(ENCODING, f"Encoder.build = lambda *a, **k: _build(*a, **k)._replace({told})\n")
    with start() as sandbox:
        for _ in range(2):
            with pytest.raises(SandboxError, match=said):
                _ = sandbox.inputs


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ("b'no json\\n'", "no JSON object"),
        ("b'[1]\\n'", "no JSON object"),
        ("b'[' * 100000 + b'\\n'", "no JSON object"),
        ("b'x' * (1 << 22)", "more than an answer has"),
        ("b'{}\\n'", "its answer is None"),
        ('b\'{"dtype": "|O", "shape": [2]}\\n\'', r"its answer is \|O"),
        ('b\'{"dtype": "<f4", "shape": [1e99]}\\n\'', "its answer is <f4"),
    ],
)
def test_a_frame_that_is_none_is_refused(
    start: Callable[..., Sandbox],
    edit: Edit,
    columns: dict[str, np.ndarray],
    frame: str,
    said: str,
) -> None:
    """The code of a bundle can find the pipe of its process, and write what it likes."""
    forged = f"__import__('os').write(4, {frame}) and __import__('time').sleep(60)"
    edit(ENCODING, f"\nEncoder.matrix = lambda self, columns: {forged}\n")
    with start() as sandbox:
        for _ in range(2):
            with pytest.raises(SandboxError, match=said):
                sandbox.matrix(columns)


def test_why_it_did_not_start_is_remembered_and_what_confined_it_too(
    start: Callable[..., Sandbox], code: Path
) -> None:
    (code / FEATURES).write_text("raise RuntimeError('broken')\n")
    with start() as sandbox:
        for _ in range(2):
            with pytest.raises(SandboxError, match="RuntimeError: broken"):
                _ = sandbox.inputs
        assert sandbox.confinement != room.UNHELD


def test_without_confinement_it_says_nothing_held(start: Callable[..., Sandbox]) -> None:
    with start(confine=()) as sandbox:
        assert sandbox.confinement == room.UNHELD
        assert sandbox.inputs


def test_a_link_in_the_code_leads_nowhere(
    start: Callable[..., Sandbox],
    edit: Edit,
    code: Path,
    columns: dict[str, np.ndarray],
    tmp_path: Path,
) -> None:
    (tmp_path / "secret").write_text("the target")
    (code / "src/project/link").symlink_to(tmp_path / "secret")
    edit(FEATURES, "open('src/project/link').read()")
    with start() as sandbox, pytest.raises(SandboxError, match="PermissionError"):
        sandbox.predict(columns)


def test_only_private_code_is_shared_and_neither_bundle_nor_the_judges_own_engine(
    start: Callable[..., Sandbox], code: Path, trained: Path
) -> None:
    def places() -> list[int]:
        files = (code / ENCODING, code / FEATURES, trained / "candidate/manifest.json", OWN)
        return [file.stat().st_nlink for file in files]

    before = places()
    with start():
        assert places() == before
    with start(private=True):
        assert places() == [before[0] + 1, before[1] + 1, *before[2:]]
    shutil.rmtree(code / "engine")
    with start(private=True):
        assert OWN.stat().st_nlink == before[3]


def test_the_lock_says_what_the_image_has(
    start: Callable[..., Sandbox], code: Path, trained: Path
) -> None:
    (code / FEATURES).write_text("import sklearn\n" + (code / FEATURES).read_text())
    with start() as sandbox, pytest.raises(SandboxError, match="sklearn is not in the serving"):
        _ = sandbox.inputs
    contract = load(trained / "candidate").contract
    with Sandbox(code, trained / "candidate", contract, "skops", 300.0) as sandbox:
        assert sandbox.inputs
    (code / "requirements/serve.txt").unlink()
    with pytest.raises(SandboxError, match=r"requirements/serve\.txt is missing: run `make lock`"):
        start()


def test_the_peak_is_that_of_the_process(
    start: Callable[..., Sandbox], edit: Edit, columns: dict[str, np.ndarray]
) -> None:
    with start() as sandbox:
        usual = sandbox.peak_bytes(columns)
    edit(ENCODING, "\nballast = np.ones(20_000_000)\n")
    with start() as sandbox:
        assert sandbox.peak_bytes(columns) > usual + 150e6


def test_nothing_stays_behind(start: Callable[..., Sandbox]) -> None:
    with start() as sandbox:
        _ = sandbox.inputs
        place, process = Path(sandbox._place.name), sandbox._process
    assert not place.exists()
    assert process.returncode is not None


SLOW = """
import time
from mlops.runtime.hooks import Veto


def before(columns):
    time.sleep(0.03)
    if {vetoes}:
        raise Veto("not today")
"""


@pytest.mark.parametrize("vetoes", [False, True])
def test_the_whole_answer_is_timed_whatever_it_says(
    start: Callable[..., Sandbox], edit: Edit, trained: Path, vetoes: bool
) -> None:
    loaded = load(trained / "candidate")
    rows = [one["row"] for one in json.loads(loaded.files["golden.json"])][:2]
    body = json.dumps(rows).encode()
    edit("src/project/serving.py", SLOW.format(vetoes=vetoes))
    with start() as sandbox:
        first = sandbox.served(body, 2)
        began = time.perf_counter()
        again = sandbox.served(body, 2)
        assert time.perf_counter() - began >= 0.03
        assert np.isnan(again).all() == vetoes
        np.testing.assert_array_equal(first, again)
        if not vetoes:
            np.testing.assert_array_equal(again, sandbox.golden(rows))
