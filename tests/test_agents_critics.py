"""Critics: what they are shown, how their words are read, and those that ask no model."""

from collections.abc import Sequence

import pytest
from autogen_core.models import LLMMessage
from prompt_material import QUESTION, SHIPPED_CRITICS, critic_view, flat, journey, shown, turn

from agents.critic import EvidenceCritic, ModelCritic, RandomCritic, SelfCritic
from agents.persona import CriticPersona, load_critic, load_policy
from agents.policy_prompt import PolicyPrompt
from engines.scripted import ScriptedEngine
from journeys.record import Evidence, Move


@pytest.mark.parametrize("name", [name for name in SHIPPED_CRITICS if load_critic(name).kind == "model"])
def test_a_critics_prompts_grow_only_at_their_end(name: str) -> None:
    persona = load_critic(name)
    policy = PolicyPrompt(load_policy("stepwise"))
    engine = ScriptedEngine("")
    critic = SelfCritic(persona, engine, policy) if name == "self" else ModelCritic(persona, engine)
    turns = journey()
    heads = []
    for length in (0, 1, 2):
        text = flat(critic.messages(critic_view(turns[:length], turns[length].step)))
        before, step, asked = text.rpartition(turns[length].step)
        assert step
        assert str(length + 1) in asked
        heads.append(before + step)
    assert heads[1].startswith(heads[0])
    assert heads[2].startswith(heads[1])


def test_a_critic_reads_numbered_steps_evidence_and_no_reference() -> None:
    critic = ModelCritic(CriticPersona(name="c", system="Judge.", ask="Now $number?$evidence"), ScriptedEngine(""))
    false = Evidence(kind="false_equation", detail="4 * 3 is not 13.")
    messages = critic.messages(critic_view(journey()[:2], "4 * 3 = 13", false))
    assert shown(messages) == [
        ("system", "Judge."),
        (
            "user",
            f"Problem: {QUESTION}\n\nSteps:\n1. Brackets first.\n2. 2 + 2 = 4\n3. 4 * 3 = 13\n"
            "Now 3?\nA program found: 4 * 3 is not 13.",
        ),
    ]


GOOD = '{"critique": "No.", "quote": "13", "move": "backtrack", "keep": 1}'


@pytest.mark.parametrize(
    ("replies", "parse", "move"),
    [
        ([GOOD], "ok", Move.BACKTRACK),
        ([f"Well, I think:\n```json\n{GOOD}\n```"], "ok", Move.BACKTRACK),
        (["I would go back.", GOOD], "repaired", Move.BACKTRACK),
        (['{"move": "explode"}', GOOD], "repaired", Move.BACKTRACK),
        (["", "still no JSON"], "failed", Move.CONTINUE),
        (["[[[[" * 5000, "{" * 5000], "failed", Move.CONTINUE),
    ],
)
async def test_a_verdict_is_read_repaired_once_or_neutral(replies: list[str], parse: str, move: Move) -> None:
    asked: list[str] = []

    def script(messages: Sequence[LLMMessage], request_id: str) -> str:
        asked.append(flat(messages))
        return replies[len(asked) - 1]

    critic = ModelCritic(CriticPersona(name="c", system="Judge."), ScriptedEngine(script))
    judgement = await critic.judge(critic_view(journey()[:2], "4 * 3 = 13"))
    assert (judgement.parse, judgement.verdict.move) == (parse, move)
    assert judgement.cost.calls == len(asked) == len(replies)
    if len(asked) == 2:
        assert asked[1].startswith(asked[0]), "the repair is appended"
        assert "not a valid verdict" in asked[1]


async def test_latex_in_a_verdict_survives_json() -> None:
    reply = r'{"critique": "\frac{1}{2} is not \times", "quote": "\(x\)", "move": "reflect", "keep": 0}'
    critic = ModelCritic(CriticPersona(name="c", system="Judge."), ScriptedEngine(reply))
    judgement = await critic.judge(critic_view([], "x"))
    assert judgement.parse == "ok"
    assert judgement.verdict.critique == r"\frac{1}{2} is not \times"
    assert judgement.verdict.quote == r"\(x\)"


async def test_the_evidence_critic_takes_back_the_step_before_too_when_it_is_fed_up() -> None:
    critic = EvidenceCritic(load_critic("evidence").model_copy(update={"patience": 2}))
    false = Evidence(kind="false_equation", quote="4 * 3 = 13", detail="4 * 3 is not 13.")
    turns = journey()[:2]
    first = (await critic.judge(critic_view(turns, "4 * 3 = 13", false))).verdict
    assert (first.move, first.keep, first.quote) == (Move.BACKTRACK, 2, "4 * 3 = 13")
    turns.append(turn(turns, "4 * 3 = 13", Move.BACKTRACK, keep=2))
    assert (await critic.judge(critic_view(turns, "4 * 3 = 14", false))).verdict.keep == 1
    assert (await critic.judge(critic_view(turns, "Answer: 12", answer="12"))).verdict.move is Move.TERMINATE
    assert (await critic.judge(critic_view(turns, "On."))).verdict.move is Move.CONTINUE


async def test_the_random_critic_depends_on_its_seed_alone() -> None:
    critic = RandomCritic(load_critic("random"))
    view = critic_view(journey()[:2], "x")
    verdicts = [(await critic.judge(view.model_copy(update={"seed": seed}))).verdict for seed in range(200)]
    again = [(await critic.judge(view.model_copy(update={"seed": seed}))).verdict for seed in range(200)]
    assert verdicts == again
    shares = {move: sum(verdict.move is move for verdict in verdicts) / 200 for move in Move}
    assert 0.6 < shares[Move.CONTINUE] < 0.8
    assert 0.12 < shares[Move.BACKTRACK] < 0.28
    assert all(0 <= verdict.keep <= 2 for verdict in verdicts)
