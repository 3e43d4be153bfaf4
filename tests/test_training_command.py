# ruff: noqa: F401, F811  (fixtures are imported, and taken as arguments)
"""`python run.py train sft` as a user meets it: real processes, killed and stopped and started again."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from safetensors.torch import load_file
from training_material import one_thread, sums, tiny, write_rows

import run

ROOT = Path(run.__file__).parent
COMMAND = [sys.executable, str(ROOT / "run.py"), "train", "sft"]


def flags(place: Path, model: Path, *more: str, name: str = "tuned", steps: int = 120) -> list[str]:
    data = write_rows(place / "rows.jsonl", sums(12))
    keys = {"data": data, "model": str(model), "outputs-dir": str(place), "name": name, "max-steps": str(steps)}
    keys |= {"save-steps": "10", "batch": "3", "precision": "float32", "lora.r": "4"}
    return [*(part for key, value in keys.items() for part in (f"--{key}", value)), *more]


def start(arguments: Sequence[str]) -> "subprocess.Popen[str]":
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    )


def wait_for_a_checkpoint(folder: Path, process: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + 120
    while not list(folder.glob("checkpoint-*/trainer_state.json")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.slow
def test_a_training_that_is_killed_comes_to_the_same_weights(tmp_path: Path, tiny: Path) -> None:
    arguments = flags(tmp_path, tiny)
    first = start(arguments)
    wait_for_a_checkpoint(tmp_path / "tuned", first)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    (tmp_path / "tuned" / "checkpoint-99999").mkdir()  # as if killed while it wrote one
    assert not json.loads((tmp_path / "tuned" / "training.json").read_text())["finished"]
    again = start(arguments)
    _, errors = again.communicate(timeout=200)
    assert again.returncode == 0, errors
    assert "going on from step" in errors
    assert run.main(["train", "sft", *flags(tmp_path, tiny, "--save-steps", "1000", name="whole")]) == 0
    killed, whole = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("tuned", "whole"))
    assert killed.keys() == whole.keys()
    assert all(bool((killed[name] == whole[name]).all()) for name in whole), "the same to the bit"
    reports = [json.loads((tmp_path / name / "training.json").read_text()) for name in ("tuned", "whole")]
    losses = [[(point["step"], point["loss"], point["tokens"]) for point in report["history"]] for report in reports]
    assert losses[0] == losses[1], "the history has no gap and no step twice"
    assert not list((tmp_path / "tuned").glob("checkpoint-*"))


def test_ctrl_c_keeps_what_was_learnt(tmp_path: Path, tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "tuned"

    def press() -> None:
        while not list(folder.glob("checkpoint-*/trainer_state.json")):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    assert run.main(["train", "sft", *flags(tmp_path, tiny, steps=100000)]) == 130
    output, errors = capfd.readouterr()
    assert errors.splitlines()[-1] == "retrace: stopped; run the same command to go on where it was"
    assert output == ""
    (kept,) = folder.glob("checkpoint-*")
    state = json.loads((kept / "trainer_state.json").read_text())
    assert state["global_step"] == state["log_history"][-1]["step"] < 100000
    assert not (folder / "adapter_model.safetensors").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "ours no longer"


def test_the_result_is_a_table_or_json_and_nothing_else(
    tmp_path: Path, tiny: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = flags(tmp_path, tiny, steps=2)
    assert run.main(["train", "sft", *arguments]) == 0
    table, errors = capfd.readouterr()
    for words in ("rows", "12", "tokens a row", "loss", "tokens/s", "peak memory", "GiB", "tuned/"):
        assert words in table, words
    assert errors.splitlines()[-1].startswith("2/2 steps · loss ")
    opening, *others = errors.splitlines()
    assert re.fullmatch(
        r"12 rows of \d+ to \d+ tokens, 2 steps; <think> is plain text, \d tokens; </think> is plain text, \d tokens; "
        r"stops with <\|im_end\|>",
        opening,
    )
    assert not [line for line in others if "steps · loss" not in line], "no chatter of libraries"
    assert run.main(["train", "sft", *arguments, "--json"]) == 0
    output, errors = capfd.readouterr()
    report = json.loads(output)
    assert report["folder"] == str(tmp_path / "tuned")
    assert len(report["history"]) == report["steps"] == 2
    assert errors == "", "done before: nothing was trained again"
    assert (tmp_path / "tuned" / "training.png").read_bytes().startswith(b"\x89PNG")
    assert list((tmp_path / "tuned" / "logs").glob("events.out.tfevents.*"))


def test_a_dry_run_shows_what_is_learnt_and_writes_nothing(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["train", "sft", *flags(tmp_path, tiny, "--dry-run")]) == 0
    told = capsys.readouterr().out
    assert "<|im_start|>assistant\n»<think>\n11 + 4 = 15\n</think>\n\nAnswer: 15<|im_end|>«" in told
    assert "name: tuned" in told
    assert "120 steps, 4 an epoch" in told
    assert run.main(["train", "sft", *flags(tmp_path, tiny, "--dry-run", "--json")]) == 0
    preview = json.loads(capsys.readouterr().out)
    assert preview["facts"]["rows"] == 12
    assert not (tmp_path / "tuned").exists()


def test_mistakes_are_one_line_and_code_2(tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong, says in (
        (["--epoch", "3"], "command line: epoch: unknown key; did you mean 'epochs'?"),
        (["--lora", "null", "--merge", "true"], "merge: true is for LoRA"),
        (["--max-tokens", "9"], "max_steps and max_tokens both say when to stop"),
        (["--learn", "standing", "--trim", "fcs"], "learn: standing knows where steps stand in whole thoughts only"),
        (["--max-length", "20"], "rows.jsonl: row 1: this row is "),
    ):
        assert run.main(["train", "sft", *flags(tmp_path, tiny), *wrong]) == 2
        errors = capsys.readouterr().err.splitlines()
        assert len(errors) == 1
        assert says in errors[0]
    assert run.main(["train", "ppo"]) == 2
    assert "invalid choice: 'ppo'" in capsys.readouterr().err


def test_every_key_is_listed_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    for method in ("sft", "dpo"):
        assert run.main(["train", method, "--keys"]) == 0
        told = capsys.readouterr().out
        assert '--model ["embedded"]' in told
        assert "--max-length [4096]" in told
