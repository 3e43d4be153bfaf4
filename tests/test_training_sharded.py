# ruff: noqa: F401, F811  (fixtures are imported, and taken as arguments)
"""Weights in shards: the shipped FSDP recipe in two processes gives what one process gives alone."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_training_ppm import rows as ppm_rows
from training_material import one_thread, sums, tiny, write_rows

import run

ROOT = Path(run.__file__).parent
PROCESSES = 2


def launched() -> dict[str, str]:
    """The environment that `accelerate launch` makes of the shipped recipe."""
    from accelerate.commands.launch import (  # type: ignore[import-untyped]
        _validate_launch_command,
        launch_command_parser,
    )
    from accelerate.utils.launch import prepare_multi_gpu_env  # type: ignore[import-untyped]

    recipe = str(ROOT / "configs/accelerate/fsdp.yaml")
    asked = ["--config_file", recipe, "--num_processes", str(PROCESSES), "--main_process_port", "0", "run.py"]
    arguments, *_ = _validate_launch_command(launch_command_parser().parse_args(asked))
    environment = dict(prepare_multi_gpu_env(arguments))
    return environment | {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(arguments.main_process_port),
        "WORLD_SIZE": str(PROCESSES),
        "LOCAL_WORLD_SIZE": str(PROCESSES),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
    }


def run_sharded(trainings: list[list[str]]) -> list[str]:
    """What the processes wrote to standard error, when all of them have ended well."""
    environment = launched()
    started = [
        subprocess.Popen(
            [sys.executable, str(ROOT / "tests/sharded_main.py"), json.dumps(trainings)],
            env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(PROCESSES)
    ]
    try:
        said = [process.communicate(timeout=400)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0] * PROCESSES, said
    return said


def flags(method: str, place: Path, model: Path, name: str, *, batch: int, more: list[str]) -> list[str]:
    keys = {"data": str(place / f"{method}.jsonl"), "model": str(model), "outputs-dir": str(place), "name": name}
    keys |= {"max-steps": "3", "batch": str(batch), "plot": "false", "learning-rate": "1e-2"}
    return ["train", method, *(part for key, value in keys.items() for part in (f"--{key}", value)), *more]


def write_data(place: Path) -> None:
    whole = sums(12)
    worse = [str(row["completion"][0]["content"]).replace("Answer: ", "Answer: 9") for row in whole]
    write_rows(place / "sft.jsonl", whole)
    write_rows(
        place / "dpo.jsonl",
        [
            {
                "prompt": row["prompt"],
                "chosen": row["completion"],
                "rejected": [{"role": "assistant", "content": text}],
            }
            for row, text in zip(whole, worse, strict=True)
        ],
    )
    write_rows(place / "ppm.jsonl", ppm_rows())


def report(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "training.json").read_text())
    return told


@pytest.mark.slow
def test_two_processes_with_shards_come_to_the_weights_of_one(tmp_path: Path, tiny: Path) -> None:
    write_data(tmp_path)
    float32 = ["--precision", "float32"]  # accelerate's recipe says bf16; the training's recipe decides
    methods = {
        "whole": ("sft", [*float32, "--lora", "null"]),
        "lora": ("sft", [*float32, "--lora.r", "4"]),
        "merged": ("ppm", [*float32, "--lora.r", "4", "--merge", "true", "--held-out", "0.2"]),
        "pairs": ("dpo", ["--precision", "bfloat16", "--lora", "null"]),
    }
    said = run_sharded(
        [flags(method, tmp_path, tiny, f"{name}-2", batch=3, more=more) for name, (method, more) in methods.items()]
    )
    assert said[0].count("3/3 steps") == len(methods)
    assert said[1] == "", "the second process is silent"
    for name, (method, more) in methods.items():
        assert run.main(flags(method, tmp_path, tiny, f"{name}-1", batch=6, more=more)) == 0
        two, one = (tmp_path / f"{name}-{count}" for count in (2, 1))
        assert report(two)["processes"] == PROCESSES
        assert report(two)["trained_parameters"] == report(one)["trained_parameters"]
        assert sorted(path.name for path in two.iterdir()) == sorted(path.name for path in one.iterdir())
        (file,) = (path.name for path in one.glob("*.safetensors"))
        shared, alone = load_file(two / file), load_file(one / file)
        assert shared.keys() == alone.keys()
        near = 1e-4 if "float32" in more else 0.05
        for weight in alone:
            torch.testing.assert_close(shared[weight], alone[weight], atol=near, rtol=0)
    history = report(tmp_path / "pairs-2")["history"]
    assert history[0]["rewards/margins"] == 0, "held to the model as it was"
    rounded = [torch.tensor(point["logps/chosen"]).bfloat16().item() for point in history]
    assert rounded != [point["logps/chosen"] for point in history], "sums of log-probabilities keep their digits"
