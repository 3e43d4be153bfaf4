"""The real embedded model, loaded once for all tests that speak to it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from engines.contract import EngineSettings
from engines.embedded import embedded_folder
from engines.transformers_engine import TransformersEngine


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(embedded_folder())


@pytest.fixture(scope="session")
def small_engine() -> Iterator[TransformersEngine]:
    """The transformers engine on the embedded model; usable from any event loop."""
    engine = TransformersEngine(EngineSettings(engine="transformers", max_batch=8, deadline=120))
    asyncio.run(engine.start())
    yield engine
    asyncio.run(engine.close())
