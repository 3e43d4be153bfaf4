"""Attempts to break out of the sandbox: none gets anything out, and the service goes on."""

import asyncio
import os
import secrets
import socket
import string
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import isolation_here
import pydantic
import pytest
import pytest_asyncio
from escape_attempts import NETWORK, PROC, PROCESSES, READING, SIGNALS, WRITING, Attempt
from resource_attempts import BOMBS, INTERPRETER, KERNEL, NUMBERS

from sandbox import Sandbox, SandboxSettings, inside

pytestmark = pytest.mark.skipif(bool(isolation_here.lacking()), reason=isolation_here.lacking())

ATTEMPTS = NETWORK | READING | PROC | WRITING | PROCESSES | SIGNALS | BOMBS | INTERPRETER | KERNEL
OUTSIDE = [name for name, attempt in ATTEMPTS.items() if attempt.outside]
VARIABLE = "RETRACE_TEST_SECRET"
LIMITS = SandboxSettings(
    memory_mb=160, cpu_seconds=1, wall_seconds=4, file_mb=4, output_chars=5000, modules=(), workers=2
)


@dataclass
class Host:
    """What an attempt may find, read, harm or reach."""

    names: dict[str, str]
    victim: subprocess.Popen[bytes]
    outside: Path
    connections: list[bytes]

    def code(self, attempt: Attempt) -> str:
        return string.Template(attempt.code).substitute(self.names)


def _answering(listener: socket.socket, connections: list[bytes]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connections.append(b"")
        with connection, suppress(OSError):  # whoever has connected may be gone
            connection.settimeout(5)
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nESCAPED")


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    # Not under /tmp, over which the sandbox puts a folder of its own: that alone would hide them.
    place = tempfile.TemporaryDirectory(dir="/var/tmp" if os.access("/var/tmp", os.W_OK) else None)
    home, elsewhere = Path(place.name, "home"), Path(place.name, "elsewhere")
    home.mkdir()
    elsewhere.mkdir()
    (home / "secret.txt").write_text("ESCAPED")
    unix = f"\0retrace-{secrets.token_hex(8)}"
    os.environ[VARIABLE] = "ESCAPED"
    connections: list[bytes] = []
    victim = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as local:
        local.bind(unix)
        local.listen()
        listeners = (tcp, local)
        threads = [threading.Thread(target=_answering, args=(one, connections), daemon=True) for one in listeners]
        for thread in threads:
            thread.start()
        yield Host(
            names={
                "file": repr(str(home / "secret.txt")),
                "folder": repr(str(home)),
                "outside": repr(str(elsewhere / "written")),
                "variable": VARIABLE,
                "source": repr(inside.__file__),
                "packages": repr(str(Path(pydantic.__file__).parents[1])),
                "port": str(tcp.getsockname()[1]),
                "unix": repr(unix),
                "victim": str(victim.pid),
                "forged": repr(inside.REPLY.pack(bytes(8), 0, 0, 0, 6) + b"FORGED"),
                "numbers": repr(NUMBERS),
            },
            victim=victim,
            outside=elsewhere / "written",
            connections=connections,
        )
        for listener in listeners:
            listener.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
    del os.environ[VARIABLE]
    victim.kill()
    victim.wait()
    place.cleanup()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(LIMITS) as opened:
        yield opened


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ATTEMPTS)
async def test_an_attempt_gets_nothing_out_and_the_service_goes_on(sandbox: Sandbox, host: Host, name: str) -> None:
    attempt = ATTEMPTS[name]
    host.outside.unlink(missing_ok=True)
    host.connections.clear()
    outcome = await sandbox.run(host.code(attempt))
    assert "ESCAPED" not in outcome.output + outcome.detail
    assert not attempt.verdicts or outcome.verdict in attempt.verdicts, outcome
    assert len(outcome.output) <= LIMITS.output_chars
    assert len(outcome.detail) <= inside.DETAIL_BYTES
    assert outcome.seconds < 30
    assert not host.outside.exists()
    assert host.connections == []
    assert host.victim.poll() is None
    every_worker = (sandbox.run("print(1 + 1)") for _ in range(LIMITS.workers))
    for after in await asyncio.gather(*every_worker):
        assert (after.verdict, after.output) == ("ok", "2\n")


@pytest.mark.parametrize("name", OUTSIDE)
def test_the_same_attempt_succeeds_without_a_sandbox(host: Host, name: str) -> None:
    outside = subprocess.run(
        [sys.executable, "-S", "-W", "ignore", "-c", host.code(ATTEMPTS[name])],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=host.outside.parent,
        env={**os.environ, "TMPDIR": str(host.outside.parent)},
    )
    assert "ESCAPED" in outside.stdout, outside.stderr


def test_the_suite_is_as_large_as_it_claims() -> None:
    assert len(ATTEMPTS) >= 40
    assert len(OUTSIDE) >= 30
