"""Steps with code in every protocol: what does not run never stands, and the journey is told with its program."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import isolation_here
import pytest
import pytest_asyncio
from autogen_core.models import AssistantMessage, LLMMessage
from hypothesis import given, settings
from hypothesis import strategies as st
from test_protocols_journeys import GOLD, PROBLEM, PROTOCOLS, VOICE, Checks, RandomReward, RandomSpeaker, budgets_drawn

import run
from agents.critic import SelfCritic, make_critic
from agents.persona import load_critic, load_policy
from agents.policy import PolicyAgent
from agents.roles import PolicyView, Proposal
from engines.scripted import ScriptedEngine
from generation.cast import Company
from generation.settings import GenerateSettings
from journeys.code import code_failed, code_in, fenced, printed
from journeys.draft import Budgets, Draft
from journeys.record import Evidence, Journey, Problem, Turn, removals
from journeys.stitching.gate import inspect
from journeys.stitching.thought import must_keep, stitch
from journeys.store import Store
from journeys.tree import Tree
from problems.referee import CheckerSettings, Referee
from protocols.base import Cast, GrowsJourneys
from protocols.best_of_n import BestOfN
from protocols.consistency import Consistency
from protocols.dialogue import Dialogue
from protocols.mcts import MCTS
from protocols.self_critique import SelfCritique
from protocols.solo import Solo
from protocols.team import JourneyTeam, ProblemMessage
from protocols.tree_search import TreeSearch
from sandbox import SandboxSettings
from settings import UserError, load

isolated = pytest.mark.skipif(bool(isolation_here.lacking()), reason=isolation_here.lacking())
shared = pytest.mark.asyncio(loop_scope="module")
RECIPE = Path(__file__).parent.parent / "configs" / "code.yaml"
LIMITS = SandboxSettings(memory_mb=256, wall_seconds=60, modules=(), workers=2)
EGGS = Problem(id="eggs", question="12 eggs, 3 are broken, 4 make a pan. How many pans?", answer="2")
GOES_ON = '{"critique": "", "quote": "", "move": "continue", "keep": 0}'


class Writer:
    """Writes the eggs' program in rStar-Math's tags; its second step fails at first, and for the first siblings."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def __call__(self, messages: Sequence[LLMMessage], request_id: str) -> str:
        begun = str(messages[-1].content) if isinstance(messages[-1], AssistantMessage) else ""
        if not begun and "Choose your move" in str(messages[-1].content):
            return GOES_ON
        self.shown.append(begun)
        if "<output>" in begun:
            return "They make \\boxed{2} pans.<end_of_answer>"
        if "eggs =" not in begun:
            return "# Nine eggs are whole.\neggs = 12 - 3"
        if "pans =" not in begun:
            sibling = re.search(r"~\w+\.(\d+)/", request_id)
            right = int(sibling[1]) > 1 if sibling else "The code stops with NameError" in begun
            return "# Four make a pan.\npans = " + ("eggs // 4" if right else "egg // 4")
        return "# Printed now.\nprint(pans)<end_of_code>"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def referee() -> AsyncIterator[Referee]:
    async with Referee(CheckerSettings(code=True, sandbox=LIMITS)) as opened:
        yield opened


async def journey_of(protocol: GrowsJourneys, referee: Referee) -> tuple[Journey, Writer, Tree | None]:
    writer = Writer()
    policy = PolicyAgent(load_policy("code"), engine := ScriptedEngine(writer))
    critic = make_critic(load_critic("evidence"), None)
    if isinstance(protocol, SelfCritique):
        critic = SelfCritic(load_critic("self"), engine, policy.prompt)
    team = JourneyTeam(protocol=protocol, policy=policy, critic=critic, referee=referee, trust="evidence")
    await team.run(task=ProblemMessage(content=EGGS, source="user"))
    assert team.journey
    return team.journey, writer, team.draft.tree if team.draft else None


@isolated
@shared
@pytest.mark.parametrize(
    "protocol",
    [
        Dialogue(),
        Solo(),
        SelfCritique(),
        TreeSearch(width=3, depth=6, beam=2, scorer="checkers"),
        TreeSearch(width=3, depth=6, beam=9, scorer="checkers", prune="soft"),
        MCTS(rollouts=4, width=3, depth=6),
        BestOfN(n=2),
    ],
    ids=lambda protocol: protocol.kind,
)
async def test_a_step_that_fails_is_taken_back_in_every_protocol(protocol: GrowsJourneys, referee: Referee) -> None:
    journey, _, tree = await journey_of(protocol, referee)
    assert (journey.stop_reason, journey.lucky) == ("solved", ())
    assert [code_in(turn.step).splitlines()[-1] for turn in journey.path[:-1]] == [
        *("eggs = 12 - 3", "pans = eggs // 4", "print(pans)")
    ]
    failed = [turn for turn in journey.turns if code_failed(turn.evidence)]
    assert all(turn.removes and turn.verdict.quote == "pans = egg // 4" for turn in failed)
    # Best of n tells a solution without the others'; in all the rest the wrong step is there to be learnt from.
    assert bool(failed) != isinstance(protocol, BestOfN)
    if tree:
        broken = {node.id for node in tree.nodes if code_failed(node.evidence)}
        assert broken
        assert not any(node.parent in broken for node in tree.nodes), "something was built on code that does not run"


class Completes(Writer):
    """A second policy: it goes on with the program as it is right, but where it is asked for the fourth time."""

    def __call__(self, messages: Sequence[LLMMessage], request_id: str) -> str:
        said = super().__call__(messages, request_id)
        return said if "~second" in request_id and ".3/" in request_id else said.replace("egg //", "eggs //")


@isolated
@shared
async def test_a_second_policy_goes_on_with_the_program_and_sees_what_it_prints(referee: Referee) -> None:
    policy = PolicyAgent(load_policy("code"), ScriptedEngine(Writer()))
    completes = Completes()
    second = PolicyAgent(load_policy("code"), ScriptedEngine(completes), name="second")
    protocol = BestOfN(n=2, select="consistency", consistency=Consistency(sure=1.0))
    team = JourneyTeam(protocol=protocol, policy=policy, second=second, referee=referee)
    await team.run(task=ProblemMessage(content=EGGS, source="user"))
    assert team.journey
    assert team.journey.solved
    assert team.draft
    assert team.draft.tree
    completions = team.draft.tree.completions
    whole = fenced("# Nine eggs are whole.\neggs = 12 - 3")
    assert [one.shown for one in completions] == [(), (), (whole,), (whole,)], "no step is torn"
    assert [(one.answer, one.agrees) for one in completions] == [*[("2", True)] * 3, (None, False)]
    assert code_in(completions[3].steps[-1]).endswith("egg // 4"), "what fails is given up"
    assert completes.shown[-1].endswith("print(pans)\n<end_of_code>\n<output>2<end_of_output>\n<answer>")


@isolated
@shared
async def test_the_policy_is_shown_its_program_and_what_it_printed(referee: Referee) -> None:
    journey, writer, _ = await journey_of(Dialogue(), referee)
    program = "<code>\n# Nine eggs are whole.\neggs = 12 - 3\n<end_of_step>\n"
    assert writer.shown[:2] == ["<code>\n", program]
    assert writer.shown[2].startswith(program + "# ")
    assert "The code stops with NameError: name 'egg' is not defined." in writer.shown[2]
    assert writer.shown[-1].endswith("print(pans)\n<end_of_code>\n<output>2<end_of_output>\n<answer>")
    # In the record code is fenced, words are not, and the answer is words.
    assert journey.turns[0].step == fenced("# Nine eggs are whole.\neggs = 12 - 3")
    assert journey.turns[2].step.endswith("\n" + fenced("# Four make a pan.\npans = eggs // 4"))
    assert journey.path[-1].step == "They make \\boxed{2} pans."


PROGRAM = """```python
# Nine eggs are whole.
eggs = 12 - 3
# Four make a pan.
pans = eggs // 4
# Printed now.
print(pans)
```
```output
2
```
"""


@isolated
@shared
@pytest.mark.parametrize("layout", ["prose", "lines"])
async def test_a_thought_holds_the_program_letter_by_letter_and_the_try_that_failed(
    referee: Referee, layout: str
) -> None:
    journey, _, _ = await journey_of(Dialogue(), referee)
    thought = stitch(journey, layout=layout)  # type: ignore[arg-type]
    assert thought.gate.failures == ()
    failed, stops, goes_on = (thought.text.index(words) for words in ("egg // 4", "NameError", "eggs // 4"))
    assert failed < stops < goes_on
    assert all(code_in(turn.step) in thought.text for turn in journey.turns if code_in(turn.step))
    assert thought.text.endswith(" 2.")
    assert PROGRAM in stitch(journey, shortcut=True, layout=layout).text  # type: ignore[arg-type]
    covered = "".join(thought.text[span.start : span.end] for span in thought.spans)
    assert re.sub(r"\s", "", covered) == re.sub(r"\s", "", thought.text)


@isolated
@shared
async def test_the_gate_refuses_code_that_was_changed_or_made_up(referee: Referee) -> None:
    journey, _, _ = await journey_of(Dialogue(), referee)
    text = stitch(journey).text

    def broken(changed: str) -> set[str]:
        return {failure.partition(":")[0] for failure in inspect(changed, journey).failures}

    assert broken(text) == set()
    assert broken(text.replace("pans = eggs // 4", "pans = eggs//4")) >= {"lost_code"}
    assert "markup" in broken(text.replace("print(pans)", "print(pans)\nprint(pans + 1)"))
    assert "trace" in broken(text.replace("# Printed now.", "# Printed, as the critic said."))
    assert fenced("# Printed now.\nprint(pans)") in must_keep(journey)


class CodeSpeaker(RandomSpeaker):
    """As `RandomSpeaker`, with code in its steps, some of which does not run."""

    async def propose(self, view: PolicyView) -> Proposal:
        proposal = await super().propose(view)
        draw = random.Random(f"{self.seed} code {view.seed}")
        code = draw.choice(["", fenced("x = 1"), fenced("x = 1 / 0"), fenced("print(7)")])
        return proposal.model_copy(update={"step": f"{proposal.step}\n{code}" if code else proposal.step})


class CodeChecks(Checks):
    """Its rules, and a sandbox that fits on a line."""

    def answer_in(self, step: str) -> str | None:
        return super().answer_in(step.partition("\n")[0])

    async def check(
        self, *, question: str, path: Sequence[Turn], step: str, abandoned: Sequence[Turn]
    ) -> tuple[Evidence, ...]:
        found = await super().check(question=question, path=path, step=step, abandoned=abandoned)
        assert not any("/ 0" in turn.step for turn in path), "a step was written behind code that does not run"
        if "/ 0" in step:
            return (*found, Evidence(kind="failed_code", quote="x = 1 / 0", detail="The code stops."))
        return (*found, Evidence(kind="code_output", detail="7\n", fatal=False)) if "print" in step else found


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.kind)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), budgets=budgets_drawn, data=st.data())
def test_journeys_with_code_keep_the_invariants(
    protocol: GrowsJourneys, seed: int, budgets: Budgets, data: st.DataObject
) -> None:
    journey, tree = grown(protocol, seed, budgets)
    assert len(journey.turns) <= budgets.max_turns
    assert sum(turn.removes for turn in journey.turns) <= budgets.max_backtracks + 1
    assert not any(code_failed(turn.evidence) for turn in journey.path), "code that does not run stands"
    removed = [turn.id for _, gone in removals(journey.turns) for turn in gone]
    assert sorted(removed) == sorted({turn.id for turn in journey.turns} - {turn.id for turn in journey.path})
    assert not journey.solved or journey.path[-1].answer == GOLD
    kept = data.draw(st.integers(0, len(journey.turns)))
    again, _ = grown(protocol, seed, budgets, journey.turns[:kept], tree if kept else None)
    assert again.canonical() == journey.canonical()
    stitch(journey), stitch(journey, shortcut=True)


def grown(
    protocol: GrowsJourneys, seed: int, budgets: Budgets, turns: Sequence[Turn] = (), tree: Tree | None = None
) -> tuple[Journey, Tree | None]:
    speaker = CodeSpeaker(seed)
    reward = RandomReward(seed)
    cast = Cast(policy=speaker, critic=speaker, second=speaker, reward=reward, referee=CodeChecks(), budgets=budgets)
    draft = Draft("p#0", PROBLEM, seed=seed, protocol=protocol.kind, policy=VOICE, turns=turns, tree=tree)

    async def run() -> Journey:
        journey = [event async for event in protocol.grow(draft, cast)][-1]
        assert isinstance(journey, Journey)
        return journey

    return asyncio.run(run()), draft.tree


async def test_a_run_refuses_before_a_model_starts_where_code_cannot_be_isolated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Unstartable(ScriptedEngine):
        async def start(self) -> None:
            raise AssertionError("a model was started")

    monkeypatch.setenv("PATH", str(tmp_path))
    company = Company(load(GenerateSettings, RECIPE), open_engine=lambda _: Unstartable(""))
    with pytest.raises(UserError, match=r"bwrap.*install"):
        await company.__aenter__()


@isolated
@pytest.mark.slow
def test_the_recipe_makes_programs_with_the_embedded_model(tmp_path: Path) -> None:
    argv = ["generate", "--config", str(RECIPE), "--num-problems", "6", "--runs-dir", str(tmp_path), "--name", "code"]
    assert run.main(argv) == 0
    with Store(tmp_path / "code" / "journeys.db") as store:
        journeys = list(store.journeys())
    turns = [turn for journey in journeys for turn in journey.turns]
    assert any(printed(turn.evidence) for turn in turns), "no program printed anything"
    assert not any(code_failed(turn.evidence) for journey in journeys for turn in journey.path)
    assert any(journey.solved for journey in journeys)
