"""The system call filters of both architectures, run by a small interpreter of classic BPF."""

import struct
from collections.abc import Callable

import pytest

from sandbox.seccomp import (
    ALLOW,
    ALLOWED,
    ARCHITECTURES,
    CLONE,
    CLONE3,
    FCNTL,
    FORBIDDEN,
    IOCTL,
    KILL_PROCESS,
    NOT_A_TERMINAL,
    PRLIMIT,
    REFUSE,
    UNKNOWN,
    step_filter,
    worker_filter,
)

MACHINES = list(ARCHITECTURES)
ELSEWHERE = 0x40000003  # AUDIT_ARCH_I386
CLONE_OF_FORK, CLONE_OF_THREAD, CLONE_NEWUSER = 0x01200011, 0x003D0F00, 0x10000000


def ruling(program: bytes, number: int, *arguments: int, architecture: int) -> int:
    """What the kernel would do with a call, by bpf(4): loads, conditional jumps and returns are all we use."""
    seen = struct.pack("<IIQ6Q", number, architecture, 0, *(*arguments, *[0] * (6 - len(arguments))))
    instructions = list(struct.iter_unpack("<HBBI", program))
    at = value = 0
    while True:
        operation, if_true, if_false, operand = instructions[at]
        at += 1
        match operation:
            case 0x20:
                (value,) = struct.unpack_from("<I", seen, operand)
            case 0x06:
                return int(operand)
            case 0x15:
                at += if_true if value == operand else if_false
            case 0x35:
                at += if_true if value >= operand else if_false
            case 0x45:
                at += if_true if value & operand else if_false
            case _:
                raise AssertionError(f"operation {operation:#x}")


@pytest.mark.parametrize("machine", MACHINES)
def test_a_step_may_do_what_is_listed_and_nothing_else(machine: str) -> None:
    architecture, column = ARCHITECTURES[machine]
    allowed = {call[column] for call in ALLOWED.values()}
    special = {FCNTL[column], PRLIMIT[column], IOCTL[column], CLONE3[column]}
    for number in set(range(452)) - special:
        expected = ALLOW if number in allowed else REFUSE
        assert ruling(step_filter(machine), number, architecture=architecture) == expected, number


@pytest.mark.parametrize("machine", MACHINES)
def test_some_calls_of_a_step_are_decided_by_their_arguments(machine: str) -> None:
    architecture, column = ARCHITECTURES[machine]

    def asked(call: tuple[int | None, int | None], *arguments: int) -> int:
        number = call[column]
        assert number is not None
        return ruling(step_filter(machine), number, *arguments, architecture=architecture)

    assert asked(FCNTL, 1, 3) == asked(FCNTL, 1, 1030) == ALLOW
    assert asked(FCNTL, 1, 8) == asked(FCNTL, 1, 10) == asked(FCNTL, 1, 1031) == REFUSE  # owner, signal, pipe size
    assert asked(PRLIMIT, 0, 9) == ALLOW
    assert asked(PRLIMIT, 1, 9) == asked(PRLIMIT, 2**32 - 1, 9) == REFUSE
    assert asked(IOCTL, 1, 0x5412) == asked(IOCTL, 1, 0x5401) == NOT_A_TERMINAL
    assert asked(CLONE, CLONE_OF_FORK) == asked(CLONE, CLONE_OF_THREAD) == REFUSE
    assert asked(CLONE3) == UNKNOWN


@pytest.mark.parametrize("machine", MACHINES)
def test_a_worker_may_do_what_is_not_listed(machine: str) -> None:
    architecture, column = ARCHITECTURES[machine]
    forbidden = {call[column] for call in FORBIDDEN.values()}
    assert not forbidden & {call[column] for call in ALLOWED.values()} - {None}
    for number in set(range(452)) - {CLONE3[column]}:
        expected = REFUSE if number in forbidden else ALLOW
        assert ruling(worker_filter(machine), number, architecture=architecture) == expected, number
    clone, ioctl = CLONE[column], IOCTL[column]
    assert clone is not None
    assert ioctl is not None
    for flags, expected in ((CLONE_OF_FORK, ALLOW), (CLONE_NEWUSER | 17, REFUSE), (0x00020000, REFUSE)):
        assert ruling(worker_filter(machine), clone, flags, architecture=architecture) == expected
    assert ruling(worker_filter(machine), ioctl, 0, 0x5412, architecture=architecture) == REFUSE


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("made", [step_filter, worker_filter])
def test_another_architecture_ends_the_process_and_later_calls_are_unknown(
    machine: str, made: Callable[[str], bytes]
) -> None:
    program = made(machine)
    architecture, _ = ARCHITECTURES[machine]
    assert ruling(program, 0, architecture=ELSEWHERE) == KILL_PROCESS
    for number in (452, 999, 0x40000000, 0x40000027, 2**32 - 1):
        assert ruling(program, number, architecture=architecture) == UNKNOWN
    assert len(program) // 8 < 4096  # what the kernel takes
