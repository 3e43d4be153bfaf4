"""A transformers model in this process; all requests in flight share one batch on a worker thread."""

import asyncio
import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from autogen_core import CancellationToken
from autogen_core.models import LLMMessage, RequestUsage
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from engines import batch_attention
from engines.chat import Chat
from engines.checkpoint import context_window, open_model
from engines.contract import Engine, EngineSettings, Reply, Sampling
from engines.errors import EngineDead, EngineError, EngineRefused, EngineTimeout
from engines.request import check_fits, read_wishes
from engines.structured import Grammars
from settings import UserError

logger = logging.getLogger(__name__)
GIB = 1 << 30


class TransformersEngine(Engine):
    """Runs anywhere torch runs. Batches continuously, reads every prompt prefix once (engines/batch_decode.py)."""

    component_config_schema = EngineSettings
    component_provider_override = "engines.transformers_engine.TransformersEngine"

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings.model)
        self.settings = settings
        self._arrivals: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._worker: threading.Thread | None = None
        self._failure: str | None = None

    async def start(self) -> None:
        if self._worker is not None:
            return
        await asyncio.to_thread(self._open)
        self._worker = threading.Thread(target=self._work, name="transformers-engine", daemon=True)
        self._worker.start()

    async def close(self) -> None:
        worker, self._worker = self._worker, None
        if worker is None:
            return
        self._failure = "the engine was closed"
        self._arrivals.put(None)
        await asyncio.to_thread(worker.join)
        del self.batch

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
        from engines.batch_row import Completion, Request

        began = time.perf_counter()
        if tools:
            raise EngineRefused("this engine calls no tools")
        if self._worker is None or self._failure:
            raise EngineDead(self._failure or "the engine was not started; call `await engine.start()` first")
        wishes = read_wishes(extra_create_args)
        ids = self.chat.ids(messages, continue_final_message=wishes.continue_final_message)
        check_fits(len(ids), wishes.sampling, window=self.window)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Completion] = loop.create_future()

        def settle(completion: Completion | EngineError) -> None:
            if answer.done():
                return
            if isinstance(completion, EngineError):
                answer.set_exception(completion)
            else:
                answer.set_result(completion)

        def done(completion: Completion | EngineError) -> None:
            with contextlib.suppress(RuntimeError):  # raised if the caller's loop is gone, and with it whoever waited
                loop.call_soon_threadsafe(settle, completion)

        grammar = self.grammars.matcher(json_output) if json_output else None
        request = Request(ids, wishes.sampling, wishes.seed, done, logprobs=wishes.logprobs, grammar=grammar)
        if cancellation_token is not None:
            cancellation_token.link_future(answer)
        self._arrivals.put(request)
        try:
            async with asyncio.timeout(self.settings.deadline):
                completion = await answer
        except TimeoutError:
            self.faults[EngineTimeout.__name__] += 1
            raise EngineTimeout(f"no answer within {self.settings.deadline:g} s") from None
        except EngineError as error:
            self.faults[type(error).__name__] += 1
            raise
        finally:
            request.cancelled = True  # without effect on a finished request; frees the row of an abandoned one
        return self.record(
            Reply(
                finish_reason=completion.finish_reason,
                content=completion.text,
                usage=RequestUsage(completion.prompt_tokens, completion.completion_tokens),
                cached=False,
                logprobs=completion.logprobs,
                cached_tokens=completion.cached_tokens,
                seconds=time.perf_counter() - began,
            )
        )

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        return len(self.chat.ids(messages))

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        return self.window - self.count_tokens(messages)

    def _open(self) -> None:
        """Load the model, and try it once so that an architecture this engine cannot batch is named now."""
        import torch
        from transformers import AttentionInterface
        from transformers.utils import logging as hf_logging

        from engines.batch_decode import Batch
        from engines.batch_row import Request

        hf_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        AttentionInterface.register(batch_attention.NAME, batch_attention.attend)
        model, tokenizer = open_model(self.settings, attention=batch_attention.NAME)
        self.chat = Chat(tokenizer)
        self.window = context_window(model, self.settings)
        self.grammars = Grammars(tokenizer, model.config.get_text_config().vocab_size)
        row_bytes, cached_bytes = _memory(model.device)
        try:
            self.batch = Batch(
                model, tokenizer, max_rows=self.settings.max_batch, row_bytes=row_bytes, cached_bytes=cached_bytes
            )
            self.batch.add(Request([0, 1], Sampling(temperature=0, max_tokens=2), None, lambda _: None))
            with torch.inference_mode():
                while self.batch.busy:
                    self.batch.step()
        except (
            RuntimeError,
            TypeError,
            ValueError,
            AttributeError,
            NotImplementedError,
            KeyError,
            IndexError,
        ) as error:
            logger.debug("probe failed", exc_info=True)
            raise UserError(
                f"model: {self.settings.model}: {type(model).__name__} cannot be batched by engine transformers "
                f"({str(error).splitlines()[0] if str(error) else type(error).__name__:.120}); use engine: vllm"
            ) from None

    def _work(self) -> None:
        """The worker thread: take what has arrived, give everyone a token, again."""
        import torch

        batch = self.batch
        with torch.inference_mode():
            while True:
                arrived = [self._arrivals.get()] if not batch.busy else []
                while not self._arrivals.empty():
                    arrived.append(self._arrivals.get())
                if None in arrived:
                    for request in [*arrived, *batch.drop_all()]:
                        if request is not None:
                            request.done(EngineDead("the engine was closed"))
                    return
                for request in arrived:
                    batch.add(request)
                try:
                    batch.step()
                except Exception as error:  # whatever it was, nobody may be left waiting
                    logger.exception("engine fault")
                    self._settle_fault(error)

    def _settle_fault(self, error: Exception) -> None:
        fault = EngineError(f"{type(error).__name__}: {error}")
        for request in self.batch.drop_all():
            request.done(fault)


def _memory(device: Any) -> tuple[int, int]:
    """Bytes for running rows and for the prefix cache: half and a quarter of what is free, bounded on a CPU."""
    import torch

    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free // 2, free // 4
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(free // 4, 8 * GIB), min(free // 8, 4 * GIB)
