"""What tests of training share: tiny models and tokenizers with the templates of four families, and rows."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

TEMPLATES = {
    "chatml": (
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    "llama": (
        "{{ '<|begin_of_text|>' }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n'"
        " + m['content'] | trim + '<|eot_id|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
    ),
    "gemma": (
        "{{ '<bos>' }}{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system role') }}"
        "{% endif %}{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else 'user') + '\n' }}"
        "{{ m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
    ),
    "mistral": (
        "{{ '<s>' }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
        "{% elif m['role'] == 'system' %}{{ raise_exception('no system role') }}"
        "{% else %}{{ m['content'] + '</s>' }}{% endif %}{% endfor %}"
    ),
}
STOPS = {"chatml": "<|im_end|>", "llama": "<|eot_id|>", "gemma": "<end_of_turn>", "mistral": "</s>"}
SPECIAL = {
    "chatml": ["<|im_start|>", "<|im_end|>"],
    "llama": ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    "gemma": ["<bos>", "<start_of_turn>", "<end_of_turn>"],
    "mistral": ["<s>", "</s>", "[INST]", "[/INST]"],
}
LLAMA_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Llama 3 cuts a text into words. Its template ends in two newlines, which GPT-2's way would join or not,
depending on what follows."""


def tokenizer_of(family: str, *, special: Sequence[str] = (), plain: Sequence[str] = ()) -> Any:
    """A small byte-level tokenizer with a family's template, control tokens and way of cutting words.

    `special` and `plain` are further added tokens; decoding leaves the special ones out.
    """
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
    from tokenizers.decoders import ByteLevel
    from transformers import AddedToken, PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.decoder = ByteLevel()
    if family == "llama":
        inner.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(LLAMA_SPLIT), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    else:
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    inner.train_from_iterator(["<think>\nWait, that was wrong. What is 2 + 2?\n</think>\n\nAnswer: 4"] * 3, trainer)
    tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|endoftext|>", pad_token="<|pad|>")  # type: ignore[no-untyped-call]
    tokenizer.chat_template = TEMPLATES[family]
    tokenizer.add_tokens([AddedToken(text, special=True) for text in (*SPECIAL[family], *special)])
    tokenizer.add_tokens([AddedToken(text, special=False) for text in plain])
    return tokenizer


def tiny_model(folder: Path, *, tokenizer: Any = None, seed: int = 0) -> Path:
    """A whole model folder: two layers, 32 wide, random weights, float32."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tokenizer or tokenizer_of("chatml")
    torch.manual_seed(seed)
    model: Any = LlamaForCausalLM(  # type: ignore[no-untyped-call]
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            initializer_range=0.1,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small gain nothing from a second thread, and lose much where another process wants the core."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def sums(count: int, *, tags: tuple[str, str] = ("<think>\n", "\n</think>\n\n")) -> list[dict[str, Any]]:
    """Rows as a run exports them."""
    return [
        {
            "prompt": [{"role": "user", "content": f"What is {n} + {n % 7}?"}],
            "completion": [
                {"role": "assistant", "content": f"{tags[0]}{n} + {n % 7} = {n + n % 7}{tags[1]}Answer: {n + n % 7}"}
            ],
            "answer": str(n + n % 7),
        }
        for n in range(11, 11 + count)
    ]


def write_rows(file: Path, rows: Sequence[Any]) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(file)
