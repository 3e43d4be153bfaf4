"""Does a model learn more from whole journeys than from their shortcuts?  `make experiment`, or

    python -m experiments.journey_vs_shortcut --size cpu     # smoke, cpu, gpu; without --size a GPU decides

One base model makes journeys under a critic. What it was accepted for is told twice: as the whole journey, wrong turns
and repairs included, and as its shortcut, the standing path alone. Both teach the same base, at equal optimiser steps
and at equal learnt tokens; DPO follows on the journey model, repaired and plain. All are asked held-out problems of the
families they were taught and of others; then the best one by validation takes the base's place as the policy.

Every stage is a command of run.py and leaves a folder; what is there already is not made again.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from experiments.arms import BASE, Arm, label
from experiments.command import command
from experiments.page import write_page
from experiments.problem_sets import ProblemSets, asked
from experiments.results import Results, read_results, results_table
from experiments.rows import KINDS, read_rows, write_rows
from experiments.settings import ExperimentSettings
from experiments.stages import Stages
from problems.sources import TaskSettings
from settings import UserError, read_yaml

SIZES = Path(__file__).parent.parent / "configs" / "experiments"
PERSONAS = Path(__file__).parent.parent / "configs" / "personas" / "policy"
HELD_OUT = ("trained", "untrained")
MODES = ("greedy", "sampled")


@dataclass(frozen=True)
class Experiment:
    """One run of the whole, at one size."""

    settings: ExperimentSettings
    stages: Stages
    problems: ProblemSets
    command: str
    """What makes it again, for the page."""

    @classmethod
    def of(cls, settings: ExperimentSettings, *, command: str = "make experiment") -> "Experiment":
        stages = Stages(settings.folder, jobs=settings.jobs)
        return cls(settings, stages, ProblemSets(settings.folder / "problems"), command)

    @property
    def models(self) -> Path:
        return self.settings.folder / "models"

    @property
    def rows(self) -> Path:
        return self.settings.folder / "rows"

    @property
    def page(self) -> Path:
        return self.settings.folder / "page" / f"{self.settings.page_name}.md"

    @property
    def evaluations(self) -> Path:
        return self.settings.folder / "evaluations"

    def run(self) -> Results:
        """Every stage in order, each skipped where its result is there; then the figures and the page."""
        self._cold_start()
        self._draw()
        data = self._generate("data", policy=self.settings.base_model, problems="data")
        self._write_rows(data)
        self._assert_unseen()
        self._train_all()
        asked = [*product(HELD_OUT, MODES), ("validation", "greedy")]
        self.stages.side_by_side([partial(self._evaluate, problems, mode) for problems, mode in asked])
        best = self._best()
        policies = {"fresh-base": self.settings.base_model, "fresh-tuned": str(self.models / best)}
        self.stages.side_by_side(
            [partial(self._generate, run, policy=policies[run], problems="fresh") for run in policies]
        )
        results = read_results(self.settings, problems=self.problems, stages=self.stages, best=best)
        self._publish(results)
        return results

    def _cold_start(self) -> None:
        """The base, where the recipe says how it is made."""
        if self.settings.cold_start:
            recipe = read_yaml(Path(self.settings.cold_start)) | {"name": BASE, "outputs_dir": str(self.models)}
            self.stages.run(BASE, ["train", "sft"], recipe)

    def _draw(self) -> None:
        note = self.problems.folder / "drawn.json"
        recipe = self.settings.model_dump(mode="json", include={"draw", "count", "trained", "untrained"})
        recipe["base"] = self.settings.base_model
        if note.is_file():
            if _as_now(json.loads(note.read_text())) != recipe:
                raise UserError(
                    f"{note}: the problems were drawn by another recipe; remove {self.settings.folder} to begin anew"
                )
            return
        self.problems.draw(self.settings)
        note.write_text(json.dumps(recipe) + "\n")

    def _generate(self, name: str, *, policy: str, problems: str) -> Path:
        """A run of `generate` under the critic that follows the checkers."""
        ours = policy == self.settings.base_model
        persona = self.settings.base_persona if ours else "auto"
        recipe: dict[str, Any] = {
            "name": name,
            "runs_dir": str(self.settings.folder / "runs"),
            "seed": self.settings.draw,
            "problems": self._source(problems),
            "policy": {"model": policy, "persona": persona} | self.settings.engine_keys(),
            "critic": {"persona": "evidence"},
            "concurrency": self.settings.max_batch,
            "export": {"layout": self.settings.layout},
        }
        if name == "data":
            recipe["policy"] |= {"persona": self._hot_persona(), "sampling": self.settings.data_sampling}
            recipe["journeys_per_problem"] = self.settings.journeys_per_problem
        self.stages.run(name, ["generate"], recipe | {"budgets": self.settings.budgets})
        return self.settings.folder / "runs" / name

    def _hot_persona(self) -> str:
        """The base's voice with its own temperature for second tries: hot first ones make slips that these can mend."""
        asked = self.settings.base_persona
        own = Path(self.settings.base_model) / "persona.yaml" if asked == "auto" else PERSONAS / f"{asked}.yaml"
        voice = read_yaml(own) | {"name": "hot", "retry_temperature": self.settings.retry_temperature}
        file = self.settings.folder / "hot.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(voice, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return str(file)

    def _train_all(self) -> None:
        """Every arm's model of every seed: those that need no other, then those that do; DPO after its samples."""
        arms, seeds = self.settings.trained_arms, self.settings.seeds
        first, then = ([arm for arm in arms if bool(arm.needs) == late and arm.method == "sft"] for late in (0, 1))
        dpo = self.settings.dpo_arms
        self.stages.side_by_side([partial(self._train, arm, seed) for arm in first for seed in seeds])
        sampled = sorted({arm.start for arm in dpo})
        self.stages.side_by_side(
            [partial(self._train, arm, seed) for arm in then for seed in seeds]
            + [partial(self._preferences, start, seed) for start in sampled for seed in seeds]
        )
        self.stages.side_by_side([partial(self._train, arm, seed) for arm in dpo for seed in seeds])

    def _train(self, arm: Arm, seed: int) -> None:
        name = label(arm.name, seed)
        recipe: dict[str, Any] = {"name": name, "outputs_dir": str(self.models), "seed": seed}
        recipe |= {"persona": self.settings.tuned_persona}
        if arm.method == "sft":
            recipe |= {"model": self.settings.base_model} | self.settings.sft
            recipe |= {"data": [str(self.rows / f"{arm.data_kind}.jsonl")]}
            if arm.learn != "all":
                recipe |= {"learn": arm.learn}
            if arm.tokens_of:
                recipe |= {"max_tokens": self._learnt(label(arm.tokens_of, seed))}
                recipe.pop("max_steps", None)
        else:
            recipe |= {"model": str(self.models / label(arm.start, seed)), "plain": arm.plain}
            recipe |= {"data": [str(self._preferences(arm.start, seed))]} | self.settings.dpo
        self.stages.run(name, ["train", arm.method], recipe)

    def _learnt(self, model: str) -> int:
        """The tokens that a model was given loss on, each as often as it was seen."""
        report: dict[str, Any] = json.loads((self.models / model / "training.json").read_text())
        return round(float(report["data"]["learnt_tokens"] * report["epochs"]))

    def _preferences(self, arm: str, seed: int) -> Path:
        """A folder of graded samples of that model, for outcome pairs."""
        name = f"samples-{label(arm, seed)}"
        recipe = {
            "name": name,
            "outputs_dir": str(self.evaluations),
            "seed": self.settings.draw + seed,
            "problems": self._source("preference"),
            "models": [{"model": str(self.models / label(arm, seed)), "label": label(arm, seed)}],
            "engine": self.settings.engine_keys(),
            "samples": self.settings.samples_per_question,
            "logprobs": False,
            "sampling": {
                "temperature": self.settings.temperature,
                "top_p": 0.95,
                "max_tokens": self.settings.max_tokens,
            },
            "resamples": 100,
            "card": False,
        }
        self.stages.run(name, ["evaluate"], recipe)
        return self.evaluations / name

    def _evaluate(self, problems: str, mode: str) -> None:
        """All models on one set, greedy or sampled."""
        greedy = mode == "greedy"
        name = f"{problems}-{mode}"
        trained = [label(arm.name, seed) for arm in self.settings.trained_arms for seed in self.settings.seeds]
        recipe = {
            "name": name,
            "outputs_dir": str(self.evaluations),
            "seed": self.settings.draw,
            "problems": self._source(problems),
            "models": [
                {"model": self.settings.base_model, "label": BASE},
                *({"model": str(self.models / model), "label": model} for model in trained),
            ],
            "persona": "arithmetic",
            "engine": self.settings.engine_keys(),
            "samples": 1 if greedy else self.settings.samples,
            "logprobs": False,
            "sampling": {
                "temperature": 0.0 if greedy else self.settings.temperature,
                "max_tokens": self.settings.max_tokens,
            },
            "card": False,
            "resamples": 200,  # the page pools seeds and has its own intervals
        }
        self.stages.run(name, ["evaluate"], recipe, grows="models")

    def _source(self, problems: str) -> dict[str, Any]:
        return {"source": "file", "path": str(self.problems.path(problems)), "verifier": self.settings.verifier}

    def _write_rows(self, data: Path) -> None:
        if all((self.rows / f"{kind}.jsonl").is_file() for kind in KINDS):
            return
        share, seed = self.settings.share_backtracked, self.settings.draw
        write_rows(data / "exports", self.rows, share=share, seed=seed, circles=self.settings.circles)

    def _assert_unseen(self) -> None:
        """No question that anything was learnt from is in a held-out set.

        Raises:
            UserError: one is; then no figure of this experiment would mean anything.
        """
        learnt: set[tuple[str, ...]] = set()
        for row in read_rows(self.rows / "journey.jsonl"):
            learnt.update(asked(message["content"]) for message in row["prompt"] if message["role"] == "user")
        learnt |= self.problems.questions("preference")
        for held_out in (*HELD_OUT, "validation", "fresh"):
            if shared := learnt & self.problems.questions(held_out):
                raise UserError(f"{self.problems.path(held_out)}: {len(shared)} of its questions were learnt from")

    def _best(self) -> str:
        """The trained model that is right most often on the validation set; of equals the first."""
        evaluation = json.loads((self.evaluations / "validation-greedy" / "evaluation.json").read_text())
        trained = [one for one in evaluation["models"] if one["model"] != BASE]
        return str(max(trained, key=lambda one: one["scores"]["accuracy"]["value"])["model"])

    def _publish(self, results: Results) -> None:
        """The page and its pictures into the experiment's folder, and from there to where the recipe says."""
        written = write_page(results, self.page, command=self.command)
        self.settings.publish(written)


def _as_now(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe that problems were drawn by, with the keys that tasks have got since then."""
    tasks = {kind: [TaskSettings.model_validate(task).model_dump() for task in recipe[kind]] for kind in HELD_OUT}
    return recipe | tasks


def main(argv: Sequence[str] | None = None) -> int:
    """Run the experiment and print its table. Returns the exit code, as run.py does."""

    def run(settings: ExperimentSettings, again: str) -> str:
        experiment = Experiment.of(settings, command=again)
        return results_table(experiment.run()) + f"\n{experiment.page}\n"

    return command(
        argv,
        name="journey_vs_shortcut",
        target="experiment",
        about=__doc__ or "",
        recipe=ExperimentSettings,
        sizes=SIZES,
        run=run,
    )


if __name__ == "__main__":
    sys.exit(main())
