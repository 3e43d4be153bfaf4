"""The program inside the sandbox: it imports once, and forks for every run. Standard library only.

Three kinds of processes, so that no run can touch another one. The *spare* imports the packages and then only forks; it
sees neither code nor output. It forks a *keeper* for each run, which takes one request, collects what the run gives and
answers. The keeper forks the *step* ahead of the request; it locks itself in (limits, system calls) and runs the code.
"""

import builtins
import ctypes
import gc
import importlib
import json
import os
import random
import select
import signal
import struct
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn, TextIO, cast

READY = b"ready\n"
REQUEST = struct.Struct(">8sI")
"""A number to answer with, and the bytes of code that follow."""
REPLY = struct.Struct(">8sBBII")
"""The request's number, index in VERDICTS, 1 where traces were left, bytes of detail and of output that follow."""
VERDICTS = ("ok", "error", "timeout", "memory", "killed")
DETAIL_BYTES = 2000
MAX_FILES = 1000
"""The size of a temporary file system does not bound its empty files, and each takes a kilobyte of the kernel."""
OPEN_FILES = 64
TICK_MS = 20
WARM = ("cmath", "datetime", "decimal", "fractions", "heapq", "itertools", "math", "resource", "statistics", "string")

FOLDER = "/tmp"  # in the sandbox, where it is the run's own
PACKAGES = "/packages"
STEP_NAME = "<step>"


@dataclass(frozen=True)
class Limits:
    """What the host asks for, as JSON in the only argument; sizes in bytes, times in seconds."""

    memory: int
    cpu: int
    wall: float
    file: int
    output: int
    modules: tuple[str, ...]
    filter: str
    """The step's system call filter, in hexadecimal."""


def main() -> None:
    """Serve until the host closes the pipe or anything is amiss; the sandbox ends with this process."""
    limits = Limits(**json.loads(sys.argv[1]))
    sys.path.append(PACKAGES)
    for name in (*WARM, *limits.modules):
        importlib.import_module(name)
    if "sympy" in limits.modules:
        _rehearse_sympy()
    for package, generator in (("numpy", "numpy.random"), ("sympy", "sympy.core.random")):
        if package in limits.modules:
            importlib.import_module(generator).seed(0)  # the same step gives the same result in every worker
    os.environ.clear()
    os.chdir(FOLDER)
    program = _Filter(bytes.fromhex(limits.filter))
    gc.collect()
    gc.freeze()  # what is shared with the forks is not written to by their collections
    _write(1, READY)
    while True:
        keeper = os.fork()
        if keeper == 0:
            try:
                _keep(limits, program)
                os._exit(0)
            finally:
                os._exit(1)
        _, status = os.waitpid(keeper, 0)
        if status != 0:
            return


def _rehearse_sympy() -> None:
    """sympy loads and remembers much at its first calls; else every fork would pay for that, 100 ms and more."""
    sympy = importlib.import_module("sympy")
    x, y = sympy.symbols("x y")
    sympy.solve(x**2 - 5 * x + 6, x)
    sympy.solve([x + y - 3, x - y - 1], [x, y])
    sympy.simplify(sympy.sin(x) ** 2 + sympy.cos(x) ** 2)
    sympy.integrate(x * sympy.exp(x), x)


def _keep(limits: Limits, program: "_Filter") -> None:
    """One request, one run, one reply."""
    code, feed = os.pipe()
    output, output_end = os.pipe()
    report, report_end = os.pipe()
    step = os.fork()
    if step == 0:
        try:
            _step(limits, program, code, output_end, report_end)
        finally:
            os._exit(1)
    for end in (code, output_end, report_end):
        os.close(end)
    number, size = REQUEST.unpack(_read(0, REQUEST.size))
    with suppress(BrokenPipeError):
        _write(feed, _read(0, size))
    os.close(feed)
    watched = _watch(step, output, report, limits)
    verdict, detail = _judged(watched, limits)
    detail, traces = detail[:DETAIL_BYTES], _traces()
    head = REPLY.pack(number, VERDICTS.index(verdict), traces, len(detail), len(watched.output))
    _write(1, head + detail + watched.output)


@dataclass
class _Watched:
    """What a run gave, and how it ended."""

    output: bytearray
    report: bytearray
    stopped: str = ""
    """Why the keeper ended it, if it did."""
    status: int = 0
    cpu: float = 0.0


def _watch(step: int, output: int, report: int, limits: Limits) -> _Watched:
    """Collect the output and the report until the step has ended, which the limits make sure of."""
    watched = _Watched(bytearray(), bytearray())
    pipes = {output: (watched.output, limits.output), report: (watched.report, 1 + DETAIL_BYTES)}
    ended = os.pidfd_open(step)
    poller = select.poll()
    for descriptor in (*pipes, ended):
        poller.register(descriptor, select.POLLIN)
    deadline = time.monotonic() + limits.wall
    while True:
        ready = [descriptor for descriptor, _ in poller.poll(TICK_MS)]
        for descriptor in ready:
            if descriptor in pipes and not _drain(descriptor, *pipes[descriptor]):
                poller.unregister(descriptor)
        if ended in ready:
            break
        if time.monotonic() > deadline:
            watched.stopped = "wall"
        elif _files() > MAX_FILES:
            watched.stopped = "files"
        if watched.stopped:
            os.kill(step, signal.SIGKILL)
    for descriptor in pipes:
        while _drain(descriptor, *pipes[descriptor]):
            pass
    _, watched.status, usage = os.wait4(step, 0)
    watched.cpu = usage.ru_utime + usage.ru_stime
    return watched


def _drain(pipe: int, kept: bytearray, limit: int) -> bool:
    """Read once, keep what the limit allows; False at the end of the pipe."""
    data = os.read(pipe, 65536)
    kept += data[: limit - len(kept)]
    return bool(data)


def _judged(watched: _Watched, limits: Limits) -> tuple[str, bytes]:
    """The run's own report counts only where it ended by itself and in order."""
    if watched.stopped == "wall":
        return "timeout", b"ran for more than %g s" % limits.wall
    if watched.stopped == "files":
        return "killed", b"made more than %d files" % MAX_FILES
    if os.WIFSIGNALED(watched.status):
        number = os.WTERMSIG(watched.status)
        if number == signal.SIGKILL and watched.cpu > limits.cpu - 0.5:
            return "timeout", b"used more than %d s of CPU time" % limits.cpu
        return "killed", b"ended by signal %d" % number
    letter = bytes(watched.report[:1])
    if watched.status != 0 or letter not in _REPORTED:
        return "killed", b"ended without a report"
    return _REPORTED[letter], bytes(watched.report[1:])


_REPORTED = {b"o": "ok", b"e": "error", b"m": "memory"}


def _files() -> int:
    room = os.statvfs(FOLDER)
    return room.f_files - room.f_ffree


def _traces() -> bool:
    with os.scandir(FOLDER) as found:
        return next(found, None) is not None


def _step(limits: Limits, program: "_Filter", code: int, output: int, report: int) -> NoReturn:
    """Become the run: no way to the host left open, limits set, system calls fenced; then wait for the code."""
    import resource  # not everywhere; the host imports this file too, and says in one line where it cannot serve

    nothing = os.open("/dev/null", os.O_RDWR)
    for descriptor, place in ((nothing, 0), (output, 1), (nothing, 2)):
        os.dup2(descriptor, place)
    for descriptor in range(3, OPEN_FILES):
        if descriptor not in (code, report):
            with suppress(OSError):
                os.close(descriptor)
    sys.stdin, sys.stdout, sys.stderr = _stream(0, "r"), _stream(1, "w"), _stream(2, "w")
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]  # a module that we leave out would bring them
    random.seed(0)  # Python's own, which seeds itself afresh behind a fork
    for name, limit in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CPU, limits.cpu),  # soft and hard at once: the signal cannot be caught
        (resource.RLIMIT_FSIZE, limits.file),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_NPROC, 0),  # the filter refuses new processes too: the kernel does not count root's
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        most = resource.getrlimit(name)[1]
        bound = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(name, (bound, bound))
    program.install()
    source = bytearray()
    while part := os.read(code, 65536):
        source += part
    os.close(code)
    os.write(report, _executed(bytes(source))[: 1 + DETAIL_BYTES])
    os._exit(0)


def _stream(descriptor: int, mode: str) -> TextIO:
    """Text on a descriptor, line by line, so that a run that is stopped has said what it said."""
    return cast(TextIO, open(descriptor, mode, 1, encoding="utf-8", errors="backslashreplace", closefd=False))


def _executed(source: bytes) -> bytes:
    """Run the code as a program of its own; the report is a letter (see `_REPORTED`) and words for a failure."""
    try:
        program = compile(source.decode("utf-8", "surrogatepass"), STEP_NAME, "exec", dont_inherit=True)
        exec(program, {"__name__": "__main__", "__builtins__": builtins})  # noqa: S102  # what this room is for
    except MemoryError:
        return b"mMemoryError"
    except SystemExit as left:
        if left.code not in (None, 0):
            return b"e" + _described(left)
    except BaseException as error:
        return b"e" + _described(error)
    with suppress(Exception):
        sys.stdout.flush()
    return b"o"


def _described(error: BaseException) -> bytes:
    """`line 3: ZeroDivisionError: division by zero`, the line being the step's innermost one."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == STEP_NAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    words = str(error.msg if isinstance(error, SyntaxError) else error).strip().split("\n")[-1][:DETAIL_BYTES]
    told = f"{type(error).__name__}: {words}" if words else type(error).__name__
    return (f"line {line}: {told}" if line else told).encode("utf-8", "backslashreplace")


class _Filter:
    """A system call filter, made ready before the fork and put on behind it; it cannot be taken off."""

    def __init__(self, program: bytes) -> None:
        self._program = ctypes.create_string_buffer(program, len(program))
        address = ctypes.addressof(self._program)
        self._head = ctypes.create_string_buffer(struct.pack("@HxxxxxxQ", len(program) // 8, address), 16)
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl

    def install(self) -> None:
        """PR_SET_SECCOMP, SECCOMP_MODE_FILTER; bubblewrap has set no_new_privs, which this needs."""
        if self._prctl(22, ctypes.c_ulong(2), ctypes.c_ulong(ctypes.addressof(self._head)), 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "no system call filter")


def _read(descriptor: int, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = os.read(descriptor, size - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


if __name__ == "__main__":
    main()
