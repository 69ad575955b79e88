"""What the kernel refuses a confined process beside files: a seccomp filter, as instructions.

Landlock bounds files, and some connections and signals; sockets of other kinds, other processes,
new ones, and the attributes of files it lets pass. What is not named here stays allowed: numerical
libraries need more of the kernel than anybody could list.
"""

import errno
from collections.abc import Iterator

Instruction = tuple[int, int, int, int]

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
OTHER_ABI = 0x40000000  # x32 has its calls from here on
THREAD = 0x10000  # of clone
ITSELF = -1  # stands for the number of the process, which it knows only when it runs

AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# name: its number on x86_64 and on aarch64, where it has one
CALLS: dict[str, tuple[int, int | None]] = {
    # to reach somebody
    "socket": (41, 198),
    "io_uring_setup": (425, 425),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # to start a program or a process
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    # to touch another process
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "kcmp": (312, 272),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # to change what files are called, belong to, or say of themselves
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "lchown": (94, None),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    # to change what it sees, or watch the kernel
    "chroot": (161, 51),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
}
# Allowed towards itself, by the first argument; 0 is oneself for the last.
OWN: dict[str, tuple[tuple[int, int], tuple[int, ...]]] = {
    "kill": ((62, 129), (ITSELF,)),
    "tgkill": ((234, 131), (ITSELF,)),
    "prlimit64": ((302, 261), (ITSELF, 0)),
}
CLONE = (56, 220)
CLONE3 = (435, 435)  # its flags are out of a filter's sight: who lacks it takes clone


def instructions(machine: str) -> list[Instruction]:
    """Return the filter for a kind of processor; nothing for one that is not known."""
    return list(_instructions(machine)) if machine in AUDIT else []


def _instructions(machine: str) -> Iterator[Instruction]:
    which = list(AUDIT).index(machine)
    refused = (RETURN, 0, 0, REFUSE | errno.EPERM)
    allowed = (RETURN, 0, 0, ALLOW)
    yield LOAD, 0, 0, ARCHITECTURE
    yield EQUAL, 1, 0, AUDIT[machine]
    yield refused
    yield LOAD, 0, 0, NUMBER
    yield AT_LEAST, 0, 1, OTHER_ABI
    yield refused
    for numbers in CALLS.values():
        if (number := numbers[which]) is not None:
            yield EQUAL, 0, 1, number
            yield refused
    yield EQUAL, 0, 1, CLONE3[which]
    yield RETURN, 0, 0, REFUSE | errno.ENOSYS
    yield EQUAL, 0, 4, CLONE[which]
    yield LOAD, 0, 0, FIRST_ARGUMENT
    yield ANY_BIT, 0, 1, THREAD
    yield allowed
    yield refused
    for (x86, arm), towards in OWN.values():
        yield EQUAL, 0, 2 + 2 * len(towards), (x86, arm)[which]
        yield LOAD, 0, 0, FIRST_ARGUMENT
        for process in towards:
            yield EQUAL, 0, 1, process
            yield allowed
        yield refused
    yield allowed
