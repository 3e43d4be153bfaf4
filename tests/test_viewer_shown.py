"""What is drawn: mathematics that cannot become markup, trees without collisions, colours that can be read."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journey_material import grown, mended, redraft

from journeys.card import Provenance
from journeys.exports import export
from journeys.formats import ExportSettings
from journeys.record import Voice, standing
from journeys.stitching.thought import stitch
from journeys.store import Store
from viewer.charts import Series, bin_width, curves, histogram
from viewer.comparison import sign_test
from viewer.folders import Source
from viewer.mathematics import ATTRIBUTES, ELEMENTS, shown
from viewer.story import REFUSALS, pieces, read_story, tell
from viewer.templating import HERE
from viewer.tree import draw

LATEX = st.lists(
    st.sampled_from(
        [
            *(
                r"\frac",
                r"\text",
                r"\href",
                "{",
                "}",
                "<script>",
                "</math>",
                "$",
                "$$",
                r"\(",
                r"\)",
                r"\[",
                r"\]",
                "^",
            ),
            *(
                "_",
                "x",
                "2",
                r"\class",
                r"\style",
                "&lt;",
                "&#60;img&#62;",
                '"',
                "onload=",
                r"\begin{matrix}",
                "&",
                "<!--",
            ),
            *(r"\boxed", r"\left(", r"\right)", "]]>", "javascript:", " ", "\n", r"\unicode{60}", r"\char", "\\\\"),
        ]
    ),
    max_size=24,
).map("".join)


class Reader(HTMLParser):
    """Notes what a browser would take for elements and attributes, and gives the text back."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.tags.append(("!--", {}))


@given(text=LATEX)
def test_no_formula_becomes_anything_but_mathematics(text: str) -> None:
    reader = Reader()
    reader.feed(str(shown(text)))
    for tag, attributes in reader.tags:
        assert tag == "math" or tag in ELEMENTS, tag
        for name, value in attributes.items():
            if tag == "math" and name in ("class", "display", "aria-label"):
                continue
            assert (name, value) == ("class", "boxed") or value in ATTRIBUTES[name], name


@given(text=st.text(max_size=80).filter(lambda text: not re.search(r"[$\\]", text)))
def test_text_without_formulas_is_shown_as_it_is(text: str) -> None:
    reader = Reader()
    reader.feed(str(shown(text)))
    reader.close()
    assert reader.tags == []
    assert reader.text == text


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        (r"so \(x^2\) is", 1),
        (r"\[\frac{1}{2}\]", 1),
        ("then $a + b$ follows", 1),
        ("$$a$$", 1),
        (r"the answer is \boxed{34}", 1),
        ("she pays $3 * 4 = $12 a day", 0),
        ("$5 and $6", 0),
        ("from $5, or 6$", 0),
        ("$" + "{" * 500 + "$", 0),
        (r"\(" + "x" * 2000 + r"\)", 0),
    ],
)
def test_money_is_no_mathematics_and_what_cannot_be_read_stays_text(text: str, formulas: int) -> None:
    reader = Reader()
    reader.feed(str(shown(text)))
    assert sum(tag == "math" for tag, _ in reader.tags) == formulas
    if not formulas:
        assert reader.text == text


@given(draft=grown(max_turns=14))
def test_a_tree_shows_every_turn_once_and_none_upon_another(draft: object) -> None:
    turns = draft.turns  # type: ignore[attr-defined]
    drawing = draw(turns, solved=None)
    places = [(node.x, node.y) for node in drawing.nodes]
    assert [node.turn for node in drawing.nodes] == [turn.id for turn in turns]
    assert len(set(places)) == len(turns)
    path = {turn.id for turn in standing(turns)}
    for node in drawing.nodes:
        assert (node.x == drawing.root[0]) == (node.turn in path), "the path, and only it, is straight"
        assert 0 < node.x < drawing.width
        assert 0 < node.y < drawing.height


@given(draft=grown(max_turns=8))
def test_the_pieces_of_a_thought_are_the_thought(draft: object) -> None:
    if not draft.turns:  # type: ignore[attr-defined]
        return
    thought = stitch(draft.finish("exhausted:turns"))  # type: ignore[attr-defined]
    cut = pieces(thought)
    assert "".join(piece.text for piece in cut) == thought.text
    assert all(piece.turns or not piece.text.strip() for piece in cut)


def test_a_story_says_who_took_each_turn_back() -> None:
    story = tell(mended(), settings=ExportSettings())
    assert story.removed_by == {0: 0, 2: 2}
    assert story.standing == {1, 3, 4}
    assert story.refused == ""
    states = {node.turn: node.state for node in story.drawing.nodes}
    assert states == {0: "refuted", 1: "stands", 2: "refuted", 3: "stands", 4: "answer"}


def test_a_journey_that_the_exports_left_out_is_not_called_a_row(tmp_path: Path) -> None:
    voice = Voice(persona="a", model="m")
    run = Provenance(name="run", protocol="dialogue", policy=voice, problems="one", num_problems=1, seed=0, digest="")
    source, journey = Source(key="run", path=tmp_path, kind="run"), mended()
    with Store(source.store) as store:
        store.begin(redraft(journey))
        store.finish(journey)
    for dirty, refused in ({}, ""), ({journey.problem.id: "what is 17 25 8"}, REFUSALS["contaminated"]):
        with Store(source.store) as store:
            export(store, tmp_path / "exports", ExportSettings(), run=run, dirty=dirty)
        story = read_story(source, journey.id)
        assert story is not None
        assert story.refused == refused


def test_plots_name_what_they_show_and_escape_it() -> None:
    drawn = str(histogram([{0: 3, 2: 1}], width=5, start=0, names=["<b>"], title="Turns <i>"))
    assert "<b>" not in drawn
    assert "<i>" not in drawn
    assert "0 to 5: 3 (75.0%)" in drawn
    assert "NaN" not in str(curves([Series("one", [(1.0, 2.0)])], title="Loss"))
    assert bin_width(0, 9) == 1
    assert bin_width(0, 4800) == 500 or bin_width(0, 4800) == 200


@pytest.mark.parametrize(("up", "down", "p"), [(0, 0, 1.0), (1, 2, 1.0), (5, 0, 0.0625), (8, 2, 0.109375)])
def test_the_sign_test_is_exact(up: int, down: int, p: float) -> None:
    assert sign_test(up, down) == pytest.approx(p)
    assert sign_test(5000, 5000) == pytest.approx(1.0)
    assert sign_test(5000, 4000) < 1e-20


INK = ("ink", "dim", "accent", "green", "red", "amber", "slate", "violet", "blue", "s0", "s1")
GROUNDS = ("paper", "sheet")
CHIPS = tuple((name, f"{name}-soft") for name in ("accent", "green", "red", "amber", "slate", "violet", "blue"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_colour_of_text_can_be_read_on_its_ground(scheme: str) -> None:
    style = (HERE / "static" / "style.css").read_text()
    blocks = re.findall(r"{([^{}]*--paper:[^{}]*)}", style)
    assert len(blocks) == 3
    assert colours(blocks[1]) == colours(blocks[2]), "the dark scheme is written twice, and alike"
    found = colours(blocks[0] if scheme == "light" else blocks[1])
    pairs = [(ink, ground) for ink in INK for ground in GROUNDS] + list(CHIPS) + [("ink", "lit"), ("ink", "sunk")]
    weak = {(a, b): round(c, 2) for a, b in pairs if (c := contrast(found[a], found[b])) < 4.5}
    assert not weak, "WCAG AA asks for 4.5"


def colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", block))


def contrast(one: str, other: str) -> float:
    """WCAG 2: the ratio of two relative luminances."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
