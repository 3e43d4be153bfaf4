"""What the recipes of all experiments have in common: where things go, the model that everything starts from, luck."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from settings import Settings

STEPWISE = Path("models/stepwise")
"""The embedded model after its cold start, where the clone has it."""


class OnOneModel(Settings):
    """Keys of an experiment on one model."""

    name: str
    """The folder in outputs_dir."""
    outputs_dir: str = "outputs/experiments"
    page: str | None = None
    """Where to put the page and its pictures besides the experiment's own folder; null puts them nowhere else."""
    base: str = "auto"
    """The model that everything starts from; `auto` is models/stepwise if it is there, else `embedded`."""
    seeds: tuple[int, ...] = (1, 2, 3)
    """Each arm is made once for each."""
    draw: int = 4_242_001
    """Chooses the problems; far from every seed in the shipped recipes."""
    engine: Literal["auto", "transformers", "vllm"] = "transformers"
    """Of every stage. Many small models are asked in turn: what starts at once beats what is fastest once started."""
    max_batch: int = Field(64, ge=1)
    """Rows that the engine decodes together."""
    jobs: int = Field(1, ge=1)
    """Stages at once, each with its share of the cores. Where a GPU would be idle in between, and on a CPU: two small
    models trained with one thread each do 1.4 times, and asked 2 times, what one does with two threads."""
    resamples: int = Field(5000, ge=100)
    """Bootstrap resamples of problems."""

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds or len(set(seeds)) < len(seeds):
            raise ValueError("name at least one seed, and each once")
        return seeds

    @property
    def folder(self) -> Path:
        return Path(self.outputs_dir) / self.name

    @property
    def base_model(self) -> str:
        """The base as commands take it."""
        if self.base != "auto":
            return self.base
        return str(STEPWISE) if (STEPWISE / "persona.yaml").is_file() else "embedded"

    @property
    def base_persona(self) -> str:
        """The voice of the base in `generate`: its own folder's, or the one written for the model as it comes."""
        return "auto" if (Path(self.base_model) / "persona.yaml").is_file() else "arithmetic"

    def publish(self, files: Iterable[Path]) -> None:
        """Copy a page and its pictures to where the recipe says."""
        if not self.page:
            return
        there = Path(self.page)
        there.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copyfile(file, there / file.name)

    def engine_keys(self) -> dict[str, Any]:
        return {"engine": self.engine, "max_batch": self.max_batch}
