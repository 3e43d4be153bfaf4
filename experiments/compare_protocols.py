"""Does the critic help, does search help, and at what cost?  `make compare-protocols`, or

    python -m experiments.compare_protocols --size cpu     # smoke, cpu, gpu; without --size a GPU decides

One policy grows journeys over the same problems under every protocol. All arms may write the same number of tokens,
judges and search included: what a cheap protocol saves on one attempt it spends on more. Besides, on other problems,
one answer out of eight is chosen by a scorer and by majority. The reward model in both learns on problems of a third
set.

Every stage is a command of run.py and leaves a folder; what is there already is not made again.
"""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from experiments.command import command
from experiments.comparison.arms import BY_NAME, Arm
from experiments.comparison.attempts import tokens_written
from experiments.comparison.eight import LABEL
from experiments.comparison.page import write_page
from experiments.comparison.results import Results, read_results
from experiments.comparison.settings import ComparisonSettings
from experiments.comparison.tables import printed
from experiments.problem_sets import ProblemSets, row_of, taught_with, unseen
from experiments.stages import Stages
from journeys.row_files import line
from settings import UserError

SIZES = Path(__file__).parent.parent / "configs" / "experiments" / "protocols"
PAGE = "protocols.md"
SETS = ("problems", "held_out", "searched")
SPARE = 1.1
"""How much more is attempted than the attempts before would need to spend the budget: journeys differ in length."""


@dataclass(frozen=True)
class Comparison:
    """One run of the whole, at one size."""

    settings: ComparisonSettings
    stages: Stages
    problems: ProblemSets
    command: str
    """What makes it again, for the page."""

    @classmethod
    def of(cls, settings: ComparisonSettings, *, command: str = "make compare-protocols") -> "Comparison":
        stages = Stages(settings.folder, jobs=settings.jobs)
        return cls(settings, stages, ProblemSets(settings.folder / "problems"), command)

    def run(self) -> Results:
        """Every stage in order, each skipped where its result is there; then the figures and the page."""
        self._draw()
        seeds = self.settings.seeds
        free = [arm for arm in self.settings.run_arms if not arm.needs_reward]
        guided = [arm for arm in self.settings.run_arms if arm.needs_reward]
        self.stages.side_by_side([self._train_reward, *(partial(self._spend, *one) for one in product(free, seeds))])
        self.stages.side_by_side(
            [
                *(partial(self._spend, *one) for one in product(guided, seeds)),
                *(partial(self._sample, s) for s in seeds),
            ]
        )
        results = self.read()
        self._publish(results)
        return results

    def read(self) -> Results:
        """The figures of what is there."""
        return read_results(
            self.settings,
            {arm.name: [self._runs(arm, seed) for seed in self.settings.seeds] for arm in self.settings.run_arms},
            problems=[row["id"] for row in self.problems.rows("problems")],
            held_out=self.problems.path("held_out"),
            evaluations=[self._evaluation(seed) for seed in self.settings.seeds],
            digests={name: self.problems.digest(name) for name in SETS},
            seconds=self.stages.seconds(),
            taught=self._taught(),
        )

    def _taught(self) -> dict[str, Any] | None:
        """What the training of the reward model noted; None where none was trained here."""
        note = self.settings.folder / "models" / "ppm" / "training.json"
        return dict(json.loads(note.read_text())) if self.settings.teaches_reward and note.is_file() else None

    def _draw(self) -> None:
        """Sets that share no question, with each other or with what the base was taught."""
        note = self.problems.folder / "drawn.json"
        recipe = self.settings.problem_recipe()
        if note.is_file():
            if json.loads(note.read_text()) != recipe:
                raise UserError(
                    f"{note}: the problems were drawn by another recipe; remove {self.settings.folder} to begin anew"
                )
            return
        seen = set(taught_with(self.settings.base_model)[1])
        self.problems.folder.mkdir(parents=True, exist_ok=True)
        for name in SETS:
            count = getattr(self.settings, name)
            drawn = unseen(self.settings.tasks, name, count, self.settings.draw, seen)
            self.problems.path(name).write_text("".join(line(row_of(problem)) for problem in drawn), encoding="utf-8")
        note.write_text(json.dumps(recipe) + "\n")

    def _train_reward(self) -> None:
        """A process preference model on the trees of searches over problems of their own (methods 3.7)."""
        settings = self.settings
        if not settings.teaches_reward:
            return
        # Steps of the embedded policy are lines such as "28 + 40 = 68": 20 characters apart is none of them.
        pairs = {"export": {"layout": settings.layout, "tree_pairs": {"distance": 1}}}
        recipe = self._recipe(BY_NAME["mcts"], "searched", "searched", seed=settings.draw)
        self.stages.run("searched", ["generate"], recipe | pairs)
        run = settings.folder / "runs" / "searched"
        where = {"name": "ppm", "outputs_dir": str(settings.folder / "models"), "model": settings.base_model}
        self.stages.run("ppm", ["train", "ppm", "--data", str(run)], where | {"seed": settings.draw} | settings.ppm)

    def _spend(self, arm: Arm, seed: int) -> None:
        """Attempts until the budget is spent: one of every problem, then as many rounds as what is left should pay."""
        attempts = spent = round_ = 0
        while spent < self.settings.tokens and attempts < self.settings.most_attempts:
            left = math.ceil(SPARE * (self.settings.tokens - spent) * attempts / spent) if spent else 1
            more = min(left, self.settings.most_attempts - attempts)
            round_ += 1
            self._generate(arm, seed, round_, attempts=more)
            attempts += more
            spent = tokens_written(self._runs(arm, seed)[:round_])

    def _generate(self, arm: Arm, seed: int, round_: int, *, attempts: int) -> None:
        name = f"{arm.name}-{seed}-{round_}"
        recipe = self._recipe(arm, name, "problems", seed=self.settings.draw + 1000 * seed + round_)
        self.stages.run(name, ["generate"], recipe | {"journeys_per_problem": attempts})

    def _recipe(self, arm: Arm, name: str, problems: str, *, seed: int) -> dict[str, Any]:
        """A run of `generate` over one of the sets."""
        settings, of_arm = self.settings, dict(arm.recipe)
        policy = {"model": settings.base_model, "persona": settings.base_persona, "sampling": settings.sampling}
        shared = {
            "name": name,
            "runs_dir": str(settings.folder / "runs"),
            "seed": seed,
            "problems": self._source(problems),
            "policy": policy | settings.engine_keys() | of_arm.pop("policy", {}),
            "budgets": settings.budgets,
            "concurrency": settings.max_batch,
            "export": {"layout": settings.layout},
        }
        reward = {"reward": {"model": settings.reward_model}} if arm.needs_reward else {}
        return shared | of_arm | reward

    def _runs(self, arm: Arm, seed: int) -> list[Path]:
        """The folders of an arm with one seed, in the order in which they were begun."""
        found = (self.settings.folder / "runs").glob(f"{arm.name}-{seed}-*/config.yaml")
        return sorted((config.parent for config in found), key=lambda run: int(run.name.rpartition("-")[2]))

    def _sample(self, seed: int) -> None:
        settings = self.settings
        recipe: dict[str, Any] = {
            "name": f"held-out-{seed}",
            "outputs_dir": str(settings.folder / "evaluations"),
            "seed": settings.draw + seed,
            "problems": self._source("held_out"),
            "models": [{"model": settings.base_model, "label": LABEL}],
            "persona": "arithmetic",
            "engine": settings.engine_keys(),
            "samples": settings.samples,
            "best_of": settings.best_of,
            "sampling": {"temperature": settings.temperature, "max_tokens": settings.max_tokens},
            "card": False,
            "resamples": 200,  # the page pools seeds and has its own intervals
        }
        if settings.reward_model:
            recipe["reward"] = {"model": settings.reward_model}
        self.stages.run(f"held-out-{seed}", ["evaluate"], recipe)

    def _evaluation(self, seed: int) -> Path:
        return self.settings.folder / "evaluations" / f"held-out-{seed}"

    def _source(self, problems: str) -> dict[str, Any]:
        return {"source": "file", "path": str(self.problems.path(problems)), "verifier": "math"}

    def _publish(self, results: Results) -> None:
        """The page and its picture into the comparison's folder, and from there to where the recipe says."""
        written = write_page(results, self.settings.folder / "page" / PAGE, command=self.command)
        self.settings.publish(written)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison and print its table. Returns the exit code, as run.py does."""

    def run(settings: ComparisonSettings, again: str) -> str:
        results = Comparison.of(settings, command=again).run()
        return printed(results) + f"\n{settings.folder / 'page' / PAGE}\n"

    return command(
        argv,
        name="compare_protocols",
        target="compare-protocols",
        about=__doc__ or "",
        recipe=ComparisonSettings,
        sizes=SIZES,
        run=run,
    )


if __name__ == "__main__":
    sys.exit(main())
