"""What the commands show, to people and to scripts."""

import io
import json
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml
from generation_material import EXPORTS, ROOT, journeys_of, run_cli, scripted, summary_of
from rich.console import Console

import run
from generation.progress import ProgressView
from generation.settings import GenerateSettings
from journeys.record import Cost, Journey, Move, Problem, Turn, Verdict, Verification, Voice
from journeys.tables import Counts


def test_the_summary_agrees_with_the_store_and_the_files(tmp_path: Path) -> None:
    assert run.main(scripted(tmp_path, count=30)) == 0
    folder = tmp_path / "runs" / "run"
    summary, journeys = summary_of(folder), journeys_of(folder)
    turns = [turn for journey in journeys for turn in journey.turns]
    outcomes = Counter(journey.outcome for journey in journeys)
    moves = Counter(turn.verdict.move.value for turn in turns)
    assert summary["problems"] == summary["journeys"] == len(journeys) == 30
    assert summary["solved"] == outcomes["solved"] == 27
    assert summary["wrong"] == outcomes["wrong"] == 3
    assert summary["exhausted"] == summary["unparsed"] == summary["engine_error"] == summary["lucky"] == 0
    assert summary["with_backtrack"] == 30
    assert summary["accepted"] == summary["exports"]["journey_sft"] == 27
    assert summary["moves"] == {move.value: moves[move.value] for move in Move}
    assert summary["turns"] == len(turns)
    assert summary["parse_failures"] == 3
    assert summary["rulings"]["repaired"] == 3
    assert summary["tokens"]["completion"] == sum(journey.completion_tokens for journey in journeys)
    assert summary["tokens"]["policy_prompt"] == sum(turn.policy_cost.prompt_tokens for turn in turns)
    assert summary["yield"] == summary["solve_rate"] == 0.9
    assert summary["no_answer_rate"] == 0
    assert summary["seconds"] >= 0
    for name in EXPORTS:
        lines = (folder / "exports" / f"{name}.jsonl").read_text().splitlines()
        assert len(lines) == summary["exports"][name] > 0
        assert (folder / "exports" / f"{name}.parquet").stat().st_size > 0
        assert all(json.loads(line) for line in lines)
    assert "---" in (folder / "exports" / "README.md").read_text()
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert GenerateSettings.model_validate(config).critic.persona == "strict"


def test_json_is_the_summary_and_nothing_else(tmp_path: Path) -> None:
    done = run_cli(scripted(tmp_path, "--json"))
    assert done.returncode == 0
    assert json.loads(done.stdout) == summary_of(tmp_path / "runs" / "run")


def test_a_person_reads_a_table_the_paths_and_one_thought(tmp_path: Path) -> None:
    done = run_cli(scripted(tmp_path))
    assert done.returncode == 0
    for words in ("solve rate", "no-answer rate", "parse failures", "backtrack 20", "18 right", "journey_sft 18"):
        assert words in done.stdout, words
    assert str(tmp_path / "runs" / "run" / "journeys.db") in done.stdout
    assert "One thought to read: p-0#0" in done.stdout
    assert "4 * 3 = 12" in done.stdout
    assert "python run.py view " in done.stdout
    last = done.stderr.splitlines()[-1]
    assert re.match(r"20/20 journeys · solved 18 · wrong 2 · .* tokens/s · left 0:00$", last), "one line, not wrapped"


GENERATE_RECIPES = sorted(path.name for path in (ROOT / "configs").glob("*.yaml") if "\npolicy:" in path.read_text())


@pytest.mark.parametrize("config", GENERATE_RECIPES)
def test_every_shipped_recipe_names_keys_and_personas_that_exist(config: str) -> None:
    from agents.persona import load_critic, load_policy
    from settings import load

    settings = load(GenerateSettings, ROOT / "configs" / config)
    assert load_policy(settings.policy.persona)
    assert load_critic(settings.critic.persona)


def test_a_dry_run_shows_config_prompts_and_cost_and_loads_nothing(tmp_path: Path) -> None:
    argv = [
        *("generate", "--config", "configs/embedded.yaml", "--dry-run", "--runs-dir", str(tmp_path)),
        *("--num-problems", "7", "--critic.persona", "strict"),
    ]
    code = f"import run, sys; code = run.main({argv!r}); print(code, 'torch' in sys.modules, 'vllm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith("0 False False\n"), done.stderr
    for words in (
        "num_problems: 7",
        "# First prompt of the policy",
        "# First prompt of the critic",
        "# Estimate for 7",
    ):
        assert words in done.stdout
    assert "[system]" in done.stdout
    assert "calls" in done.stdout
    assert not list(tmp_path.iterdir()), "nothing was written"


def test_a_dry_run_as_json_is_read_by_scripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(scripted(tmp_path, "--dry-run", "--json")) == 0
    preview = json.loads(capsys.readouterr().out)
    assert GenerateSettings.model_validate(preview["config"]).name == "run"
    assert "How much is (2 + 2) * 3" in preview["prompts"]["policy"][-1]["content"]
    low, high = preview["estimate"]["calls"]
    assert 0 < low <= high


def test_keys_lists_every_key_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["generate", "--keys"]) == 0
    listed = capsys.readouterr().out
    for key in (
        "--num-problems",
        "--policy.model",
        "--critic.sampling.temperature",
        "--budgets.max-turns",
        "--seed [0]",
    ):
        assert key in listed
    of_mcts = listed.partition("with protocol.kind mcts:")[2].partition("with protocol.kind")[0]
    assert "    --protocol.rollouts [16]" in of_mcts
    assert "--protocol.beam" not in of_mcts, "each kind lists its own"
    names = re.findall(r"^--([a-z_.-]+)", listed, flags=re.MULTILINE)
    assert len(names) == len(set(names)) > 60


def test_help_is_quick_and_has_an_example() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run_cli(["generate", "--help"])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert "python run.py generate --config configs/countdown.yaml" in done.stdout
    assert after.ru_utime - before.ru_utime < 1.0, "seconds of CPU, so that a busy machine does not matter"
    code = "import run, sys; run._parser(); print({'torch', 'pydantic', 'autogen_core'} & set(sys.modules))"
    assert run_python(code) == "set()\n"


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    ).stdout


def test_a_scripted_run_imports_no_model_library(tmp_path: Path) -> None:
    heavy = {"torch", "transformers", "vllm", "datasets", "sympy", "reasoning_gym", "math_verify"}
    code = f"import run, sys; run.main({scripted(tmp_path, '--json')!r}); print(sorted({heavy!r} & set(sys.modules)))"
    assert run_python(code).endswith("}\n[]\n")


NO_COUNTS = Counts.model_validate(dict.fromkeys(Counts.model_fields, 0))
TURN = Turn(
    id=0,
    parent=None,
    step="So [bold]2 + 2[/] = 5\nand \x1b[2J\x07more",
    verdict=Verdict(move=Move.BACKTRACK),
    policy_cost=Cost(completion_tokens=40),
)
JOURNEY = Journey(
    id="p#0",
    problem=Problem(id="p", question="?", answer="4"),
    protocol="dialogue",
    policy=Voice(persona="a", model="b"),
    turns=(TURN,),
    stop_reason="solved",
    verification=Verification(status="right", given="4", method="text"),
)


def test_on_a_terminal_a_live_view_shows_counts_the_move_and_the_time_left() -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=120, color_system=None, _environ={"TERM": "xterm"})
    counts = NO_COUNTS.model_copy(update={"finished": 1, "wrong": 1})
    with ProgressView(total=3, counts=counts, console=console) as view:
        view.turn("p#0", TURN)
        view.journey(JOURNEY)
        time.sleep(0.3)
    text = written.getvalue()
    for words in ("2/3", "solved 1", "wrong 1", "lucky 0", "exhausted 0", "turns 1", "↶ backtrack"):
        assert words in text, words
    assert "p#0: So [bold]2 + 2[/] = 5 and [2J more" in text, "a step is text: no markup, no control codes"
    assert re.search(r"left \d+:\d\d", text)
    assert re.search(r"[1-9]\d* tokens/s", text)
    assert max(len(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)) for line in text.splitlines()) <= 120


@pytest.mark.parametrize("terminal", [None, "dumb"])
def test_elsewhere_it_is_a_plain_line(capsys: pytest.CaptureFixture[str], terminal: str | None) -> None:
    written = io.StringIO()
    console = Console(
        file=written, width=40, force_terminal=terminal is not None, _environ={"TERM": terminal} if terminal else {}
    )
    with ProgressView(total=3, counts=NO_COUNTS, console=console) as view:
        view.turn("p#0", TURN)
        view.journey(JOURNEY)
        view.note("A note that is longer than the forty columns that this console has.")
    note, line = written.getvalue().splitlines()
    assert note == "A note that is longer than the forty columns that this console has."
    counts = "1/3 journeys · solved 1 · wrong 0 · lucky 0 · exhausted 0 · turns 1"
    assert re.fullmatch(re.escape(counts) + r" · \d+ tokens/s · left \d+:\d\d", line)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("seconds", "told"), [(59.7, "1:00"), (59.4, "0:59"), (179.6, "3:00"), (3661.0, "61:01")])
def test_time_left_never_counts_sixty_seconds(monkeypatch: pytest.MonkeyPatch, seconds: float, told: str) -> None:
    written = io.StringIO()
    with ProgressView(total=2, counts=NO_COUNTS, console=Console(file=written, width=40)) as view:
        view.journey(JOURNEY)
        monkeypatch.setattr(time, "monotonic", lambda began=view._started: began + seconds)
        assert view._left() == told  # one of two is done


def test_doctor_reports_as_a_table_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    code = run.main(["doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)
    assert code == (0 if all(finding["ok"] for finding in findings) else 1)
    assert {"name", "ok", "detail", "remedy"} <= findings[0].keys()
