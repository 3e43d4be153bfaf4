"""The extra keys of a call, read once into typed values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from engines.contract import Sampling
from engines.errors import EngineRefused, PromptTooLong


@dataclass(frozen=True)
class Wishes:
    """What a caller asks of one completion."""

    sampling: Sampling
    seed: int | None
    continue_final_message: bool
    logprobs: bool
    request_id: str


def read_wishes(extra: Mapping[str, Any]) -> Wishes:
    """`extra_create_args` as `Wishes`. Raises EngineRefused for a key or value that does not exist."""
    args = dict(extra)
    seed = args.pop("seed", None)
    continued = bool(args.pop("continue_final_message", False))
    logprobs = bool(args.pop("logprobs", False))
    request_id = str(args.pop("request_id", ""))
    stop = args.pop("stop", None) or ()
    try:
        sampling = Sampling.model_validate({**args, "stop": (stop,) if isinstance(stop, str) else tuple(stop)})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise EngineRefused(f"extra_create_args: {name}: {first['msg'].lower()}") from None
    return Wishes(sampling, None if seed is None else int(seed), continued, logprobs, request_id)


def check_fits(prompt_tokens: int, sampling: Sampling, *, window: int) -> None:
    """Raises PromptTooLong where prompt and completion do not fit the model's window."""
    if prompt_tokens + sampling.max_tokens > window:
        raise PromptTooLong(
            f"{prompt_tokens} prompt tokens and max_tokens={sampling.max_tokens} exceed the window of {window} tokens"
        )
