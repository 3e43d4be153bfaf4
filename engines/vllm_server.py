"""`vllm serve` as an engine: started for us, watched, restarted once, and gone when we are gone.

The server is its own process group on a free port of 127.0.0.1, and writes its log to a temporary file. On Linux the
kernel tells it to stop when this process dies, however it dies.
"""

import asyncio
import atexit
import contextlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import aiohttp

from engines.contract import EngineSettings, Reply, RequestArgs
from engines.errors import EngineDead, EngineUnavailable
from engines.openai_engine import OpenAIEngine
from engines.vllm_command import SERVED_NAME, serve_command
from settings import UserError

START_SECONDS = 1800.0
"""A large model on a slow disk takes minutes."""
STOP_SECONDS = 15.0
KVCACHE_GIB = 4
"""vLLM on a CPU: memory for the KV cache, unless VLLM_CPU_KVCACHE_SPACE says otherwise."""
SETTLE_SECONDS = 0.2
"""A dying process closes its sockets a moment before its end can be seen."""
LOG_PREFIX = re.compile(r"^(\(\w+ pid=\d+\) )?([A-Z]+ [\d-]+ [\d:]+ \[[^\]]*\] )?", re.M)
"""`(EngineCore pid=12) INFO 11-21 12:36:15 [file.py:7] ` before vLLM's own words."""

# Runs in the child before vLLM: PR_SET_PDEATHSIG (1) outlives exec, and getppid closes the race with a parent that is
# gone already. A `preexec_fn` would do the same but may deadlock in a process that has threads, as ours has.
DIE_WITH_PARENT = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGTERM); "
    "os.getppid() == int(sys.argv[1]) or sys.exit(1); os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
)

Progress = Callable[[str], None]
logger = logging.getLogger(__name__)


class VLLMServerEngine(OpenAIEngine):
    """A vLLM server that this engine owns.

    Start it on the thread that stays: Linux counts the end of that thread as the parent's death. `progress` is told
    about once a second what the server is doing while it starts.
    """

    def __init__(self, settings: EngineSettings, progress: Progress | None = None) -> None:
        served = settings.served_name or SERVED_NAME
        super().__init__(settings.model_copy(update={"model": "http://127.0.0.1", "served_name": served}))
        self.model_name = settings.model
        self._given = settings.model_copy(update={"served_name": served})
        self._progress = progress or (lambda line: logger.info("vllm serve: %s", line))
        self._server: VLLMServer | None = None
        self._first_dead: VLLMServer | None = None
        self._restart: asyncio.Task[None] | None = None
        self._owner = asyncio.Lock()

    async def start(self) -> None:
        """Start the server and wait until it answers; minutes.

        Raises:
            UserError: the model cannot be opened or vLLM does not start, with the last words of its log.
        """
        async with self._owner:
            if self._server is not None:
                return
            self._server = VLLMServer(self._given)
            try:
                await self._server.start(self._progress)
                self._connect(self._server)
                await super().start()
            except BaseException:
                await self.close()
                raise
            self.model_name = self._given.model

    async def close(self) -> None:
        if self._restart is not None:
            self._restart.cancel()
            await asyncio.gather(self._restart, return_exceptions=True)
        await super().close()
        server, self._server = self._server, None
        if server is not None:
            await asyncio.to_thread(server.stop)

    async def prefix_cache(self) -> tuple[int, int]:
        """Prompt tokens looked up in the prefix cache since the server started, and those found there.

        Raises:
            EngineError: the server does not answer.
        """
        if self._session is None:
            raise EngineUnavailable("vllm serve is not running")
        raw = await self._exchange(self._session, "GET", self._base.with_path("/metrics"), None, 30.0, 1 << 24)
        text = raw.decode("utf-8", "replace")
        return _counter(text, "vllm:prefix_cache_queries_total"), _counter(text, "vllm:prefix_cache_hits_total")

    async def _attempt(self, body: bytes, args: RequestArgs, began: float) -> Reply:
        server = self._server
        try:
            return await super()._attempt(body, args, began)
        except EngineUnavailable:
            await asyncio.sleep(SETTLE_SECONDS)
            if server is None or server.alive:
                raise
        await self._revive(server)
        return await super()._attempt(body, args, began)

    async def _revive(self, dead: "VLLMServer") -> None:
        """Bring a dead server back, once; all calls in flight wait for the same restart.

        Raises:
            EngineDead: it died a second time, or does not come back.
        """
        if self._restart is None:
            self.faults[EngineDead.__name__] += 1
            logger.warning("vllm serve died (exit %s) and is restarted: %s", dead.exit_code, dead.last_words())
            self._first_dead = dead
            self._restart = asyncio.create_task(self._start_again(dead))
        elif dead is not self._first_dead:
            raise EngineDead(f"vllm serve died twice (exit {dead.exit_code}): {dead.last_words()}")
        try:
            await asyncio.shield(self._restart)
        except UserError as error:
            raise EngineDead(f"vllm serve died and did not start again: {error}") from None

    async def _start_again(self, dead: "VLLMServer") -> None:
        await asyncio.to_thread(dead.stop)  # its worker processes may have outlived it
        self._server = VLLMServer(self._given)
        await self._server.start(self._progress)
        self._connect(self._server)

    def _connect(self, server: "VLLMServer") -> None:
        self._base = self._base.with_port(server.port).with_path("/v1")
        self._chat = self._base / "chat" / "completions"


class VLLMServer:
    """One process of `vllm serve`, with its helpers, from start to stop."""

    def __init__(self, settings: EngineSettings) -> None:
        self.port = _free_port()
        self.command = serve_command(settings, port=self.port)
        handle, path = tempfile.mkstemp(prefix="retrace-vllm-", suffix=".log")
        os.close(handle)
        self.log = Path(path)
        self._process: subprocess.Popen[bytes] | None = None
        self._log_was_named = False

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    async def start(self, progress: Progress, *, seconds: float = START_SECONDS) -> None:
        """Run it and wait for /health. Raises UserError with the log's last words when it does not get there."""
        self._spawn()
        began = monotonic()
        health = f"http://127.0.0.1:{self.port}/health"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(health) as response:
                        if response.status == 200:
                            return
                if not self.alive:
                    raise UserError(f"model: vllm serve ended with {self.exit_code}: {self.last_words()}")
                elapsed = monotonic() - began
                if elapsed > seconds:
                    words = self.last_words()
                    self.stop()
                    raise UserError(f"model: vllm serve is not ready after {seconds:.0f} s: {words}")
                progress(f"starting, {elapsed:.0f} s: {self._newest_line()}")
                await asyncio.sleep(1.0)

    def _spawn(self) -> None:
        tie = ["-c", DIE_WITH_PARENT, str(os.getpid())] if sys.platform == "linux" else []
        environment = {"VLLM_CPU_KVCACHE_SPACE": str(KVCACHE_GIB), "VLLM_NO_USAGE_STATS": "1", **os.environ}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *tie, *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        atexit.register(self.stop)

    def stop(self) -> None:
        """SIGTERM, after STOP_SECONDS SIGKILL for the whole group; safe to repeat.

        The log goes too, unless an error has named it.
        """
        process = self._process
        if process is None:
            return
        atexit.unregister(self.stop)
        if not self._log_was_named:
            self.log.unlink(missing_ok=True)
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def last_words(self) -> str:
        """What went wrong, as far as the log tells, in one line; names the log, which is then kept."""
        self._log_was_named = True
        lines = self._lines()
        errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception): ", line)]
        words = " | ".join(dict.fromkeys([*errors[-2:], *lines[-2:]])) or "(it wrote nothing)"
        return f"{words[-800:]} (log: {self.log})"

    def _newest_line(self) -> str:
        lines = self._lines()
        return lines[-1][:160] if lines else "loading vLLM"

    def _lines(self) -> list[str]:
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, self.log.stat().st_size - 20_000))
                text = log.read().decode("utf-8", "replace")
        except OSError:
            return []
        plain = LOG_PREFIX.sub("", re.sub(r"\x1b\[[0-9;]*m", "", text))
        return [" ".join(line.split()) for line in plain.splitlines() if line.strip()]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _counter(metrics: str, name: str) -> int:
    """The sum of a Prometheus counter over its labels."""
    values = re.findall(rf"^{re.escape(name)}(?:{{[^\n]*}})? (\S+)$", metrics, re.M)
    return int(sum(map(float, values)))
