"""A search tree in the viewer: what is walked, folded and marked, and that thousands of steps stay usable."""

from collections.abc import Iterator
from typing import Any

import pytest
from viewer_material import MARKS, chromium, problem, serving

from journeys.draft import Draft
from journeys.record import Journey, Move, Rival, Turn, Verdict, Verification, Voice
from journeys.store import Store
from journeys.tree import Completion, Node, Tree
from protocols.walk import Visit
from viewer.outline import outline, walked
from viewer.server import ViewServer

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSER = chromium()
RIGHT = Verification(status="right", given="34", method="math-verify")
WRONG = RIGHT.model_copy(update={"status": "wrong", "given": "36"})
MANY = 2000


def node(id: int, parent: int | None, step: str, **more: Any) -> Node:
    return Node(id=id, parent=parent, step=step, **more)


#  0 17 + 25 = 42                       1 17 + 25 = 43 (refuted, with 2 below it)
#  3 42 - 8 = 34   4 42 - 8 = 36
#  5 Answer: 34    6 Answer: 36
TREE = Tree(
    nodes=(
        node(0, None, "17 + 25 = 42", visits=5, value=1.0, score=1.0),
        node(1, None, "17 + 25 = 43", refuted=True, reason="17 + 25 is not 43.", score=0.0),
        node(2, 1, MARKS[0], kept=False, score=0.25),
        node(3, 0, "42 - 8 = 34", visits=3, value=3.0, action="subquestion", votes=("so 34", MARKS[0])),
        node(4, 0, "42 - 8 = 36", visits=2, value=-2.0),
        node(5, 3, "Answer: 34", answer="34", verification=RIGHT, visits=3, value=3.0),
        node(6, 4, "Answer: 36", answer="36", verification=WRONG, visits=2, value=-2.0),
    ),
    rollouts=5,
    right_rollouts=3,
    completions=(
        Completion(leaf=5, shown=("17 + 25 = 42",), steps=(MARKS[0], "Answer: 34"), answer="34", agrees=True),
        Completion(leaf=6, shown=(), steps=("no idea",)),
    ),
)


def many() -> Tree:
    """Two thousand steps, four after each, the right answer last."""
    nodes = [node(id, (id - 1) // 4 if id else None, f"step {id} = {id}") for id in range(MANY - 1)]
    last = node(MANY - 1, (MANY - 2) // 4, "Answer: 34", answer="34", verification=RIGHT)
    return Tree(nodes=(*nodes, last))


def journey_through(tree: Tree, leaf: int, number: int) -> tuple[Draft, Journey]:
    draft = Draft(f"s-{number}#0", problem(number), protocol="mcts", policy=Voice(persona="p", model="m"))
    draft.keep(tree)
    for place, visit in enumerate(map(Visit, tree.way_to(tree.nodes[leaf]))):
        draft.add(visit.node.as_turn(id=place, parent=place - 1 if place else None))
    return draft, draft.finish("solved", verification=RIGHT)


def test_the_steps_that_a_journey_took_are_found_again() -> None:
    _, journey = journey_through(TREE, 5, 0)
    assert walked(TREE, journey.turns) == {0: 0, 3: 1, 5: 2}
    assert walked(TREE, ()) == {}


def test_branches_fold_and_those_that_were_walked_are_open() -> None:
    _, journey = journey_through(TREE, 5, 0)
    found = outline(TREE, journey.turns)
    shown = [(line.kind, line.node.id if line.node else None, line.open, line.state) for line in found.lines]
    assert shown == [
        ("fold", 0, True, "stands"),
        ("fold", 3, True, "stands"),
        ("step", 5, True, "answer"),
        ("end", None, False, ""),
        ("fold", 4, False, "repeated"),
        ("step", 6, False, "refuted"),
        ("end", None, False, ""),
        ("end", None, False, ""),
        ("fold", 1, False, "refuted"),
        ("step", 2, False, "dropped"),
        ("end", None, False, ""),
    ]
    assert [line.below for line in found.lines if line.node and line.node.id in (0, 1)] == [4, 1]
    assert all(line.open for line in outline(TREE, journey.turns, unfolded=True).lines if line.node)
    assert found.right == 1


def test_a_long_way_without_a_fork_is_not_nested() -> None:
    chain = Tree(nodes=tuple(node(id, id - 1 if id else None, f"step {id}") for id in range(3000)))
    assert {line.kind for line in outline(chain, ()).lines} == {"step"}


# In a browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViewServer]:
    folder = tmp_path_factory.mktemp("viewer")
    with pytest.MonkeyPatch.context() as patch, Store(folder / "runs" / "searched" / "journeys.db") as store:
        patch.setenv("RETRACE_CACHE", str(folder / "cache"))
        for number, (tree, leaf) in enumerate([(TREE, 5), (many(), MANY - 1)]):
            draft, journey = journey_through(tree, leaf, number)
            store.begin(draft)
            store.add_tree(draft.id, tree)
            store.finish(journey)
        plain = Draft("s-2#0", problem(2), protocol="debate", policy=Voice(persona="p", model="m"))
        rival = Rival(step=f"17 + 25 = 41 {MARKS[0]}", by="second", verdict=Verdict(move=Move.CONTINUE))
        plain.add(Turn(id=0, parent=None, step="17 + 25 = 42", verdict=Verdict(move=Move.CONTINUE), rival=rival))
        plain.add(Turn(id=1, parent=0, step="42 - 8 = 34", verdict=Verdict(move=Move.CONTINUE), by="both"))
        store.begin(plain)
        store.finish(plain.finish("exhausted:turns"))
        store.flush()
        with serving(folder / "runs") as served:
            yield served


@pytest.fixture
def page(server: ViewServer) -> Iterator[Any]:
    """It fails the test on a script error, and on any request to somewhere else."""
    if BROWSER is None:
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(viewport={"width": 1280, "height": 900})
        opened.set_default_timeout(60_000)
        faults: list[str] = []
        home = server.link("/").partition("?")[0]
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        opened.on("request", lambda asked: faults.append(asked.url) if not asked.url.startswith(home) else None)
        yield opened
        browser.close()
        assert faults == []


def test_a_journey_leads_to_its_search_with_all_figures(page: Any, server: ViewServer) -> None:
    page.goto(server.link("/see/searched/journey/s-0%230"))
    page.locator("#search").click()
    page.wait_for_selector("#outline")
    facts = page.locator(".facts").inner_text()
    assert "7 steps tried" in facts
    assert "3 of 5 rollouts right: medium" in facts
    walked_lines = page.locator("#outline .walked")
    assert [text.split("\n")[0] for text in walked_lines.all_inner_texts()] == [
        "17 + 25 = 42",
        "42 - 8 = 34",
        "Answer: 34",
    ]
    first = walked_lines.first.inner_text()
    assert "5 visits, Q +0.20" in " ".join(first.split())
    assert not page.get_by_text("Answer: 36", exact=True).is_visible(), "a branch that nobody walked is folded"
    page.locator("[data-node='4'] > summary").click()
    assert page.get_by_text("Answer: 36", exact=True).is_visible()
    page.locator("[data-node='1'] > summary").click()
    page.get_by_text("17 + 25 is not 43.").wait_for()
    page.locator("[data-node='2']").wait_for()  # it opens in a frame of its own
    refuted = page.locator("[data-node='1']").inner_text()
    assert "17 + 25 is not 43." in refuted
    assert "pruned" in refuted
    assert MARKS[0] in refuted, "what a model wrote is text"
    assert page.evaluate("window.pwned") is None


def test_actions_samples_and_second_opinions_are_shown(page: Any, server: ViewServer) -> None:
    page.goto(server.link("/see/searched/search/s-0%230"))
    asked = " ".join(page.locator("[data-node='3'] > summary").inner_text().split())
    assert "subquestion" in asked
    assert "of 3 samples" in asked
    opinions = page.get_by_label("Second opinions")
    assert "no answer" in opinions.inner_text()
    opinions.locator("summary").first.click()
    assert MARKS[0] in opinions.inner_text(), "what a model wrote is text"
    assert page.evaluate("window.pwned") is None


def test_a_debate_shows_who_wrote_what_and_the_step_that_did_not_go_on(page: Any, server: ViewServer) -> None:
    page.goto(server.link("/see/searched/journey/s-2%230"))
    first, second = (page.locator(f"article[data-turn='{turn}']").first for turn in (0, 1))
    assert "both policies" in second.inner_text()
    assert "17 + 25 = 41" not in first.inner_text()
    first.get_by_text("the second policy wrote another step").click()
    assert f"17 + 25 = 41 {MARKS[0]}" in first.inner_text()
    assert page.evaluate("window.pwned") is None


def test_two_thousand_steps_stay_usable(page: Any, server: ViewServer) -> None:
    page.goto(server.link("/see/searched/search/s-1%230"))
    page.wait_for_selector("#outline .walked")
    assert page.locator("#outline [data-node]").count() == MANY
    assert page.evaluate("document.querySelector('#outline').offsetHeight") < 4000, "what is folded takes no room"
    assert page.get_by_text("Answer: 34").is_visible(), "the walk is open to its end"
    page.get_by_role("link", name="Unfold all").click()
    page.wait_for_selector("#outline details[open] details[open]")
    assert page.locator("#outline details:not([open])").count() == 0
    assert len(page.content()) < 1_000_000


def test_a_journey_without_a_search_has_no_such_page(page: Any, server: ViewServer) -> None:
    page.goto(server.link("/see/searched/journey/s-2%230"))
    assert page.locator("#search").count() == 0
    answer = page.request.get(server.link("/see/searched/search/s-2%230"))
    assert answer.status == 404
    assert "no search tree" in answer.text()
