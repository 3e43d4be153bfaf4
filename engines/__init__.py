"""Prompts in, tokens out. Every engine is an AutoGen `ChatCompletionClient`; `open_engine` picks one by name."""
