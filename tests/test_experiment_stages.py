"""Stages of an experiment: they run once, bind their recipe, run side by side, and end in order."""

import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from generation_material import ROOT, finished, write_problems, write_script

from experiments.stages import Stages
from settings import UserError

SUMS = {"name": "chain_sum", "config": {"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 2}}

DRIVER = """
import sys
from functools import partial
from pathlib import Path

import yaml

from experiments.stages import Stages, stopped_in_order

folder = Path(sys.argv[1])
stages = Stages(folder, jobs=2)
recipes = [yaml.safe_load((folder / f"{name}.yaml").read_text()) for name in ("one", "two")]
try:
    with stopped_in_order():
        stages.side_by_side([partial(stages.run, recipe["name"], ["generate"], recipe) for recipe in recipes])
except KeyboardInterrupt:
    sys.exit(130)
"""
"""What an experiment's command does, with two runs that no model is needed for."""


def test_a_stage_that_ended_is_not_run_again_and_binds_its_recipe(tmp_path: Path) -> None:
    stages = Stages(tmp_path)
    recipe = {"name": "looked-at", "problems": {"tasks": [SUMS]}, "num_problems": 2}
    stages.run("look", ["evaluate", "--dry-run"], recipe)
    log = (tmp_path / "logs" / "look.log").read_bytes()
    assert b"looked-at" in log
    stages.run("look", ["evaluate", "--dry-run"], recipe)
    assert (tmp_path / "logs" / "look.log").read_bytes() == log
    assert stages.seconds()["look"] > 0
    with pytest.raises(UserError, match="num_problems: 2 -> 3"):
        stages.run("look", ["evaluate", "--dry-run"], recipe | {"num_problems": 3})
    with pytest.raises(UserError, match=r"stage bad failed with exit code 2.*bad\.log"):
        stages.run("bad", ["evaluate", "--dry-run"], {"nonsense": 1})
    assert "bad" not in [name for name, note in _notes(tmp_path).items() if note["done"]]


def test_a_stage_that_may_grow_goes_on_with_more_and_with_nothing_else_changed(tmp_path: Path) -> None:
    stages = Stages(tmp_path)
    recipe = {"name": "two", "problems": {"tasks": [SUMS]}, "num_problems": 2, "models": ["embedded"]}
    more = recipe | {"models": ["embedded", {"model": "embedded", "label": "again"}]}
    stages.run("look", ["evaluate", "--dry-run"], recipe, grows="models")
    once = (tmp_path / "logs" / "look.log").read_bytes()
    stages.run("look", ["evaluate", "--dry-run"], more, grows="models")
    assert len((tmp_path / "logs" / "look.log").read_bytes()) > len(once)
    with pytest.raises(UserError, match="num_problems: 2 -> 3"):
        stages.run("look", ["evaluate", "--dry-run"], more | {"num_problems": 3}, grows="models")
    with pytest.raises(UserError, match="another recipe"):
        stages.run("look", ["evaluate", "--dry-run"], recipe)


def test_seeds_side_by_side_all_end_and_a_failure_is_told(tmp_path: Path) -> None:
    stages = Stages(tmp_path, jobs=2)
    done: list[int] = []
    stages.side_by_side([partial(done.append, number) for number in range(5)])
    assert sorted(done) == [0, 1, 2, 3, 4]

    def fail() -> None:
        raise UserError("no")

    with pytest.raises(UserError, match="no"):
        stages.side_by_side([fail, partial(done.append, 5)])


def test_a_signal_to_the_experiment_ends_its_stages_in_order(tmp_path: Path) -> None:
    script, problems = write_script(tmp_path, latency=0.2), write_problems(tmp_path, 4000)
    for name in ("one", "two"):
        recipe = {
            "name": name,
            "runs_dir": str(tmp_path / "runs"),
            "problems": {"source": "file", "path": str(problems)},
            "policy": {"engine": "scripted", "script": str(script)},
            "critic": {"persona": "strict"},
        }
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(recipe))
    process = subprocess.Popen([sys.executable, "-c", DRIVER, str(tmp_path)], cwd=ROOT, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while any(len(finished(tmp_path / "runs" / name)) < 3 for name in ("one", "two")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    begun = psutil.Process(process.pid).children()
    assert len(begun) == 2
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not any(stage.is_running() for stage in begun), "nothing is left behind"
    assert [note["done"] for note in _notes(tmp_path).values()] == [False, False]
    for name in ("one", "two"):
        log = (tmp_path / "logs" / f"{name}.log").read_text()
        assert log.splitlines()[-1] == "retrace: stopped; run the same command to go on where it was"


def _notes(folder: Path) -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in (folder / "stages").glob("*.json")}
