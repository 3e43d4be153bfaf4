"""vLLM in this process: its asynchronous engine behind our contract."""

import asyncio
import itertools
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from autogen_core import CancellationToken
from autogen_core.models import ChatCompletionTokenLogprob, FinishReasons, LLMMessage, RequestUsage, TopLogprob
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from engines.chat import Chat
from engines.checkpoint import adapter_base, resolve
from engines.contract import Engine, EngineSettings, Reply
from engines.draw import TOP_LOGPROBS
from engines.errors import EngineDead, EngineError, EngineRefused, EngineTimeout
from engines.request import Wishes, check_fits, read_wishes
from engines.structured import json_schema
from engines.vllm_command import CPU_OPTIONS, adapter_rank
from settings import UserError

CPU_CACHE_GIB = "4"
FINISHES: dict[str, FinishReasons] = {"stop": "stop", "length": "length"}


class VLLMEngine(Engine):
    """Prefix caching, LoRA adapter folders, structured output, per-request seeds; starting takes a minute or two."""

    component_config_schema = EngineSettings
    component_provider_override = "engines.vllm_engine.VLLMEngine"

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings.model)
        self.settings = settings
        self.engine: Any = None
        """The raw `AsyncLLM`, once started."""
        self._lora: Any = None
        self._numbers = itertools.count()

    async def start(self) -> None:
        """Load the model. Raises UserError for a model vLLM cannot serve."""
        if self.engine is not None:
            return
        # Set before vLLM is imported: it reads them then, and its engine process inherits them.
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", CPU_CACHE_GIB)
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        name = await asyncio.to_thread(resolve, self.settings.model)
        base = adapter_base(name)
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.lora.request import LoRARequest
        from vllm.platforms import current_platform
        from vllm.v1.engine.async_llm import AsyncLLM

        logging.getLogger("vllm").setLevel(os.environ["VLLM_LOGGING_LEVEL"])
        arguments: dict[str, Any] = {
            "model": base or name,
            "dtype": self.settings.dtype,
            "max_model_len": self.settings.max_model_len,
            "max_num_seqs": self.settings.max_batch,
            "gpu_memory_utilization": self.settings.gpu_memory_utilization,
            "tensor_parallel_size": self.settings.tensor_parallel_size,
            "enable_prefix_caching": True,
            "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
            "generation_config": "vllm",  # sampling is ours alone; the checkpoint's own defaults would mix in
            "trust_remote_code": False,
            "enforce_eager": self.settings.enforce_eager,
            "disable_log_stats": True,
        }
        if current_platform.is_cpu():
            arguments |= CPU_OPTIONS
        if base:
            arguments |= {"enable_lora": True, "max_lora_rank": adapter_rank(Path(name))}
            self._lora = LoRARequest("adapter", 1, name)
        try:
            self.engine = AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))
            tokenizer = self.engine.get_tokenizer()
            self.chat = Chat(await tokenizer if asyncio.iscoroutine(tokenizer) else tokenizer)
        except UserError:
            await self.close()
            raise
        except Exception as error:  # vLLM raises whatever its workers met; the first line says what
            await self.close()
            line = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(f"model: {self.settings.model}: vLLM cannot serve it: {line:.300}") from None
        self.window: int = self.engine.model_config.max_model_len

    async def close(self) -> None:
        engine, self.engine = self.engine, None
        if engine is None:
            return
        if handler := getattr(engine, "output_handler", None):
            # It would take the end of the engine's process for a crash, and say so at length.
            handler.cancel()
            await asyncio.wait([handler])
        await asyncio.to_thread(engine.shutdown)

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> Reply:
        began = time.perf_counter()
        if tools:
            raise EngineRefused("this engine calls no tools")
        if self.engine is None:
            raise EngineDead("the engine is not running; call `await engine.start()` first")
        wishes = read_wishes(extra_create_args)
        ids = self.chat.ids(messages, continue_final_message=wishes.continue_final_message)
        check_fits(len(ids), wishes.sampling, window=self.window)
        answer = asyncio.ensure_future(self._generate(ids, self._params(wishes, json_output)))
        if cancellation_token is not None:
            cancellation_token.link_future(answer)
        try:
            async with asyncio.timeout(self.settings.deadline):
                output = await answer
        except TimeoutError:
            self.faults[EngineTimeout.__name__] += 1
            raise EngineTimeout(f"no answer within {self.settings.deadline:g} s") from None
        except EngineError as error:
            self.faults[type(error).__name__] += 1
            raise
        finally:
            answer.cancel()  # without effect once it is done; otherwise vLLM drops the request
        text = output.outputs[0]
        return self.record(
            Reply(
                finish_reason=FINISHES.get(text.finish_reason, "unknown"),
                content=text.text,
                usage=RequestUsage(len(ids), len(text.token_ids)),
                cached=False,
                logprobs=_logprobs(text) if wishes.logprobs else None,
                cached_tokens=output.num_cached_tokens or 0,
                seconds=time.perf_counter() - began,
            )
        )

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        return len(self.chat.ids(messages))

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        return self.window - self.count_tokens(messages)

    async def _generate(self, ids: list[int], params: Any) -> Any:
        """The finished output of one request; cancelling this aborts it in the engine."""
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        output: Any = None
        try:
            name = f"retrace-{next(self._numbers)}"
            async for part in self.engine.generate({"prompt_token_ids": ids}, params, name, lora_request=self._lora):
                output = part
        except EngineDeadError:
            raise EngineDead("vLLM's engine process has died") from None
        except EngineGenerateError as error:
            raise EngineError(f"vLLM: {error}") from None
        except ValueError as error:
            raise EngineRefused(f"vLLM refuses the request: {error}") from None
        return output

    def _params(self, wishes: Wishes, json_output: bool | type[BaseModel] | None) -> Any:
        from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

        structured = None
        if isinstance(json_output, type):
            structured = StructuredOutputsParams(json=json_schema(json_output))
        elif json_output:
            structured = StructuredOutputsParams(json_object=True)
        sampling = wishes.sampling
        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            max_tokens=sampling.max_tokens,
            stop=list(sampling.stop),
            seed=wishes.seed,
            logprobs=TOP_LOGPROBS if wishes.logprobs else None,
            structured_outputs=structured,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )


def _logprobs(text: Any) -> list[ChatCompletionTokenLogprob]:
    """vLLM's logprobs in AutoGen's shape."""
    made = []
    for token, known in zip(text.token_ids, text.logprobs or [], strict=False):
        chosen = known[token]
        word = chosen.decoded_token or ""
        likeliest = sorted(known.values(), key=lambda one: one.logprob, reverse=True)[:TOP_LOGPROBS]
        made.append(
            ChatCompletionTokenLogprob(
                token=word,
                logprob=chosen.logprob,
                bytes=list(word.encode()),
                top_logprobs=[
                    TopLogprob(logprob=one.logprob, bytes=list((one.decoded_token or "").encode())) for one in likeliest
                ],
            )
        )
    return made
