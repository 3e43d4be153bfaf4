"""What can go wrong between a prompt and its tokens.

    EngineError              recorded on the journey when retries are spent
      EngineBusy             429, queue full                       retried
      EngineUnavailable      refused or closed socket, 5xx         retried
      EngineTimeout          no answer within the request limit    retried
      MalformedReply         truncated or non-JSON body            retried
      EngineRefused          4xx: the request itself is at fault   not retried
        PromptTooLong        prompt + max_tokens exceed the window not retried
      EngineDead             the server's process has gone         restarted once, then recorded

`finish_reason="length"` and empty content are outcomes of a call, not errors.
"""


class EngineError(Exception):
    """A fault of the engine. The message never carries request headers or keys."""


class EngineBusy(EngineError):
    """The engine asks to be called again later. `retry_after` is in seconds, None where the server did not say."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class EngineUnavailable(EngineError):
    """Nobody answered, the connection broke, or the server reported a fault of its own."""


class EngineTimeout(EngineError):
    """No complete answer within the request's time limit."""


class MalformedReply(EngineError):
    """An answer arrived that is not what the protocol promises."""


class EngineRefused(EngineError):
    """The engine will never accept this request."""


class PromptTooLong(EngineRefused):
    """Prompt and completion do not fit the model's context window."""


class EngineDead(EngineError):
    """The engine cannot answer any request any more."""
