# ruff: noqa: F401, F811  (fixtures are imported, and taken as arguments)
"""The viewer in a real browser, over runs of the real `generate`: everything a person does with it."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from browser_fixtures import BROWSER, arrived, browser, folder, go, page, read_through, server, until
from viewer_material import MARKS, long_journey

from journeys.store import Store
from viewer.judgements import Judgements
from viewer.server import ViewServer

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine (apt-get install chromium)")
LONG = 500


# 1. Browse


def test_filters_answer_at_once_and_their_link_reproduces_the_view(page: Any, server: ViewServer) -> None:
    read_through(page, server, "first")
    assert page.locator("#total").inner_text() == "12"
    page.get_by_label("wrong").check()
    until(page, "document.querySelector('#total').textContent === '1'")
    assert "outcome=wrong" in page.url
    assert page.locator(".row").count() == 1
    assert page.locator("[data-count='outcome=solved']").inner_text() == "11", "what it would leave, not what is shown"
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    assert page.locator("#total").inner_text() == "1"
    assert page.get_by_label("wrong").is_checked()
    page.get_by_role("link", name="Clear all").click()
    until(page, "document.querySelector('#total').textContent === '12'")


def test_words_are_found_in_verdicts_and_thoughts(page: Any, server: ViewServer) -> None:
    read_through(page, server, "first")
    page.keyboard.press("/")
    page.keyboard.type("13")
    until(page, "document.querySelector('#total').textContent === '1'")
    page.locator("#q").fill("")
    page.get_by_label("in a verdict").fill("wait")
    until(page, "location.search.includes('said=wait')")
    until(page, "document.querySelector('#total').textContent === '12'")


def test_a_list_is_walked_and_opened_by_keys(page: Any, server: ViewServer) -> None:
    go(page, server, "/see/first")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    arrived(page, "#desk")
    assert page.locator("#desk").get_attribute("data-journey") == "p-1#0"
    page.keyboard.press("j")
    arrived(page, "#desk[data-journey='p-2#0']")
    page.keyboard.press("k")
    arrived(page, "#desk[data-journey='p-1#0']")
    page.keyboard.press("u")
    page.wait_for_selector(".rows")


# 2. Read one journey


def test_words_of_the_thought_light_their_turn_and_the_other_way_round(page: Any, server: ViewServer) -> None:
    go(page, server, "/see/first/journey/p-0%230")
    assert page.locator(".node").count() == page.locator(".turn").count() == 4
    piece = page.locator(".piece[data-turns^='1']").first
    piece.hover()
    assert page.locator(".turn.lit").get_attribute("data-turn") == "1"
    assert page.locator(".node.lit").get_attribute("data-turn") == "1"
    page.locator("#turn-0 .step").hover()
    lit = page.locator(".piece.lit")
    assert lit.count() >= 1
    assert all("0" in one.split() for one in lit.evaluate_all("all => all.map(one => one.dataset.turns)"))
    text = page.locator("#thought .thought").first.evaluate("box => box.textContent.trim()")
    assert "No, that was off" in text or "2 + 2 = 4" in text


def test_words_that_tell_several_turns_light_all_of_them(page: Any, server: ViewServer) -> None:
    go(page, server, "/see/first/journey/p-0%230")
    page.locator(".piece").first.evaluate("piece => piece.dataset.turns = '0 2'")
    page.evaluate("gatherMarked()")
    page.locator(".piece").first.hover()
    lit = page.locator(".turn.lit").evaluate_all("all => all.map(one => one.dataset.turn)")
    assert lit == ["0", "2"]


def test_the_tree_is_walked_by_keys(page: Any, server: ViewServer) -> None:
    go(page, server, "/see/first/journey/p-0%230")
    page.keyboard.press("ArrowRight")
    assert page.locator("#at").inner_text() == "1 of 4"
    assert page.locator(".node.now").get_attribute("data-turn") == "0"
    assert page.locator(".node.ahead").count() == 3
    page.keyboard.press("ArrowRight")
    assert page.locator(".node.gone").get_attribute("data-turn") == "0", "taken back by then"
    assert page.locator("path.back.now").count() == 0
    page.keyboard.press("Home")
    assert page.locator("path.back.now").count() == 1, "the way back from turn 0"
    page.keyboard.press("End")
    assert page.locator("#at").inner_text() == "all"
    page.keyboard.press(" ")
    until(page, "document.querySelector('#at').textContent === '2 of 4'")
    page.keyboard.press(" ")


def test_mathematics_is_drawn_and_the_rows_that_came_of_it_are_shown(page: Any, server: ViewServer) -> None:
    go(page, server, "/see/first/journey/p-0%230")
    formula = page.locator("#talk math").first
    assert formula.get_attribute("aria-label") == r"4 \times 3 = 12"
    assert formula.locator("mn").first.text_content() == "4"
    page.locator("summary", has_text="Its rows").click()
    page.wait_for_selector("#rows")
    assert "<think>" in page.locator("#rows pre").first.inner_text()
    assert page.locator("#rows h3", has_text="turn 1 over turn 0").count() == 1
    assert page.locator("#rows .rating").all_inner_texts() == ["+1", "+1", "+1", "-1"]
    go(page, server, "/see/first/journey/p-7%230")
    assert "did not end in a right answer" in page.locator("#fate").inner_text()


# 3. Compare


def test_two_runs_are_compared_problem_by_problem(page: Any, server: ViewServer) -> None:
    go(page, server, "/compare?a=first&b=second")
    changes = dict(zip(("gained", "lost", "kept", "missed"), page.locator(".change b").all_inner_texts(), strict=True))
    assert changes == {"gained": "1", "lost": "2", "kept": "9", "missed": "0"}
    page.locator(".change", has_text="wrong → right").click()
    page.wait_for_selector(".change[aria-current]")
    assert page.locator("tbody tr").count() == 1
    page.locator("tbody a").click()
    page.wait_for_selector("section.s1")
    sides = page.locator("section.s0, section.s1")
    assert "wrong" in sides.nth(0).inner_text()
    assert "solved" in sides.nth(1).inner_text()
    assert "2 + 2 = 4" in sides.nth(1).inner_text()


def test_two_models_of_an_evaluation_are_compared_and_its_figures_drawn(page: Any, server: ViewServer) -> None:
    go(page, server, "/see/scores/overview")
    assert page.locator(".whisker").count() >= 2
    assert "20.0%" in page.locator("table").first.inner_text()
    page.get_by_role("link", name="problem by problem").click()
    page.wait_for_selector(".changes")
    assert page.locator(".change b").all_inner_texts() == ["3", "0", "1", "1"]
    go(page, server, "/see/scores?thought=wait")
    assert page.locator("#total").inner_text() == "5"


# 4. Watch


def test_a_run_is_seen_growing_while_it_is_written(page: Any, server: ViewServer, folder: Path) -> None:
    live = folder / "runs" / "live"
    live.mkdir()
    one, other = long_journey(0, turns=3), long_journey(1, turns=4)
    with Store(live / "journeys.db") as store:
        store.begin(one)
        store.flush()
        go(page, server, "/see/live/overview")
        assert "1 growing now" in page.locator("h1").inner_text()
        store.finish(one.finish("exhausted:turns"))
        store.begin(other)
        store.flush()
        until(page, "document.querySelector('h1').textContent.trim().startsWith('2')")
        until(page, "document.querySelector('.feed').textContent.includes('4 turns')")
        go(page, server, "/see/live/journey/sum-1%230")
        assert page.locator(".turn").count() == 4
        assert "growing" in page.locator(".facts").inner_text()
        page.keyboard.press("Home")
        for turn in long_journey(1, turns=6).turns[4:]:
            other.add(turn)
            store.add_turn(other.id, turn)
        store.flush()
        until(
            page, "document.querySelectorAll('.turn').length === 6 && document.querySelectorAll('.node').length === 6"
        )
        assert page.locator("#at").inner_text() == "1 of 6", "who walks it stays where he is"
        store.finish(other.finish("exhausted:turns"))
        store.flush()
        until(page, "document.querySelector('.facts').textContent.includes('exhausted')")
        assert page.locator("[data-poll]").count() == 0
        page.locator("#fate summary").click()
        page.wait_for_selector("#fate #rows")


def test_training_curves_are_drawn(page: Any, server: ViewServer) -> None:
    go(page, server, "/see/sft/overview")
    assert page.locator("figure.plot figcaption").first.inner_text().startswith("Loss")
    assert page.locator("polyline").count() >= 1


# 5. Judge


def test_a_step_and_a_thought_are_judged_by_keys_and_become_rows(page: Any, server: ViewServer, folder: Path) -> None:
    kept = Judgements(folder / "runs" / "first")
    go(page, server, "/see/first/journey/p-3%230")
    page.keyboard.press("g")
    page.wait_for_selector("[data-judge='-1'][data-mark='good']")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("b")
    page.wait_for_selector("[data-judge='0'][data-mark='bad']")
    page.keyboard.press("n")
    page.locator("textarea").fill("2 + 2 is 4 <b>")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('[data-judge=\"0\"] .note').textContent === '2 + 2 is 4 <b>'")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("g")
    page.wait_for_selector("[data-judge='1'][data-mark='good']")
    page.keyboard.press("g")
    page.wait_for_selector("[data-judge='1'][data-mark='']", state="attached")
    assert sorted(kept.of("p-3#0")) == [-1, 0], "the same key again takes it back"
    page.keyboard.press("g")
    page.wait_for_selector("[data-judge='1'][data-mark='good']")
    page.reload()
    assert page.locator("#turn-0 button[aria-pressed='true']").inner_text() == "bad"
    go(page, server, "/see/first?flag=bad")
    assert page.locator(".row").count() == 1
    go(page, server, "/see/first/judgements")
    page.get_by_role("button", name="Write as training rows").click()
    page.wait_for_selector(".notice.good")
    rows = folder / "runs" / "first" / "judged"
    (pair,) = [json.loads(row) for row in (rows / "preferences.jsonl").read_text().splitlines()]
    assert (pair["chosen_turn"], pair["rejected_turn"], pair["why"]) == (1, 0, "reader")
    labels = [json.loads(row) for row in (rows / "step_labels.jsonl").read_text().splitlines()]
    assert sorted(row["ratings"][-1] for row in labels) == [-1, 1]


# 6. Take away


def test_a_report_is_one_file_that_asks_the_network_for_nothing(
    browser: Any, server: ViewServer, folder: Path, tmp_path: Path
) -> None:
    import run

    for key in ("runs/first", "runs/hostile", "outputs/scores", "outputs/sft"):
        file = tmp_path / f"{Path(key).name}.html"
        assert run.main(["report", str(folder / key), "--out", str(file)]) == 0
        context = browser.new_context(offline=True)
        opened = context.new_page()
        asked: list[str] = []
        faults: list[str] = []
        opened.on("request", lambda request, asked=asked: asked.append(request.url))
        opened.on("console", lambda said, faults=faults: faults.append(said.text))
        opened.goto(file.as_uri())
        assert asked == [file.as_uri()]
        assert faults == [], "its own policy lets its own style and script in"
        assert opened.evaluate("window.pwned") is None
        assert opened.evaluate("getComputedStyle(document.body).backgroundColor") != "rgba(0, 0, 0, 0)"
        if key == "runs/first":
            opened.locator(".piece").first.hover()
            assert opened.locator(".turn.lit").count() >= 1
        context.close()


# What a model wrote is text


def test_markup_in_model_text_is_shown_and_does_nothing(page: Any, server: ViewServer) -> None:
    read_through(page, server, "hostile")
    for path in ("/see/hostile", "/see/hostile/overview", "/compare?a=hostile&b=first", "/see/hostile/journey/p-0%230"):
        go(page, server, path)
        assert page.evaluate("window.pwned") is None
        assert page.locator("#injected").count() == 0
        assert page.locator("main img, main a[href^='javascript'], main [href^='javascript'], main .evil").count() == 0
        assert page.evaluate("[...document.scripts].every(one => one.src.startsWith(location.origin + '/static/'))")
    for mark in MARKS:
        assert mark in page.locator("#talk").inner_text(), "shown as it was written"
        assert mark in page.locator("h1").inner_text()
    assert "{{ 7 * 7 }}" in page.locator("#talk").inner_text()
    page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    assert page.evaluate("window.pwned") is None


# Damage


def test_a_damaged_journey_is_named_and_the_rest_can_be_read(page: Any, server: ViewServer, folder: Path) -> None:
    hurt = folder / "runs" / "hurt"
    hurt.mkdir()
    with Store(hurt / "journeys.db") as store:
        for number in range(3):
            store.begin(long_journey(number, turns=3))
            store.finish(long_journey(number, turns=3).finish("exhausted:turns"))
    with closing(sqlite3.connect(hurt / "journeys.db")) as db, db:
        db.execute("UPDATE turns SET json = '{' WHERE journey_id = 'sum-1#0'")
    read_through(page, server, "hurt")
    assert page.locator(".row", has_text="damaged").count() == 1
    page.locator(".row a").nth(1).click()
    arrived(page, ".notice.bad")
    page.faults.clear()  # the answer is a 422, which the browser notes
    assert "sum-1#0 is damaged" in page.locator(".notice.bad").inner_text()
    page.keyboard.press("j")
    page.wait_for_selector("#desk[data-journey='sum-2#0']")


def test_a_file_that_is_no_store_is_said_to_be_none(page: Any, server: ViewServer, folder: Path) -> None:
    broken = folder / "runs" / "broken"
    broken.mkdir()
    (broken / "journeys.db").write_bytes(b"not a database, and long enough to be read as one" * 99)
    go(page, server, "/see/broken")
    page.faults.clear()
    assert "not a store of this program" in page.locator(".notice.bad").inner_text()
    go(page, server, "/")
    assert page.locator(".card", has_text="first").count() == 1
    assert page.locator(".card .notice.bad").count() == 1


# Looks


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_the_screen(browser: Any, server: ViewServer, page: Any, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=scheme)
    for path in (
        *(
            "/",
            "/see/first",
            "/see/hostile",
            "/see/first/overview",
            "/see/first/judgements",
        ),
        *("/see/first/journey/p-0%230", "/see/hostile/journey/p-0%230", "/see/scores/overview", "/see/sft/overview"),
        *("/compare?a=first&b=second", "/compare/problem?a=first&b=second&problem=p-1"),
    ):
        go(page, server, path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 26)"
        assert dark == (scheme == "dark")


def test_light_and_dark_are_switched_and_remembered(page: Any, server: ViewServer) -> None:
    go(page, server, "/")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_label("Light or dark").click()
    after = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert before != after
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == after


# Large ones


def test_a_journey_of_500_turns_is_drawn_while_a_reader_waits(page: Any, server: ViewServer, folder: Path) -> None:
    large = folder / "runs" / "large"
    large.mkdir()
    draft = long_journey(0, turns=LONG)
    with Store(large / "journeys.db") as store:
        store.begin(draft)
        store.finish(draft.finish("exhausted:turns"))
    go(page, server, "/see/large")
    times = []
    for _ in range(2):
        began = time.perf_counter()
        go(page, server, "/see/large/journey/sum-0%230")
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        times.append(time.perf_counter() - began)
    assert page.locator(".node").count() == LONG
    began = time.perf_counter()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".node.now")
    assert time.perf_counter() - began < 1
    assert min(times) < 3, "under a second on an idle machine (benchmarks/viewer_times.py); CI is not idle"
