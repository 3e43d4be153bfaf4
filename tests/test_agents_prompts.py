"""What the model reads: personas rendered over journeys that go forward, back, and stop to think."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from autogen_core.models import AssistantMessage, LLMMessage, SystemMessage, UserMessage

from agents.critic import EvidenceCritic, ModelCritic, RandomCritic, SelfCritic
from agents.narrator import load_narrator
from agents.persona import (
    PERSONA_FOLDER,
    CriticPersona,
    PolicyPersona,
    load_critic,
    load_policy,
)
from agents.policy import PolicyAgent
from agents.policy_prompt import PolicyPrompt
from agents.roles import CriticView, PolicyView
from engines.scripted import ScriptedEngine
from journeys.record import Evidence, Move, Turn, Verdict, standing

QUESTION = "How much is (2 + 2) * 3?"
SHIPPED_POLICIES = sorted(file.stem for file in (PERSONA_FOLDER / "policy").glob("*.yaml"))
SHIPPED_CRITICS = sorted(file.stem for file in (PERSONA_FOLDER / "critic").glob("*.yaml"))


def turn(
    turns: Sequence[Turn],
    step: str,
    move: Move = Move.CONTINUE,
    *,
    critique: str = "",
    quote: str = "",
    keep: int = 0,
    evidence: tuple[Evidence, ...] = (),
) -> Turn:
    path = standing(turns)
    last = turns[-1] if turns else None
    answers = last and last.verdict.move in (Move.BACKTRACK, Move.REFLECT)
    return Turn(
        id=len(turns),
        parent=path[-1].id if path else None,
        step=step,
        verdict=Verdict(move=move, critique=critique, quote=quote, keep=keep),
        replies_to=last.id if last and answers else None,
        evidence=evidence,
    )


def journey() -> list[Turn]:
    """Forward, a reflection, a wrong turn taken back twice as far, and on."""
    turns: list[Turn] = []
    turns.append(turn(turns, "Brackets first."))
    turns.append(turn(turns, "2 + 2 = 4"))
    turns.append(turn(turns, "So 4.", Move.REFLECT, critique="Is that all?"))
    turns.append(turn(turns, "No, there is a factor."))
    turns.append(turn(turns, "4 * 3 = 13", Move.BACKTRACK, critique="4 * 3 is not 13.", quote="4 * 3 = 13", keep=3))
    turns.append(turn(turns, "4 * 3 = 12"))
    turns.append(turn(turns, "Answer: 12", Move.TERMINATE))
    return turns


def policy_view(turns: Sequence[Turn], *, seed: int = 5) -> PolicyView:
    return PolicyView(journey_id="p#0", question=QUESTION, path=standing(turns), turns=tuple(turns), seed=seed)


def critic_view(turns: Sequence[Turn], step: str, *evidence: Evidence, answer: str | None = None) -> CriticView:
    return CriticView(
        journey_id="p#0",
        question=QUESTION,
        path=standing(turns),
        turns=tuple(turns),
        step=step,
        evidence=evidence,
        answer=answer,
        seed=5,
    )


def shown(messages: Sequence[LLMMessage]) -> list[tuple[str, str]]:
    return [(type(message).__name__.removesuffix("Message").lower(), str(message.content)) for message in messages]


def flat(messages: Sequence[LLMMessage]) -> str:
    """As a chat template sees it, without an end mark after the last message."""
    return "".join(f"<{role}>{content}" for role, content in shown(messages))


@pytest.mark.parametrize("name", SHIPPED_POLICIES)
def test_every_shipped_policy_persona_loads_and_asks(name: str) -> None:
    persona = load_policy(name)
    assert persona.name == name
    assert persona.description
    prompt = PolicyPrompt(persona)
    turns = journey()
    for length in range(len(turns)):
        view = policy_view(turns[:length])
        messages = prompt.messages(view, prompt.opening(view))
        assert QUESTION in flat(messages)
        roles = [role for role, _ in shown(messages)]
        assert roles == [*(["system"] if persona.system else []), *roles[bool(persona.system) :]]
        talk = roles[bool(persona.system) :]
        assert talk == ["user", "assistant"] * (len(talk) // 2) + ["user"] * (len(talk) % 2), "chat templates alternate"


@pytest.mark.parametrize("name", SHIPPED_CRITICS)
def test_every_shipped_critic_persona_loads(name: str) -> None:
    persona = load_critic(name)
    assert persona.name == name
    assert persona.description


def test_the_shipped_narrator_loads() -> None:
    assert load_narrator("narrator").name == "narrator"


def test_a_persona_is_a_file_and_takes_its_name(tmp_path: Path) -> None:
    path = tmp_path / "brusque.yaml"
    path.write_text("role: policy\nsystem: Think.\nbacktrack: [No., Nope.]\nreflect: Well. $critique\n")
    persona = load_policy(str(path))
    assert (persona.name, persona.backtrack, persona.mode) == ("brusque", ("No.", "Nope."), "chat")


@pytest.mark.parametrize("name", SHIPPED_POLICIES)
def test_without_a_backtrack_each_prompt_extends_the_one_before(name: str) -> None:
    """Append-only prompts: a prefix cache reads each token once."""
    prompt = PolicyPrompt(load_policy(name))
    turns: list[Turn] = []
    before = flat(prompt.messages(policy_view(turns)))
    for number in range(6):
        turns.append(turn(turns, f"Step {number}: {number} + 1 = {number + 1}"))
        now = flat(prompt.messages(policy_view(turns)))
        assert now.startswith(before)
        assert len(now) > len(before)
        before = now


@pytest.mark.parametrize("name", SHIPPED_POLICIES)
def test_after_a_backtrack_what_was_kept_is_the_same_to_the_byte(name: str) -> None:
    prompt = PolicyPrompt(load_policy(name))
    turns = journey()
    keeping = prompt.messages(policy_view(turns[:3]))[:-1]  # all but what asks for the next step
    prompt.messages(policy_view(turns[:5]))
    back = prompt.messages(policy_view(turns[:5]))
    later = prompt.messages(policy_view(turns[:6]))
    if prompt.persona.mode == "chat":
        assert shown(back)[: len(keeping)] == shown(keeping)
        assert shown(later)[: len(keeping)] == shown(keeping)
    else:
        kept = prompt.persona.delimiter.join(["Brackets first.", "2 + 2 = 4", "So 4."])
        assert kept in flat(back)
        assert flat(later).startswith(flat(back)[: flat(back).index(kept) + len(kept)])
        abandoned_stays = prompt.persona.memory == "full"
        assert ("= 13" in flat(later)) == abandoned_stays, "else it leaves with what was said of it"


def test_a_prompt_made_afresh_is_the_prompt_that_grew() -> None:
    """What a resumed conversation asks is what the interrupted one would have asked."""
    for name in SHIPPED_POLICIES:
        grown = PolicyPrompt(load_policy(name))
        turns = journey()
        for length in range(len(turns) + 1):
            view = policy_view(turns[:length])
            fresh = PolicyPrompt(load_policy(name))
            assert shown(grown.messages(view, grown.opening(view))) == shown(fresh.messages(view, fresh.opening(view)))


CHAT = PolicyPersona(
    name="plain",
    system="Think.",
    task="Problem: $question",
    proceed=("Go on.",),
    backtrack=("Not so: $critique You wrote: $quote",),
    reflect=("First: $critique",),
    repeated="Not again:\n$abandoned",
)


def test_a_chat_persona_puts_the_critics_words_between_the_steps() -> None:
    turns = journey()
    prompt = PolicyPrompt(CHAT)
    assert shown(prompt.messages(policy_view(turns[:0]))) == [("system", "Think."), ("user", f"Problem: {QUESTION}")]
    assert shown(prompt.messages(policy_view(turns[:5])))[2:] == [
        ("assistant", "Brackets first."),
        ("user", "Go on."),
        ("assistant", "2 + 2 = 4"),
        ("user", "Go on."),
        ("assistant", "So 4."),
        ("user", "Not so: 4 * 3 is not 13. You wrote: 4 * 3 = 13"),
    ]
    assert shown(prompt.messages(policy_view(turns[:3])))[-1] == ("user", "First: Is that all?")
    assert shown(prompt.messages(policy_view(turns[:6])))[-3:] == [
        ("user", "Not so: 4 * 3 is not 13. You wrote: 4 * 3 = 13"),
        ("assistant", "4 * 3 = 12"),
        ("user", "Go on."),
    ]


def test_a_first_step_taken_back_leaves_task_and_critique_in_one_turn() -> None:
    turns = [turn([], "2 + 2 = 5", Move.BACKTRACK, critique="It is not 5.")]
    last = shown(PolicyPrompt(CHAT).messages(policy_view(turns)))[-1]
    assert last == ("user", f"Problem: {QUESTION}\n\nNot so: It is not 5. You wrote: 2 + 2 = 5")


def test_a_repeated_step_is_answered_with_the_list_of_what_was_abandoned() -> None:
    repeated = Evidence(kind="repeated_step", detail="Said before.")
    turns = [turn([], "2 + 2 = 5", Move.BACKTRACK)]
    turns.append(turn(turns, "2 + 2 = 6", Move.BACKTRACK))
    turns.append(turn(turns, "2 + 2 = 5", Move.BACKTRACK, evidence=(repeated,)))
    asked = shown(PolicyPrompt(CHAT).messages(policy_view(turns)))[-1][1]
    assert asked.endswith("Not again:\n- 2 + 2 = 5\n- 2 + 2 = 6"), "each once, in the order of time"


def monologue(memory: str) -> PolicyPrompt:
    persona = PolicyPersona.model_validate(
        CHAT.model_dump()
        | {
            "mode": "monologue",
            "memory": memory,
            "backtrack": ("Wait. $critique ",),
            "recompute": ("Again: $left =",),
            "reflect": ("Hm, $critique ",),
        }
    )
    return PolicyPrompt(persona)


def test_a_monologue_is_one_unfinished_message_that_opens_with_the_doubt() -> None:
    turns = journey()
    prompt = monologue("path")
    start = policy_view([])
    assert shown(prompt.messages(start, prompt.opening(start)))[-1] == ("user", f"Problem: {QUESTION}")
    reflecting = policy_view(turns[:3])
    said = "Brackets first.\n2 + 2 = 4\nSo 4.\n"
    assert shown(prompt.messages(reflecting, prompt.opening(reflecting)))[-1] == (
        "assistant",
        f"{said}Hm, Is that all?",
    )
    back = policy_view(turns[:5])
    assert shown(prompt.messages(back, prompt.opening(back)))[-1] == ("assistant", f"{said}Again: 4 * 3 =")


def test_a_sum_is_done_again_without_the_words_that_opened_the_step_before() -> None:
    wrong = turn([], "Again: 2 + 2 = 5", Move.BACKTRACK, quote="Again: 2 + 2 = 5")
    assert monologue("path").opening(policy_view([wrong])) == "Again: 2 + 2 ="


def test_a_sum_whose_first_link_went_too_is_not_done_again() -> None:
    """`104 * 3 =` would open a step whose 104 nobody has found any more."""
    turns = [turn([], "52 + 52 = 104")]
    for keep, opening in ((1, "Again: 104 * 3 ="), (0, "Wait. 104 * 3 is not 314.")):
        wrong, critique = "104 * 3 = 314", "104 * 3 is not 314."
        back = turn(turns, wrong, Move.BACKTRACK, quote=wrong, critique=critique, keep=keep)
        assert monologue("path").opening(policy_view([*turns, back])) == opening


def test_an_opening_is_one_line_and_an_empty_step_gets_none() -> None:
    doubted = turn([], "So 4.", Move.BACKTRACK, critique="Is it?\n\nReally?")
    assert monologue("path").opening(policy_view([doubted])) == "Wait. Is it? Really?"
    silent = turn([], "", Move.BACKTRACK, critique="This step says nothing.")
    assert monologue("path").opening(policy_view([silent])) == ""


def test_full_memory_leaves_the_wrong_turn_in_the_monologue() -> None:
    view = policy_view(journey()[:6])
    path = str(monologue("path").messages(view)[-1].content)
    full = str(monologue("full").messages(view)[-1].content)
    assert "No, there is a factor." not in path
    assert "4 * 3 = 13" not in path
    assert full == "Brackets first.\n2 + 2 = 4\nSo 4.\nNo, there is a factor.\n4 * 3 = 13\n4 * 3 = 12\n"


async def test_a_monologue_step_begins_with_its_opening_and_says_that_it_continues() -> None:
    seen: list[Sequence[LLMMessage]] = []

    def script(messages: Sequence[LLMMessage], request_id: str) -> str:
        seen.append(messages)
        return " 12\nand what comes after the delimiter"

    agent = PolicyAgent(monologue("path").persona, ScriptedEngine(script))
    proposal = await agent.propose(policy_view(journey()[:5]))
    assert proposal.step == "Again: 4 * 3 = 12"
    assert isinstance(seen[0][-1], AssistantMessage)
    assert (await PolicyAgent(CHAT, ScriptedEngine("")).propose(policy_view([]))).step == ""


def test_a_line_that_only_repeats_is_not_calculated_again() -> None:
    kinds = {"repeated_step": "Wait. Said before.", "false_equation": "Again: 2 + 2 ="}
    for kind, opening in kinds.items():
        found = (Evidence(kind="repeated_step", detail="Twice."), Evidence(kind=kind, detail="So."))
        repeated = turn([], "2 + 2 = 4", Move.BACKTRACK, critique="Said before.", quote="2 + 2 = 4", evidence=found)
        assert monologue("path").opening(policy_view([repeated])) == opening


@dataclass
class Spoken:
    """A model that says these lines one after the other, and the messages it was asked with."""

    lines: list[str]
    asked: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    def __call__(self, messages: Sequence[LLMMessage], request_id: str) -> str:
        self.asked.append(str(messages[-1].content) if isinstance(messages[-1], AssistantMessage) else "")
        self.ids.append(request_id)
        return self.lines[len(self.asked) - 1]


@pytest.mark.parametrize("closing", ["</think>", "", "  </think>"])
async def test_a_tuned_model_goes_on_behind_its_thought_to_the_answer(closing: str) -> None:
    tuned = load_policy("tuned")
    says = Spoken([closing, "Answer: 12"])
    turns = journey()[:6]
    proposal = await PolicyAgent(tuned, ScriptedEngine(says)).propose(policy_view(turns))
    assert (proposal.step, proposal.cost.calls) == ("Answer: 12", 2)
    said = "<think>\nBrackets first.\n2 + 2 = 4\nSo 4.\nNo, there is a factor.\n4 * 3 = 13\n4 * 3 = 12\n"
    assert says.asked == [said, f"{said}</think>\n\n" if closing else f"{said}\n"]
    assert len(set(says.ids)) == 2
    last_line = Spoken(["So 12.</think>"])
    assert (await PolicyAgent(tuned, ScriptedEngine(last_line)).propose(policy_view(turns))).step == "So 12."


async def test_a_model_that_never_says_a_word_gives_an_empty_step() -> None:
    says = Spoken([""] * 3)
    proposal = await PolicyAgent(load_policy("tuned"), ScriptedEngine(says)).propose(policy_view([]))
    assert (proposal.step, proposal.cost.calls) == ("", 3)
    assert says.asked == ["<think>\n", "<think>\n\n", "<think>\n\n\n"]


def test_a_model_folder_brings_the_voice_it_was_trained_in(tmp_path: Path) -> None:
    assert load_policy("auto", model=str(tmp_path)).name == "stepwise"
    assert load_policy("auto", model="embedded").name == "stepwise"
    own = (PERSONA_FOLDER / "policy" / "tuned.yaml").read_text("utf-8").replace("<think>", "<Thought>")
    (tmp_path / "persona.yaml").write_text(own, encoding="utf-8")
    persona = load_policy("auto", model=str(tmp_path))
    assert (persona.name, persona.opens) == ("tuned", "<Thought>\n")
    assert load_policy("monologue", model=str(tmp_path)).name == "monologue"


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


def test_texts_with_dollars_in_problem_and_critique_stay_text() -> None:
    view = policy_view([turn([], "It costs $9.", Move.BACKTRACK, critique="$question costs $$ and ${step}")])
    asked = shown(PolicyPrompt(CHAT).messages(view.model_copy(update={"question": "What is $x? $critique"})))[-1][1]
    assert "Problem: What is $x? $critique" in asked
    assert "$question costs $$ and ${step}" in asked


def test_messages_are_of_autogens_own_types() -> None:
    messages = PolicyPrompt(CHAT).messages(policy_view(journey()[:2]))
    assert {type(message) for message in messages} == {SystemMessage, UserMessage, AssistantMessage}
