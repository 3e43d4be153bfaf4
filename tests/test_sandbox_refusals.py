"""When the sandbox refuses to start, and what it makes of a worker that does not keep to the rules."""

import asyncio
import json
import os
import platform
import sys
from pathlib import Path

import isolation_here
import psutil
import pytest

from sandbox import Sandbox, SandboxSettings, inside
from sandbox.isolation import check_namespaces
from sandbox.probe import check
from sandbox.worker import Worker
from settings import UserError

ROOT = Path(__file__).resolve().parents[1]
SMALL = SandboxSettings(memory_mb=256, cpu_seconds=1, wall_seconds=2, output_chars=1000, modules=(), workers=1)

RUBBISH = {
    "nothing": b"",
    "less than a head": b"abc",
    "another number": inside.REPLY.pack(bytes(8), 0, 0, 0, 2) + b"2\n",
    "an answer before the question": inside.REPLY.pack(b"12345678", 0, 0, 0, 2) + b"2\n",
    "a flood": b"x" * 100_000,
}


@pytest.mark.parametrize("what", RUBBISH)
async def test_a_worker_that_gives_rubbish_is_not_believed_nor_asked_again(what: str) -> None:
    worker = await impostor(f"sys.stdout.buffer.write({RUBBISH[what]!r})")
    outcome = await worker.run("print(1 + 1)")
    assert (outcome.verdict, outcome.output, worker.sound) == ("killed", "", False)
    await worker.end()


@pytest.mark.parametrize("head", ["9, 0, 0, 0", "0, 2, 0, 0", "0, 0, 2001, 0", "0, 0, 0, 4005", "0, 0, 2**31, 2**31"])
async def test_an_answer_to_the_question_is_held_to_the_rules_too(head: str) -> None:
    worker = await impostor(f"sys.stdout.buffer.write(struct.pack('>8sBBII', number, {head}) + bytes(9999))")
    outcome = await worker.run("print(1 + 1)")
    assert outcome.detail == "the sandbox gave an answer that breaks the rules"
    assert not worker.sound
    await worker.end()


async def impostor(answer: str) -> Worker:
    """A worker whose program is not ours."""
    code = f"import struct, sys\nnumber = sys.stdin.buffer.read(12)[:8]\n{answer}"
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", code, stdin=pipe, stdout=pipe)
    return Worker(process, SMALL)


BARE = """
import ctypes
from sandbox import inside
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)  # no_new_privs, as bubblewrap sets it
inside.MAX_FILES = 10 ** 12  # /tmp is this machine's here
inside.main()
"""


async def test_a_sandbox_that_does_not_isolate_is_refused() -> None:
    allow_all = "060000000000ff7f"
    sizes = {"memory": 1 << 30, "cpu": 5, "wall": 5, "file": 1 << 20, "output": 4004}
    limits = json.dumps(sizes | {"modules": (), "filter": allow_all})
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BARE, limits, stdin=pipe, stdout=pipe, cwd=ROOT
    )
    worker = Worker(process, SMALL)
    assert process.stdout is not None
    await process.stdout.readline()
    with pytest.raises(UserError) as refused:
        await check(worker, SMALL)
    for door in ("may open connections", "may signal others", "sees files", "sees other processes", "has no limit"):
        assert door in str(refused.value)
    await worker.end()


def test_a_namespace_shared_with_the_host_is_refused() -> None:
    own = {f"{name}-namespace": os.stat(f"/proc/self/ns/{name}").st_ino for name in ("ipc", "mnt", "net", "pid", "uts")}
    other = {name: number + 1 for name, number in own.items()}
    check_namespaces(json.dumps(other).encode())
    for told, words in (
        (other | {"net-namespace": own["net-namespace"]}, "net"),
        ({name: number for name, number in other.items() if name != "pid-namespace"}, "pid"),
        (own, "ipc, mnt, net, pid, uts"),
    ):
        with pytest.raises(UserError, match=f"shared with the host: {words}:?"):
            check_namespaces(json.dumps(told).encode())
    with pytest.raises(UserError, match="told nothing"):
        check_namespaces(b"")


@pytest.mark.skipif(sys.platform != "linux", reason="says something else elsewhere")
async def test_without_bubblewrap_it_refuses_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="bwrap, which is not installed: install bubblewrap") as refused:
        async with Sandbox(SMALL):
            raise AssertionError
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(sys.platform != "linux", reason="says something else elsewhere")
@pytest.mark.parametrize("said", ["No permissions to create new namespace", "Unknown option --size", ""])
async def test_a_bubblewrap_that_cannot_isolate_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str
) -> None:
    (tmp_path / "bwrap").write_text(f"#!/bin/sh\necho 'bwrap: {said}' >&2\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    before = psutil.Process().children(recursive=True)
    with pytest.raises(UserError, match=f"cannot be set up here.*{said}.*allow unprivileged") as refused:
        async with Sandbox(SMALL.model_copy(update={"workers": 2})):
            raise AssertionError
    assert "\n" not in str(refused.value)
    assert set(psutil.Process().children(recursive=True)) <= set(before)


async def test_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(UserError, match="needs Linux on x86-64 or ARM64"):
        async with Sandbox(SMALL):
            raise AssertionError


@pytest.mark.skipif(bool(isolation_here.lacking()), reason=isolation_here.lacking())
async def test_a_package_that_is_not_installed_is_named() -> None:
    with pytest.raises(UserError, match="nosuchpackage is not installed"):
        async with Sandbox(SMALL.model_copy(update={"modules": ("nosuchpackage",)})):
            raise AssertionError


def test_what_is_no_package_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no name of a top-level package"):
        SandboxSettings(modules=("../etc",))
