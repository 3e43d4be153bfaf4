"""A long run needs no more memory than a short one (the full figures: benchmarks/generate_memory.py)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from generation_material import ROOT, scripted

SHORT, LONG = 500, 6000
KIB_PER_JOURNEY = 2.1
"""40 MiB for 19,000 journeys; what is kept of each is its problem while problems are read, and its id."""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_journeys(tmp_path: Path) -> None:
    short, long = (peak_kib(tmp_path / str(count), count) for count in (SHORT, LONG))
    assert long - short < KIB_PER_JOURNEY * (LONG - SHORT)


def peak_kib(folder: Path, count: int) -> int:
    """Peak memory of a whole run of two-turn journeys, in a process of its own."""
    folder.mkdir()
    argv = scripted(folder, "--critic.persona", "silent", "--protocol", "solo", count=count)
    (folder / "script.yaml").write_text('replies: {"*/*/0/0": "4 * 3 = 12"}\nfallback: "Answer: 12"\n')
    process = subprocess.Popen(
        [sys.executable, "run.py", *argv], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss
