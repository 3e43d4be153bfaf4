"""Stop it and start it again: by signal, with other settings, or when there is nothing left to do."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from generation_material import (
    ROOT,
    exported,
    finished,
    forking_runs,
    journeys_of,
    run_cli,
    scripted,
    summary_of,
    write_script,
)

import run

LATENCY = 0.25
"""Seconds that a reply takes; long beside what a loaded machine needs for anything else."""


def turns_by_journey(folder: Path) -> dict[str, int]:
    """Turns stored of each journey that has not ended."""
    with sqlite3.connect(f"file:{folder}/journeys.db?mode=ro", uri=True) as db:
        query = "SELECT journeys.id, COUNT(turns.id) FROM journeys LEFT JOIN turns ON journey_id = journeys.id"
        return dict(db.execute(f"{query} WHERE status = 'growing' GROUP BY journeys.id"))


def wait_for_finished(folder: Path, count: int, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 60
    while len(finished(folder)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_in_order_and_the_same_command_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    argv = scripted(tmp_path, "--concurrency", "8", count=40, latency=LATENCY)
    folder = tmp_path / "runs" / "run"
    process = subprocess.Popen(
        [sys.executable, "run.py", *argv], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for_finished(folder, 5, process)
    time.sleep(
        1.5 * LATENCY
    )  # journeys of one length go in waves: the next one shall have turns and be far from its end
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "retrace: stopped; run the same command to go on where it was"
    assert "Traceback" not in errors
    half, held = turns_by_journey(folder), finished(folder)
    assert half, "conversations were in flight"
    assert any(half.values()), "and their turns are kept"
    assert summary_of(folder)["journeys"] == len(held), "what is there is already exported and counted"

    write_script(tmp_path)  # the same file without its latency: what a script says is no key of the recipe
    assert run.main(argv) == 0
    assert held.items() <= finished(folder).items()
    assert len(journeys_of(folder)) == 40
    assert run.main(scripted(tmp_path, count=40, name="undisturbed")) == 0
    assert finished(folder) == finished(tmp_path / "runs" / "undisturbed")
    assert exported(folder) == exported(tmp_path / "runs" / "undisturbed")


def test_an_impatient_second_signal_is_no_traceback_either(tmp_path: Path) -> None:
    argv = scripted(tmp_path, count=200, latency=0.02)
    process = subprocess.Popen(
        [sys.executable, "run.py", *argv], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for_finished(tmp_path / "runs" / "run", 30, process)
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    _, errors = process.communicate(timeout=30)
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("retrace: stopped")
    held = finished(tmp_path / "runs" / "run")
    assert len(held) >= 30
    write_script(tmp_path)
    assert run.main(argv) == 0
    assert held.items() <= finished(tmp_path / "runs" / "run").items()


@pytest.mark.parametrize("cpu_seconds", [0.25, 0.6, 1.1])
def test_a_signal_while_it_starts_is_one_line(tmp_path: Path, cpu_seconds: float) -> None:
    """At moments told by the process's own clock: importing, reading problems, the first conversations."""
    process = subprocess.Popen(
        [sys.executable, "run.py", *scripted(tmp_path, count=800, latency=0.3)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while psutil.Process(process.pid).cpu_times().user < cpu_seconds:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("retrace: stopped")
    assert process.returncode == 130


@pytest.mark.parametrize(
    "command", ["run.py generate --keys", "run.py --help", "run.py generate {run} --dry-run", "run.py generate {run}"]
)
def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path, command: str) -> None:
    words = command.format(run=" ".join(scripted(tmp_path)[1:])).split()
    process = subprocess.Popen(
        [sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    process.stdout.close()
    assert process.stderr
    errors = process.stderr.read()
    process.stderr.close()
    process.wait()
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        (["--seed", "5"], "seed: 0 -> 5"),
        (["--num-problems", "7"], "num_problems: None -> 7"),
        (["--policy.persona", "monologue"], "policy.persona: 'auto' -> 'monologue'"),
        (["--policy.sampling.temperature", "0.1"], "policy.sampling.temperature: None -> 0.1"),
        (["--critic.persona", "silent"], "critic.persona: 'strict' -> 'silent'"),
        (["--budgets.max-turns", "3"], "budgets.max_turns: 24 -> 3"),
        (["--protocol", "solo"], "protocol.kind: 'dialogue' -> 'solo'"),
    ],
    ids=lambda part: part[0] if isinstance(part, list) else None,
)
def test_another_recipe_is_refused_and_the_difference_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], shown: str
) -> None:
    assert run.main(scripted(tmp_path)) == 0
    before = exported(tmp_path / "runs" / "run")
    capsys.readouterr()
    assert run.main(scripted(tmp_path, *flags)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"retrace: {tmp_path}/runs/run/config.yaml: ")
    assert shown in line
    assert "--name OTHER" in line
    assert exported(tmp_path / "runs" / "run") == before


def test_what_does_not_change_the_journeys_may_change_and_calls_no_model(tmp_path: Path) -> None:
    assert run.main(scripted(tmp_path, name="run")) == 0
    folder = tmp_path / "runs" / "run"
    before, digests = exported(folder), finished(folder)
    # From here on every request is an error: a finished run must not make one.
    (tmp_path / "p.jsonl").touch()
    flags = ["--concurrency", "3", "--policy.max-batch", "2", "--policy.request-timeout", "9"]
    mute = "replies: {{}}\n"
    argv = scripted(tmp_path, *flags)
    write_script(tmp_path, text=mute)
    assert run.main(argv) == 0
    assert exported(folder) == before
    assert finished(folder) == digests
    assert yaml.safe_load((folder / "config.yaml").read_text())["concurrency"] == 3, "the config is that of the files"

    assert run.main([*argv, "--export.format", "standard"]) == 0
    assert exported(folder) != before
    assert finished(folder) == digests
    write_script(tmp_path, text=mute)
    assert run.main(argv) == 0
    assert exported(folder) == before, "exports can always be made again"


def test_two_processes_do_not_write_one_run(tmp_path: Path) -> None:
    argv = scripted(tmp_path, "--concurrency", "2", count=200, latency=0.05)  # long beside the second one's start
    with forking_runs() as runs:
        pid = runs.start(argv)
        deadline = time.monotonic() + 30
        while not finished(tmp_path / "runs" / "run"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        second = run_cli(argv)
        assert second.returncode == 2
        assert second.stderr.splitlines()[-1].endswith(
            "another process is writing this run; wait for it to end or name another folder"
        )
        os.kill(pid, signal.SIGKILL)
        runs.wait()


def test_a_problem_file_may_grow_but_not_change_under_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(scripted(tmp_path, count=6)) == 0
    folder = tmp_path / "runs" / "run"
    held = finished(folder)
    assert run.main(scripted(tmp_path, count=9)) == 0
    assert len(finished(folder)) == 9
    assert held.items() <= finished(folder).items()
    capsys.readouterr()
    assert run.main(scripted(tmp_path, count=5)) == 2
    assert "9 problems, but problems.path now gives 5" in capsys.readouterr().err
    argv = scripted(tmp_path, count=9)
    changed = (tmp_path / "p.jsonl").read_text().replace("time 3?", "time three?")
    (tmp_path / "p.jsonl").write_text(changed)
    assert run.main(argv) == 2
    assert "problem 'p-3' is not the one this run began with" in capsys.readouterr().err
    assert len(finished(folder)) == 9


def test_a_run_that_never_got_a_reply_binds_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(scripted(tmp_path, "--policy.engine", "openai", "--policy.model", "http://127.0.0.1:9/v1")) == 2
    assert "no server answers" in capsys.readouterr().err
    argv = scripted(tmp_path, "--seed", "4", count=8)
    (tmp_path / "p.jsonl").write_text((tmp_path / "p.jsonl").read_text().replace("time", "the time"))
    assert run.main(argv) == 0
    assert len(finished(tmp_path / "runs" / "run")) == 8
    assert yaml.safe_load((tmp_path / "runs" / "run" / "config.yaml").read_text())["seed"] == 4
