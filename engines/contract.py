"""What agents and engines agree on: sampling, the request's extra keys, the reply, the engine's settings.

Agents call `engine.create(messages, json_output=Schema | None, extra_create_args={...})` with these keys, all optional:

    temperature, top_p, top_k, min_p, max_tokens, stop     as in `Sampling`
    seed                     int; the same request with the same seed gives the same text on the same engine
    continue_final_message   bool; the last AssistantMessage is unfinished and is continued without a new turn
    logprobs                 bool; fill `Reply.logprobs`
    request_id               str `<persona>/<journey>/<turn>/<try>`; names the call in logs and keys the scripted engine

The stop string itself is never part of `Reply.content`.
"""

from abc import abstractmethod
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal, TypedDict

from autogen_core import CancellationToken
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelCapabilities,
    ModelFamily,
    ModelInfo,
    RequestUsage,
)
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel, Field

from settings import Settings

EngineKind = Literal["auto", "transformers", "vllm", "vllm-server", "openai", "scripted"]


class Sampling(Settings):
    """How tokens are drawn. Shared by all engines; what an engine cannot do it says at start, not silently."""

    temperature: float = Field(0.7, ge=0, le=10)
    top_p: float = Field(0.95, gt=0, le=1)
    top_k: int = Field(0, ge=0)
    """0 keeps all."""
    min_p: float = Field(0.0, ge=0, le=1)
    max_tokens: int = Field(256, ge=1)
    """Tokens a call may generate."""
    stop: tuple[str, ...] = ()
    """Strings that end the text; they are not part of it."""


class SamplingOverride(Settings):
    """Sampling keys that replace the persona's own."""

    temperature: float | None = Field(None, ge=0, le=10)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0)
    min_p: float | None = Field(None, ge=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    stop: tuple[str, ...] | None = None

    def over(self, sampling: Sampling) -> Sampling:
        return sampling.model_copy(update=self.model_dump(exclude_none=True))


class RequestArgs(TypedDict, total=False):
    """The keys of `extra_create_args`, typed."""

    temperature: float
    top_p: float
    top_k: int
    min_p: float
    max_tokens: int
    stop: Sequence[str]
    seed: int
    continue_final_message: bool
    logprobs: bool
    request_id: str


class Reply(CreateResult):
    """A `CreateResult` with what AutoGen has no field for."""

    cached_tokens: int = 0
    """Prompt tokens answered from the prefix cache, where the engine tells."""
    seconds: float = 0.0
    """Wall-clock seconds from request to reply, queueing included."""


class EngineSettings(Settings):
    """Which model speaks, and through what."""

    engine: EngineKind = "auto"
    """`auto` takes openai for a URL, vLLM on a GPU, and transformers elsewhere."""
    model: str = "embedded"
    """`embedded` (SmolLM2-135M-Instruct), a local folder, a hub id, or the URL of an OpenAI-compatible server."""
    served_name: str | None = None
    """The model's name on that server; null takes the first one it lists."""
    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the key, if the server wants one. The key itself is never stored."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """`auto` is bfloat16 where the hardware has it."""
    max_model_len: int | None = Field(None, ge=16)
    """Context window in tokens; null takes the model's own."""
    max_batch: int = Field(64, ge=1)
    """Requests decoded together (transformers) or kept in flight (vLLM, openai)."""
    gpu_memory_utilization: float = Field(0.9, gt=0, le=1)
    """vLLM: the share of GPU memory to take."""
    tensor_parallel_size: int = Field(1, ge=1)
    """vLLM: GPUs that share one copy of the model."""
    enforce_eager: bool = False
    """vLLM: do not compile the model. It starts in half the time and then runs slower: for short runs."""
    request_timeout: float = Field(600.0, gt=0)
    """Seconds one try may take."""
    deadline: float = Field(1800.0, gt=0)
    """Seconds one call may take, retries included."""
    max_retries: int = Field(6, ge=0)
    script: str | None = None
    """engine scripted: a YAML file of replies by request id."""


class Engine(ChatCompletionClient):
    """The part that all engines share; a subclass implements `create` and, where it holds anything, `start`/`close`."""

    component_type = "engine"

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name
        """For records and cards: the folder, hub id or served name."""
        self.faults: Counter[str] = Counter()
        """Errors met by class name, retried ones included; the run report prints them."""
        self._usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
        self.cached_tokens = 0

    async def start(self) -> None:
        """Load what must be loaded; slow. Raises UserError for a model that cannot be opened."""

    async def close(self) -> None:
        """Give everything back; safe to call twice."""

    @abstractmethod
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
        """One completion. Raises EngineError (see engines/errors.py) once retries are spent."""

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The whole text as one chunk: steps are short, and AutoGen's streaming loses usage (reference: autogen.md)."""
        reply = await self.create(messages, **options)
        yield str(reply.content)
        yield reply

    def record(self, reply: Reply) -> Reply:
        """Count a reply's usage; subclasses return through this."""
        self._usage.prompt_tokens += reply.usage.prompt_tokens
        self._usage.completion_tokens += reply.usage.completion_tokens
        self.cached_tokens += reply.cached_tokens
        return reply

    def actual_usage(self) -> RequestUsage:
        return self._usage

    def total_usage(self) -> RequestUsage:
        return self._usage

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """An estimate (4 characters a token) where the engine has no tokenizer at hand."""
        return sum(len(str(message.content)) // 4 + 4 for message in messages)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        return 1_000_000 - self.count_tokens(messages)

    @property
    def capabilities(self) -> ModelCapabilities:
        return self.model_info

    @property
    def model_info(self) -> ModelInfo:
        return ModelInfo(
            vision=False, function_calling=False, json_output=True, family=ModelFamily.UNKNOWN, structured_output=True
        )
