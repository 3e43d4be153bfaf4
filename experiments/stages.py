"""Stages of an experiment: each a command of run.py in a process of its own, with a recipe file and a note of its end.

A stage whose note says that it ended with this very recipe is skipped; one that was stopped is begun again, and the
command itself goes on where it was. So an experiment that is stopped anywhere goes on when it is started again.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from settings import UserError, difference, read_yaml

ROOT = Path(__file__).parent.parent
INTERRUPTED = 130
"""What run.py ends with after Ctrl-C."""
ENVIRONMENT = {
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "PASSIVE",
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
}
"""For a machine that is shared: threads that wait give their core away, and memory for logits is not asked for anew in
every step. On two cores of which another process held one, a training went from about 40 to 150 tokens/s."""

_running: set[subprocess.Popen[bytes]] = set()


@contextlib.contextmanager
def stopped_in_order() -> Iterator[None]:
    """Let SIGTERM end the stages in order, as Ctrl-C does, which a terminal sends to them too.

    Raises:
        KeyboardInterrupt: it came.
    """

    def stop(number: int, frame: object) -> None:
        for process in tuple(_running):
            process.terminate()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Stages:
    """Runs stages and remembers what each took.

    Args:
        jobs: how many may run at once. Several share the cores, and keep their progress in their logs, where they do
            not write over each other.
    """

    def __init__(self, folder: Path, *, jobs: int = 1) -> None:
        self.folder = folder
        self.jobs = jobs
        self.quiet = jobs > 1
        self.at_once = 1
        """How many stages share the cores just now."""
        self.recipes = folder / "recipes"
        self.notes = folder / "stages"
        self.logs = folder / "logs"

    def run(self, name: str, command: Sequence[str], recipe: Mapping[str, Any], *, grows: str = "") -> None:
        """`python run.py COMMAND --config RECIPE`, unless it has been done.

        Args:
            grows: a key that may have changed since then; the command goes on with what its folder holds (`evaluate`
                keeps the samples of the models that it knows).

        Raises:
            UserError: the stage was run with another recipe, or its command fails.
            KeyboardInterrupt: the command was stopped.
        """
        plain = json.loads(json.dumps(recipe))
        path = self.recipes / f"{name}.yaml"
        if self._done(name):
            changes = difference(read_yaml(path), plain)
            if not changes:
                return
            if not grows or any(re.split(r"[.:\[]", change)[0] != grows for change in changes):
                raise UserError(
                    f"{path}: this stage was run with another recipe ({'; '.join(changes[:4])}); "
                    f"go on with the old values, or remove {self.folder}"
                )
        for place in (self.recipes, self.notes, self.logs):
            place.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), encoding="utf-8")
        _say(f"{name}: run.py {' '.join(command)} --config {path}")
        code = self._spawn(name, [*command, "--config", str(path.resolve())])
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        if code:
            raise UserError(f"stage {name} failed with exit code {code}; its log is {self.logs / name}.log")
        _say(f"{name}: done in {self._read(name)['seconds']:.0f} s")

    def side_by_side(self, works: Sequence[Callable[[], object]]) -> None:
        """Do several works, `jobs` at a time; the first that fails ends it all once those begun have ended."""
        if self.jobs == 1:
            for work in works:
                work()
            return
        self.at_once = self.jobs
        try:
            with ThreadPoolExecutor(self.jobs) as pool:
                begun = [pool.submit(work) for work in works]
                try:
                    for one in begun:
                        one.result()
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
        finally:
            self.at_once = 1

    def seconds(self) -> dict[str, float]:
        """What each finished stage took, in the order in which they ended."""
        notes = sorted(self.notes.glob("*.json"), key=lambda path: path.stat().st_mtime)
        return {note.stem: float(json.loads(note.read_text())["seconds"]) for note in notes}

    def _spawn(self, name: str, argv: Sequence[str]) -> int:
        """The command's exit code. It meets Ctrl-C itself, writes its checkpoint, and is waited for."""
        started, code = time.monotonic(), INTERRUPTED
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(ROOT / "run.py"), *argv],
                cwd=ROOT,
                stdout=log,
                stderr=log if self.quiet else None,
                env=ENVIRONMENT | self._share_of_cores() | os.environ,
            )
            _running.add(process)
            try:
                code = process.wait()
            except KeyboardInterrupt:
                process.wait()
            finally:
                _running.discard(process)
        seconds = self._earlier(name) + time.monotonic() - started
        self._note(name, {"done": code == 0, "seconds": round(seconds, 1)})
        return code

    def _share_of_cores(self) -> dict[str, str]:
        """A stage alone has all of them."""
        threads = max(1, (os.cpu_count() or 1) // self.at_once)
        return {"OMP_NUM_THREADS": str(threads)} if self.at_once > 1 else {}

    def _done(self, name: str) -> bool:
        return bool(self._read(name).get("done"))

    def _earlier(self, name: str) -> float:
        """Seconds spent on a stage before it was stopped."""
        return float(self._read(name).get("seconds", 0.0))

    def _read(self, name: str) -> dict[str, Any]:
        note = self.notes / f"{name}.json"
        return dict(json.loads(note.read_text())) if note.is_file() else {}

    def _note(self, name: str, note: Mapping[str, Any]) -> None:
        path = self.notes / f"{name}.json"
        path.with_suffix(".part").write_text(json.dumps(note) + "\n")
        path.with_suffix(".part").replace(path)


def _say(text: str) -> None:
    sys.stderr.write(f"[experiment] {text}\n")
    sys.stderr.flush()
