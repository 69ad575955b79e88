"""The filter allows and refuses what it says, on each processor that it knows."""

import errno
from collections.abc import Sequence

import pytest

from mlops.gate import syscalls
from mlops.gate.syscalls import ALLOW, AUDIT, CALLS, CLONE, CLONE3, ITSELF, OWN, REFUSE, THREAD

READ = (0, 63)
REFUSED = REFUSE | errno.EPERM


def outcome(machine: str, number: int, argument: int = 0, audit: int | None = None) -> int:
    """Run the filter as the kernel does, for a process of the number ITSELF."""
    seen = {
        syscalls.NUMBER: number,
        syscalls.ARCHITECTURE: AUDIT[machine] if audit is None else audit,
        syscalls.FIRST_ARGUMENT: argument,
    }
    held, at, program = 0, 0, syscalls.instructions(machine)
    while True:
        code, yes, no, k = program[at]
        at += 1
        if code == syscalls.RETURN:
            return k
        if code == syscalls.LOAD:
            held = seen[k]
            continue
        compared = {
            syscalls.EQUAL: held == k,
            syscalls.AT_LEAST: held >= k,
            syscalls.ANY_BIT: bool(held & k),
        }
        at += yes if compared[code] else no


@pytest.mark.parametrize("machine", AUDIT)
def test_what_is_named_is_refused_and_the_rest_is_not(machine: str) -> None:
    which = list(AUDIT).index(machine)

    def number(of: Sequence[int | None]) -> int:
        return of[which] or 0

    named = [numbers for numbers in CALLS.values() if numbers[which] is not None]
    assert {outcome(machine, number(numbers)) for numbers in named} == {REFUSED}
    assert outcome(machine, READ[which]) == ALLOW
    assert outcome(machine, CLONE3[which]) == REFUSE | errno.ENOSYS
    assert outcome(machine, CLONE[which], THREAD | 0x100) == ALLOW
    assert outcome(machine, CLONE[which], 0x4100) == REFUSED
    for numbers, towards in OWN.values():
        assert {outcome(machine, number(numbers), one) for one in towards} == {ALLOW}
        assert outcome(machine, number(numbers), 4711) == REFUSED
    assert outcome(machine, number(OWN["kill"][0]), ITSELF) == ALLOW


@pytest.mark.parametrize("machine", AUDIT)
def test_no_other_way_into_the_kernel_is_left(machine: str) -> None:
    assert outcome(machine, READ[0], audit=0x40000003) == REFUSED  # calls of 32 bits
    assert outcome(machine, 0x40000000) == REFUSED


def test_a_processor_that_is_not_known_has_no_filter() -> None:
    assert syscalls.instructions("riscv64") == []
