"""What the policy reads: personas rendered over journeys that go forward, back, and stop to think."""

import pytest
from autogen_core.models import AssistantMessage, SystemMessage, UserMessage
from prompt_material import CHAT, QUESTION, flat, journey, monologue, policy_view, shown, turn

from agents.persona import PERSONA_FOLDER, load_policy
from agents.policy_prompt import PolicyPrompt
from journeys.record import Evidence, Move, Turn

SHIPPED_POLICIES = sorted(file.stem for file in (PERSONA_FOLDER / "policy").glob("*.yaml"))


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


@pytest.mark.parametrize(
    ("step", "quote", "opening"),
    [
        ("25 - 1 = 24, 24 + 8 = 22", "24 + 8 = 22", "Again: 25 - 1 = 24, 24 + 8 ="),
        ("Again: 25 - 1 = 24, 24 + 8 = 22", "24 + 8 = 22", "Again: 25 - 1 = 24, 24 + 8 ="),
        ("25 - 1 = 22, 22 + 8 = 30", "25 - 1 = 22", "Again: 25 - 1 ="),
        ("60 + 20 = 80 + 20 = 80", "80 + 20 = 80", "Again: 80 + 20 ="),
        ("The 24 eggs and 8 more are 24 + 8 = 22", "24 + 8 = 22", "Again: 24 + 8 ="),
    ],
)
def test_a_sum_is_done_again_with_what_its_line_calculates_before_it(step: str, quote: str, opening: str) -> None:
    """`24 + 8 =` alone would lose the way to 24."""
    earlier = turn([], "26 - 2 = 24", Move.BACKTRACK, critique="No.", keep=0)  # its 24 went, and this line has its own
    wrong = turn([earlier], step, Move.BACKTRACK, quote=quote, keep=0)
    view = policy_view([wrong] if "eggs" in step else [earlier, wrong])
    assert monologue("path").opening(view) == opening


@pytest.mark.parametrize(("memory", "opening"), [("path", ""), ("full", "Wait. 104 * 3 is not 314.")])
def test_a_sum_whose_first_link_went_too_is_not_done_again(memory: str, opening: str) -> None:
    """`104 * 3 =` would open a step whose 104 nobody has found any more, and so would words that name it."""
    turns = [turn([], "52 + 52 = 104")]
    wrong, critique = "104 * 3 = 314", "104 * 3 is not 314."
    near = turn(turns, wrong, Move.BACKTRACK, quote=wrong, critique=critique, keep=1)
    assert monologue(memory).opening(policy_view([*turns, near])) == "Again: 104 * 3 ="
    turns.append(turn(turns, wrong, Move.BACKTRACK, quote=wrong, critique=critique, keep=0))
    assert monologue(memory).opening(policy_view(turns)) == opening
    # The model did it again all the same: what went two verdicts ago is still gone.
    turns.append(turn(turns, wrong, Move.BACKTRACK, quote=wrong, critique=critique, keep=0))
    assert monologue(memory).opening(policy_view(turns)) == opening


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


def test_a_line_that_only_repeats_is_not_calculated_again() -> None:
    kinds = {"repeated_step": "Wait. Said before.", "false_equation": "Again: 2 + 2 ="}
    for kind, opening in kinds.items():
        found = (Evidence(kind="repeated_step", detail="Twice."), Evidence(kind=kind, detail="So."))
        repeated = turn([], "2 + 2 = 4", Move.BACKTRACK, critique="Said before.", quote="2 + 2 = 4", evidence=found)
        assert monologue("path").opening(policy_view([repeated])) == opening


@pytest.mark.parametrize("kind", ["missed_target", "unavailable_number"])
def test_a_true_line_that_leads_nowhere_is_not_calculated_again(kind: str) -> None:
    found = (Evidence(kind=kind, detail="4 is not 5."),)
    missed = turn([], "2 + 2 = 4", Move.BACKTRACK, critique="4 is not 5.", quote="2 + 2 = 4", evidence=found)
    assert monologue("full").opening(policy_view([missed])) == "Wait. 4 is not 5."


def test_texts_with_dollars_in_problem_and_critique_stay_text() -> None:
    view = policy_view([turn([], "It costs $9.", Move.BACKTRACK, critique="$question costs $$ and ${step}")])
    asked = shown(PolicyPrompt(CHAT).messages(view.model_copy(update={"question": "What is $x? $critique"})))[-1][1]
    assert "Problem: What is $x? $critique" in asked
    assert "$question costs $$ and ${step}" in asked


def test_messages_are_of_autogens_own_types() -> None:
    messages = PolicyPrompt(CHAT).messages(policy_view(journey()[:2]))
    assert {type(message) for message in messages} == {SystemMessage, UserMessage, AssistantMessage}
