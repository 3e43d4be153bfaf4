"""TRL reads the exported sets as what they are."""

from pathlib import Path

import pytest
from export_material import exported
from journey_material import PROBLEM, failed, mended
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from trl.data_utils import apply_chat_template, is_conversational


@pytest.fixture(scope="module")
def chatml() -> PreTrainedTokenizerFast:
    """A small tokenizer with ChatML's template, as SmolLM2 and Qwen have it."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, eos_token="<|im_end|>"
    )
    fast.chat_template = (
        "{% for message in messages %}"
        "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    return fast


def test_trl_takes_the_pairs_as_preference_data(tmp_path: Path, chatml: PreTrainedTokenizerFast) -> None:
    _, rows = exported(tmp_path, [mended(), failed()])
    assert {row["kind"] for row in rows["preferences"]} == {"outcome", "step"}
    for row in rows["preferences"]:
        example = {name: row[name] for name in ("prompt", "chosen", "rejected")}
        assert is_conversational(example)
        assert set(apply_chat_template(example, chatml)) == {"prompt", "chosen", "rejected"}
        begun = apply_chat_template({"prompt": row["prompt"]}, chatml)["prompt"]
        if row["kind"] == "step":  # the unfinished message stays open, and a completion continues it
            assert begun.endswith(row["prompt"][-1]["content"])
            assert row["chosen"][0]["content"][0] == " "
        else:
            assert begun.endswith("<|im_start|>assistant\n")


def test_trl_takes_the_thoughts_as_prompt_completion_data(tmp_path: Path, chatml: PreTrainedTokenizerFast) -> None:
    _, rows = exported(tmp_path, [mended()])
    example = {name: rows["journey_sft"][0][name] for name in ("prompt", "completion")}
    rendered = apply_chat_template(example, chatml)
    assert rendered["prompt"] == f"<|im_start|>user\n{PROBLEM.question}<|im_end|>\n<|im_start|>assistant\n"
    assert rendered["completion"] == rows["journey_sft"][0]["completion"][0]["content"] + "<|im_end|>\n"
