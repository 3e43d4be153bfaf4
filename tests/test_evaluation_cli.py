"""`python run.py evaluate` as it is typed: output, recipes, presets, and being killed."""

import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from evaluation_material import write_sums
from generation_material import ROOT, run_cli
from rich.console import Console

import run
from evaluation.asking import Candidate
from evaluation.progress import ProgressView
from evaluation.samples import Sample
from evaluation.settings import EvaluateSettings
from settings import load, read_yaml

SCRIPT = 'latency: {latency}\nreplies: {{"*/sums-*[02468]#*": "Answer: 1000"}}\nfallback: "Answer: 1001"\n'


def arguments(folder: Path, *more: str, count: int = 3, latency: float = 0.0) -> list[str]:
    script = folder / "script.yaml"
    script.write_text(SCRIPT.format(latency=latency))
    return [
        *("evaluate", "--outputs-dir", str(folder / "outputs"), "--name", "run"),
        *("--problems", str(write_sums(folder, count)), "--engine.script", str(script), "--model", "one", *more),
    ]


def test_a_person_reads_tables_and_paths_and_progress_is_elsewhere(tmp_path: Path) -> None:
    done = run_cli(arguments(tmp_path, "--model", "two"))
    assert done.returncode == 0, done.stderr
    for words in ("66.7% [20.8, 93.9]", "Paired comparisons", "two - one", "Accuracy by family", "evaluation.png"):
        assert words in done.stdout, words
    assert "one: 3/3 samples · right 2 · wrong 1 · unparsed 0" in done.stderr
    assert "samples ·" not in done.stdout


def test_json_is_the_result_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(arguments(tmp_path, "--json")) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == json.loads((tmp_path / "outputs" / "run" / "evaluation.json").read_text())
    assert shown["models"][0]["scores"]["accuracy"]["value"] == pytest.approx(2 / 3)


def test_a_dry_run_shows_prompts_and_loads_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(arguments(tmp_path, "--dry-run")) == 0
    shown = capsys.readouterr().out
    assert "# First prompt of one\n[system]" in shown
    assert "What is 0 + 1000?" in shown
    assert not (tmp_path / "outputs").exists()
    assert run.main(arguments(tmp_path, "--dry-run", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["prompts"]["one"][-1]["content"] == "What is 0 + 1000?"


def test_keys_and_help_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["evaluate", "--keys"]) == 0
    listed = capsys.readouterr().out
    for key in ("--samples [1]", "--sampling.temperature [0.0]", "--problems.path", "--engine.max-batch"):
        assert key in listed
    code = "import run, sys; run._parser(); print({'torch', 'pydantic', 'numpy', 'autogen_core'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--problems", "gsm9k"), "no preset 'gsm9k'; there is aime24, arc, arithmetic, gsm8k, math500"),
        (("--problems", "missing.jsonl"), "missing.jsonl: no such file"),
        (("--samples", "4"), "greedy samples"),
        (("--samples", "4", "--sampling.temperature", "1", "--k", "[8]"), "k: 8 needs as many samples"),
        (("--smaples", "4"), "command line: smaples: unknown key; did you mean 'samples'?"),
        (("--persona", "stepwise"), "asks step by step"),
        (("--num-problems", "9"), "3 problems, 9 wanted"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], words: str
) -> None:
    assert run.main(arguments(tmp_path, *more)) == 2
    complaint = capsys.readouterr().err
    assert words in complaint
    assert complaint.count("\n") == 1


def test_an_unreadable_reference_is_named_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = arguments(tmp_path)
    (tmp_path / "sums.jsonl").write_text('{"question": "a?", "answer": "1"}\n{"question": "b?", "answer": ""}\n')
    assert run.main(argv) == 2
    assert "sums.jsonl: line 2: the answer is missing" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["evaluate", "sample"])
def test_shipped_recipes_name_keys_personas_and_problems_that_exist(name: str) -> None:
    settings = load(EvaluateSettings, ROOT / "configs" / f"{name}.yaml")
    assert Candidate.of(settings.models[0], settings).persona.mode == "monologue"
    generated = read_yaml(ROOT / "configs" / "embedded.yaml")
    assert settings.seed != generated.get("seed", 0), "no problem may be in training and test"


@pytest.mark.parametrize("preset", sorted((ROOT / "configs" / "problems").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_is_read(preset: Path) -> None:
    load(EvaluateSettings, None, read_yaml(preset))


def test_a_preset_gives_way_to_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = arguments(tmp_path, "--problems", "gsm8k", "--problems.source", "file", "--dry-run", "--json")
    argv += ["--problems.path", str(tmp_path / "sums.jsonl")]
    assert run.main(argv) == 0
    problems = json.loads(capsys.readouterr().out)["config"]["problems"]
    assert (problems["source"], problems["config_name"], problems["duplicates"]) == ("file", "main", "drop")


def test_a_saved_recipe_runs_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(arguments(tmp_path)) == 0
    saved = tmp_path / "outputs" / "run" / "recipe.yaml"
    assert yaml.safe_load(saved.read_text())["models"][0]["model"] == "one"
    assert run.main(["evaluate", "--config", str(saved), "--name", "again"]) == 0
    first, second = (json.loads((tmp_path / "outputs" / n / "evaluation.json").read_text()) for n in ("run", "again"))
    assert first["models"][0]["scores"] == second["models"][0]["scores"]


@pytest.mark.slow
def test_a_killed_evaluation_goes_on_where_it_was(tmp_path: Path) -> None:
    """kill -9 at moments when samples are being written; nothing is lost, doubled or drawn another way."""
    more = ("--samples", "4", "--sampling.temperature", "1", "--engine.max-batch", "2")
    assert run.main(arguments(tmp_path, *more, "--name", "undisturbed", count=30)) == 0
    wanted = samples(tmp_path / "outputs" / "undisturbed")
    draw = random.Random(3)
    argv = arguments(tmp_path, *more, count=30, latency=0.1)
    held: dict[tuple[str, int], object] = {}
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "run.py", *argv], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while len(samples(tmp_path / "outputs" / "run")) <= len(held) and process.poll() is None:
            assert time.monotonic() < deadline, "no sample was written"
            time.sleep(0.01)
        time.sleep(draw.random() * 0.2)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        now = samples(tmp_path / "outputs" / "run")
        assert held.items() <= now.items()
        assert len(held) < len(now) < len(wanted), "the kill found it at work"
        held = now
    assert run.main(arguments(tmp_path, *more, count=30)) == 0
    lines = (tmp_path / "outputs" / "run" / "samples.jsonl").read_text().splitlines()
    assert len(lines) == len(wanted) == 120
    assert samples(tmp_path / "outputs" / "run") == wanted


@pytest.mark.parametrize(
    ("number", "start"),
    [
        (signal.SIGINT, []),
        (signal.SIGTERM, []),
        # As a shell starts a job in the background: it ignores Ctrl-C, and must end in order all the same.
        (signal.SIGTERM, ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]),
    ],
)
def test_an_interrupted_evaluation_says_how_to_go_on(tmp_path: Path, number: signal.Signals, start: list[str]) -> None:
    argv = arguments(tmp_path, "--engine.max-batch", "1", count=200, latency=0.05)
    process = subprocess.Popen(
        [*start, sys.executable, "run.py", *argv], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not samples(tmp_path / "outputs" / "run"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    said, complained = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == ""
    assert complained.splitlines()[-1] == "retrace: stopped; run the same command to go on where it was"
    assert "Traceback" not in complained


def samples(folder: Path) -> dict[tuple[str, int], object]:
    """What whole lines say, but for the time it took."""
    file = folder / "samples.jsonl"
    rows = [json.loads(line) for line in file.read_bytes().split(b"\n")[:-1]] if file.exists() else []
    return {(row["problem_id"], row["sample"]): row | {"seconds": 0} for row in rows}


SAMPLE = Sample(
    model="m",
    problem_id="p",
    family="f",
    question="?",
    sample=0,
    text="t",
    finish="stop",
    status="right",
    answer="4",
    tokens=70,
    prompt_tokens=1,
    mean_logprob=None,
    seconds=0.1,
    seed=1,
)


def test_on_a_terminal_a_live_bar_shows_grades_speed_and_time_left() -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=100, color_system=None, _environ={"TERM": "xterm"})
    with ProgressView("out/\x1b[2Jsft [bold]", total=3, done=1, console=console) as view:
        view.sample(SAMPLE)
        time.sleep(0.3)
    shown = written.getvalue()
    for words in ("2/3", "out/ [2Jsft [bold] · right 1 · wrong 0 · unparsed 0", "tokens/s"):
        assert words in shown, words
    assert re.search(r"left \d+:\d\d", shown)


@pytest.mark.parametrize("terminal", [None, "dumb"])
def test_elsewhere_it_is_a_plain_line(terminal: str | None) -> None:
    written = io.StringIO()
    console = Console(
        file=written, width=40, force_terminal=terminal is not None, _environ={"TERM": terminal} if terminal else {}
    )
    with ProgressView("sft", total=3, done=1, console=console) as view:
        view.sample(SAMPLE)
    line = r"sft: 2/3 samples · right 1 · wrong 0 · unparsed 0 · \d+ tokens/s · left \d+:\d\d\n"
    assert re.fullmatch(line, written.getvalue())
