"""A thought in a model's words: what is faithful stands, what is not falls back to the template."""

from stitch_material import JOURNEYS, LATEX, SUM, assert_covered

from journeys.stitching.thought import must_keep, narrate, stitch


async def faithful(draft: str, *, must_keep: tuple[str, ...], journey_id: str) -> str:
    """Rewrites as a good model would: other words around the same equations, in the same order."""
    text = (
        draft.replace("I need to work out", "What I want is").replace("Wait,", "Oh no,").replace("Then ", "Next up, ")
    )
    return text.replace("Hmm,", "Hold on,") + " That feels good to have done carefully."


async def broken(draft: str, *, must_keep: tuple[str, ...], journey_id: str) -> str:
    return draft.replace("17 + 25 = 42", "17 + 25 = 44")


async def test_a_faithful_rewrite_stands_with_spans_of_its_own() -> None:
    thought = await narrate(SUM, faithful)
    assert thought.narrator == "model"
    assert not thought.fell_back
    assert_covered(thought, SUM)
    by_turn = {span.turn: thought.text[span.start : span.end] for span in thought.spans if span.part == "step"}
    assert "43" in by_turn[0]
    assert "17 + 25 = 42" in by_turn[1]
    assert "42 - 8 = 34" in by_turn[2]


async def test_a_rewrite_that_changes_an_equation_falls_back_to_the_template() -> None:
    thought = await narrate(SUM, broken)
    assert thought.fell_back
    assert thought.narrator == "template"
    assert thought.text == stitch(SUM).text
    assert thought.gate.passed
    assert [failure.split(":")[0] for failure in thought.rejected] == ["lost_equation"]


async def test_an_empty_rewrite_falls_back() -> None:
    async def silent(draft: str, *, must_keep: tuple[str, ...], journey_id: str) -> str:
        return " \n"

    assert (await narrate(SUM, silent)).rejected == ("empty: ",)


def test_a_rewrite_is_told_to_keep_every_equation_and_the_answer() -> None:
    assert must_keep(SUM) == ("17 + 25 = 43", "17 + 25 = 42", "42 - 8 = 34", "34")
    assert "$3x + 7 = 100$" in must_keep(LATEX)
    assert all(item in stitch(journey).text for journey in JOURNEYS.values() for item in must_keep(journey))
