"""The whole loop by its commands: journeys, SFT, DPO, evaluation, and the tuned model as the policy of the next run.

The first journeys are scripted; everything after them is real: TRL, the checkpoints, the engine, the persona. The model
is tiny and learns its few problems by heart, so that "does it work?" has an answer.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from training_material import TEMPLATES, tiny_model

import run
from journeys.record import Journey
from journeys.store import Store

pytestmark = pytest.mark.slow

PROBLEMS = {"p-0": (3, 4), "p-1": (5, 9), "p-2": (8, 6), "p-3": (7, 2)}
SLIPS = ("p-2", "p-3")
"""Problems whose first line is wrong, so that their journeys have a backtrack."""
PASSES = {"move": "continue", "critique": "", "quote": "", "keep": 0}


def reply_lines() -> dict[str, Any]:
    """What the scripted policy says: first a right attempt, then a wrong one, both after a slip in some problems."""
    said: dict[str, Any] = {"strict/*/*/*": PASSES}
    for name, (left, right) in PROBLEMS.items():
        for attempt, error in enumerate((0, 1)):
            total = left + right + error
            lines = [f"{left} + {right} = {total}", f"Answer: {total}"]
            if name in SLIPS:
                slip = f"{left} + {right} = {left + right + 3}"
                objects = {"move": "backtrack", "critique": "That is off.", "quote": slip, "keep": 0}
                said[f"strict/{name}#{attempt}/0/*"] = objects
                lines = [slip, *lines]
            for turn, line in enumerate(lines):
                said[f"stepwise/{name}#{attempt}/{turn}/*"] = line
    return said


def command(capsys: pytest.CaptureFixture[str], *argv: str) -> Any:
    """A command's JSON, as `python run.py ... --json` prints it."""
    capsys.readouterr()
    code = run.main([*argv, "--json"])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return json.loads(printed.out)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chain")
    rows = [
        {"id": name, "question": f"What is {left} + {right}?", "answer": str(left + right)}
        for name, (left, right) in PROBLEMS.items()
    ]
    (folder / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "script.yaml").write_text(yaml.safe_dump({"replies": reply_lines()}))
    return folder


@pytest.fixture(scope="module")
def generated(place: Path) -> Path:
    """The data: configs/gsm8k.yaml on the four problems, both roles scripted."""
    argv = ["generate", "--config", "configs/gsm8k.yaml", "--runs-dir", str(place / "runs"), "--name", "first"]
    argv += ["--problems.source", "file", "--problems.path", str(place / "problems.jsonl"), "--num-problems", "4"]
    argv += [
        "--problems.config-name",
        "null",
        "--policy.engine",
        "scripted",
        "--policy.script",
        str(place / "script.yaml"),
    ]
    argv += ["--journeys-per-problem", "2"]
    assert run.main(argv) == 0
    return place / "runs" / "first"


@pytest.fixture(scope="module")
def tiny(place: Path, generated: Path) -> Path:
    """A random model with a vocabulary of a few hundred tokens, so that a step of training takes milliseconds."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    texts = (generated / "exports" / "journey_sft.jsonl").read_text().splitlines()
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    special, letters = ["<|im_start|>", "<|im_end|>"], pre_tokenizers.ByteLevel.alphabet()
    learning = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=letters)
    backend.train_from_iterator(texts, learning)
    names = {"bos_token": special[0], "eos_token": special[1], "pad_token": special[1]}
    tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=backend, chat_template=TEMPLATES["chatml"], **names)  # type: ignore[no-untyped-call]
    return tiny_model(place / "tiny", tokenizer=tokenizer)


@pytest.fixture(scope="module")
def trained(place: Path, generated: Path, tiny: Path) -> Callable[[str], Path]:
    """The models: SFT and DPO on all weights, and DPO as an adapter on that SFT; each made when first asked for."""
    sizes = ("--batch", "4", "--precision", "float32", "--outputs-dir", str(place / "outputs"))
    sft = ("train", "sft", "--data", str(generated), "--model", str(tiny), "--max-steps", "150", *sizes)
    dpo = ("train", "dpo", "--config", "configs/dpo.yaml", "--data", str(generated), "--max-steps", "6", *sizes)
    tuned = ("--model", str(place / "outputs" / "sft"), "--learning-rate", "1e-4")
    recipes = {
        "sft": (*sft, "--lora", "null", "--learning-rate", "1e-2"),
        "dpo": (*dpo, *tuned, "--lora", "null"),
        "adapter": (*dpo, *tuned),
    }

    def folder(name: str) -> Path:
        if name != "sft":
            folder("sft")
        if not (place / "outputs" / name).is_dir():
            assert run.main([*recipes[name], "--name", name]) == 0
        return place / "outputs" / name

    return folder


def test_the_scripted_journeys_teach_right_and_wrong_slips_and_repairs(generated: Path) -> None:
    summary = json.loads((generated / "summary.json").read_text())
    assert summary["accepted"] == 4
    assert summary["accepted_with_error_removed"] == 2
    pairs = [json.loads(line) for line in (generated / "exports" / "preferences.jsonl").read_text().splitlines()]
    assert {pair["kind"] for pair in pairs} == {"outcome", "step"}


@pytest.mark.parametrize(("model", "weights"), [("dpo", "model.safetensors"), ("adapter", "adapter_model.safetensors")])
def test_a_tuned_folder_is_the_policy_of_the_next_run(
    model: str, weights: str, place: Path, trained: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained(model)
    assert (folder / weights).is_file()
    summary = command(
        capsys,
        *("generate", "--config", "configs/embedded.yaml", "--runs-dir", str(place / "runs")),
        *("--name", f"with-{model}", "--num-problems", "4"),
        *("--problems.source", "file", "--problems.path", str(place / "problems.jsonl")),
        *("--policy.model", str(folder), "--policy.persona", "auto", "--policy.sampling.temperature", "0"),
        *("--policy.dtype", "float32"),
    )  # fmt: skip
    with Store(place / "runs" / f"with-{model}" / "journeys.db", read_only=True) as store:
        journeys = list(store.journeys())
    assert summary["engine_error"] == 0
    assert {journey.policy.persona for journey in journeys} == {"tuned"}, "asked as its folder says"
    assert {journey.policy.model for journey in journeys} == {str(folder)}
    assert {journey.problem.id for journey in journeys if journey.solved} >= PROBLEMS.keys() - {*SLIPS}
    assert summary["accepted"] > 0, "the loop is closed: the tuned policy's journeys are data again"
    assert any(_took_back_its_slip(journey) for journey in journeys), (
        "it learnt the wrong lines too: they are met again"
    )


def test_the_evaluation_grades_what_was_learnt_and_writes_it_on_the_card(
    place: Path,
    trained: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
    tiny: Path,
) -> None:
    models = [trained("sft"), trained("dpo"), trained("adapter")]
    result = command(
        capsys,
        *("evaluate", "--config", "configs/evaluate.yaml", "--problems", str(place / "problems.jsonl")),
        *("--model", str(tiny), *(word for folder in models for word in ("--model", str(folder)))),
        *("--num-problems", "4", "--outputs-dir", str(place / "outputs"), "--name", "compared"),
        *("--engine.dtype", "float32", "--sampling.max-tokens", "96", "--resamples", "200"),
    )  # fmt: skip
    right = {one["model"]: one["scores"]["right"] for one in result["models"]}
    assert right == {str(tiny): 0} | {str(folder): len(PROBLEMS) for folder in models}
    changed = {one["model"]: one["scores"]["reflection"]["calculations"]["repaired"] for one in result["models"]}
    assert changed[str(models[0])] == len(SLIPS), "the slips of the journeys are said again, and mended again"
    assert "compared" in (models[0] / "README.md").read_text()


def _took_back_its_slip(journey: Journey) -> bool:
    return journey.problem.id in SLIPS and journey.turns[0].removes
