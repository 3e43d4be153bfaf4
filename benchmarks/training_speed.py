"""What `train sft` costs against a bare TRL script: tokens a second on the same rows, one after the other in one run.

    python benchmarks/training_speed.py                                        # CPU size: the embedded model, LoRA
    python benchmarks/training_speed.py --model MODEL --rows 2000 --batch 16   # a GPU

Both get the same model, rows, adapter, batch, precision and number of passes; padding does not count as tokens. The
bare script is what TRL's own documentation shows: an SFTTrainer on prompt and completion. `train sft` is measured as a
user runs it (history, TensorBoard, final checkpoint), first with rows in random order as TRL has them, then as it
comes, with rows of like length together, then packed. Every variant runs in each round, and its best round counts.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from engines.checkpoint import resolve
from settings.files import write_text
from training.command import train
from training.rows import read_sft
from training.sft_settings import SFTSettings
from training.stage import quiet, trl_arguments
from training.start import adapter_shape, precision_of


def make_rows(file: Path, *, count: int) -> None:
    """Sums of two to twelve terms with a line for each: thoughts of very different length, as journeys are."""
    draw = random.Random(7)
    lines = []
    for _ in range(count):
        terms = [draw.randint(1, 99) for _ in range(draw.choice((2, 2, 3, 3, 4, 6, 8, 12)))]
        steps, total = [], terms[0]
        for term in terms[1:]:
            steps.append(f"{total} + {term} = {total + term}")
            total += term
        thought = "\n".join(steps)
        row = {
            "prompt": [{"role": "user", "content": f"What is {' + '.join(map(str, terms))}?"}],
            "completion": [{"role": "assistant", "content": f"<think>\n{thought}\n</think>\n\nAnswer: {total}"}],
        }
        lines.append(json.dumps(row))
    write_text(file, "\n".join(lines) + "\n")


def bare(settings: SFTSettings, folder: Path) -> float:
    """Tokens a second of a plain SFTTrainer with these settings."""
    import torch
    from datasets import Dataset  # type: ignore[import-untyped]
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    class Clock(TrainerCallback):
        seconds = 0.0

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.monotonic()

        def on_train_end(self, *_: Any, **__: Any) -> None:
            self.seconds = time.monotonic() - self.began

    place = resolve(settings.model)
    rows = read_sft(settings.data, data_kind="journey")
    steps = -(-len(rows) // settings.batch)
    data = Dataset.from_list(
        [
            {
                "prompt": [{"role": message.role, "content": message.content} for message in row.prompt],
                "completion": [{"role": "assistant", "content": row.completion}],
            }
            for row in rows
        ]
    )
    clock = Clock()
    assert settings.lora is not None
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(place, dtype=getattr(torch, precision_of(settings))),
        args=SFTConfig(
            **trl_arguments(settings, folder=folder, steps=steps), max_length=settings.max_length, pad_to_multiple_of=32
        ),
        train_dataset=data,
        processing_class=AutoTokenizer.from_pretrained(place),
        peft_config=adapter_shape(settings.lora),
        callbacks=[clock],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return float(trainer.state.num_input_tokens_seen / clock.seconds)


def ours(settings: SFTSettings) -> float:
    """Tokens a second of `train sft`."""
    report = train(settings).report
    return float(report["tokens"] / report["seconds"])


def measure(options: argparse.Namespace, place: Path) -> dict[str, list[float]]:
    """Tokens a second of every variant, round by round."""
    data = place / "rows.jsonl"
    make_rows(data, count=options.rows)
    common: dict[str, Any] = {"data": str(data), "model": options.model, "epochs": 1, "batch": options.batch}
    common |= {"outputs_dir": str(place), "max_length": 512, "save_steps": 100_000, "plot": False}
    packs = max(1, options.batch // 4)  # about as many tokens a step
    variants: dict[str, dict[str, Any]] = {
        "train sft, rows in random order": {"group_by_length": False},
        "train sft, as it comes": {},
        "train sft, packing": {"packing": True, "batch": packs},
    }
    speeds: dict[str, list[float]] = {"bare TRL script": [], **{name: [] for name in variants}}
    for number in range(options.rounds):
        with quiet(verbose=False):
            speeds["bare TRL script"].append(bare(SFTSettings(**common), place / f"bare-{number}"))
        for name, keys in variants.items():
            folder = f"{number}-{list(variants).index(name)}"
            speeds[name].append(ours(SFTSettings(**(common | keys | {"name": folder}))))
    return speeds


def print_table(speeds: Mapping[str, Sequence[float]], *, title: str) -> None:
    """The best round of each variant, and its ratio to the bare script's."""
    table = Table(title=title, title_justify="left")
    for column in ("", "tokens/s", "ratio", "all rounds"):
        table.add_column(column, justify="left" if not column else "right")
    reference = max(speeds["bare TRL script"])
    for name, rounds in speeds.items():
        best = max(rounds)
        table.add_row(name, f"{best:,.0f}", f"{best / reference:.2f}", ", ".join(f"{speed:,.0f}" for speed in rounds))
    Console(width=110).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        speeds = measure(options, Path(place))
    print_table(speeds, title=f"{options.rows} rows, batch {options.batch}, LoRA on {options.model}")


if __name__ == "__main__":
    main()
