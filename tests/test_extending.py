"""The example of docs/extending.md is taken out of the page and run: what the page promises holds."""

import importlib.util
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field, TypeAdapter
from test_protocols_journeys import grow_from

from journeys.draft import Budgets
from journeys.record import Move, removals
from protocols import AnyProtocol

PAGE = Path(__file__).parent.parent / "docs" / "extending.md"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The page's protocol, as the file that it tells you to write."""
    found = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found
    file = tmp_path_factory.mktemp("protocols") / "second_look.py"
    file.write_text(found[1], encoding="utf-8")
    spec = importlib.util.spec_from_file_location("second_look", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["second_look"] = module
    spec.loader.exec_module(module)
    yield module.SecondLook
    del sys.modules["second_look"]


def test_one_name_in_the_union_makes_it_a_setting(example: Any) -> None:
    union: Any = TypeAdapter(Annotated[AnyProtocol | example, Field(discriminator="kind")])
    assert union.validate_python({"kind": "second-look", "every": 4}) == example(every=4)
    assert union.validate_python({"kind": "solo"}).kind == "solo"


def test_it_grows_journeys_that_keep_the_invariants_and_go_on_in_the_middle(example: Any) -> None:
    looked_again = 0
    for seed in range(40):
        budgets = Budgets(max_turns=12, max_backtracks=4)
        turns, journey, _ = grow_from(example(every=2), seed, budgets)
        looked_again += sum(turn.verdict.move is Move.REFLECT for turn in turns)
        removed = [turn.id for _, gone in removals(turns) for turn in gone]
        assert sorted(removed) == sorted({turn.id for turn in turns} - {turn.id for turn in journey.path})
        _, again, _ = grow_from(example(every=2), seed, budgets, turns[: len(turns) // 2])
        assert again.canonical() == journey.canonical()
    assert looked_again
