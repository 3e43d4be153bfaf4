"""Does the isolation hold here? A worker is asked to break out before any model's code runs in it."""

from sandbox import inside
from sandbox.isolation import refusal
from sandbox.settings import SandboxSettings
from sandbox.worker import Worker

SEALED = "sealed"

ATTEMPTS = """
import os, socket
open_doors = []
def attempt(name, act):
    try:
        act()
    except (OSError, MemoryError):
        return
    open_doors.append(name)
attempt("it may start processes", lambda: os.fork() or os._exit(0))
attempt("it may open connections", socket.socket)
attempt("it may signal others", lambda: os.kill(os.getppid(), 0))
attempt("it may write outside its folder", lambda: os.open("/", os.O_WRONLY | os.O_TMPFILE))  # leaves nothing
attempt("it sees files of this machine", lambda: os.stat({canary!r}))
attempt("it sees other processes", lambda: os.listdir("/proc"))
attempt("its memory has no limit", lambda: bytearray({memory}))
if os.environ:
    open_doors.append("it has an environment")
print("; ".join(open_doors) or {sealed!r})
"""


async def check(worker: Worker, settings: SandboxSettings) -> None:
    """Raises UserError, with what is open, unless every attempt failed."""
    code = ATTEMPTS.format(canary=inside.__file__, memory=settings.memory_mb << 20, sealed=SEALED)
    outcome = await worker.run(code)
    if outcome.verdict != "ok" or outcome.output.strip() != SEALED:
        raise refusal(outcome.detail or outcome.output.strip())
