"""Problems from generators and files: always the same ones, and one clear line for each defect."""

import json
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from journeys.record import Problem
from problems.rows import FieldNames
from problems.sources import ProblemSettings, TaskSettings, iter_problems, load_problems
from problems.verifier import Verifier
from settings import UserError


def write(path: Path, *rows: Any) -> ProblemSettings:
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8"
    )
    return ProblemSettings(source="file", path=str(path))


def gym(*tasks: TaskSettings) -> ProblemSettings:
    return ProblemSettings(source="reasoning_gym", tasks=tasks)


def complaint(settings: ProblemSettings, *, count: int | None = None) -> str:
    with pytest.raises(UserError) as caught:
        load_problems(settings, count=count, seed=0)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_the_same_seed_makes_the_same_problems_and_another_seed_others() -> None:
    first = load_problems(ProblemSettings(), count=20, seed=1)
    assert first == load_problems(ProblemSettings(), count=20, seed=1)
    assert not {p.question for p in first} & {p.question for p in load_problems(ProblemSettings(), count=20, seed=2)}


def test_more_problems_begin_with_the_fewer() -> None:
    assert load_problems(ProblemSettings(), count=30, seed=1)[:10] == load_problems(ProblemSettings(), count=10, seed=1)


def test_ids_and_questions_are_distinct_even_where_the_generator_repeats_itself() -> None:
    small = TaskSettings(name="chain_sum", config={"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1})
    problems = load_problems(gym(small), count=60, seed=0)
    assert len({p.id for p in problems}) == len({p.question for p in problems}) == 60


def test_a_generator_that_runs_dry_says_so() -> None:
    tiny = TaskSettings(name="chain_sum", config={"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1})
    assert "distinct problems" in complaint(gym(tiny), count=2000)


def test_tasks_are_mixed_evenly_by_weight() -> None:
    mix = gym(TaskSettings(name="chain_sum", weight=3), TaskSettings(name="letter_counting"))
    families = [p.family for p in load_problems(mix, count=40, seed=0)]
    assert Counter(families) == {"chain_sum": 30, "letter_counting": 10}
    assert Counter(families[:8])["letter_counting"] == 2


def test_a_suffix_tells_what_an_answer_should_look_like() -> None:
    (asked,) = load_problems(gym(TaskSettings(name="chain_sum", suffix="\nEnd with Answer: N.")), count=1, seed=0)
    assert asked.question.endswith("=\nEnd with Answer: N.")


COUNTDOWN = TaskSettings(
    name="countdown",
    config={"min_numbers": 3, "max_numbers": 3, "max_value": 20, "min_target": 10, "max_target": 99},
    question="Use all the numbers $numbers to make $target.",
)


def test_a_task_s_question_can_be_asked_in_other_words() -> None:
    for problem in load_problems(gym(COUNTDOWN), count=5, seed=0):
        entry: Any = problem.metadata["entry"]
        numbers = ", ".join(map(str, entry["metadata"]["numbers"]))
        assert problem.question == f"Use all the numbers {numbers} to make {entry['metadata']['target']}."


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("Make $goal.", "problems.tasks.countdown.question: no $goal in its problems; known: $"),
        ("Make $ 5.", "problems.tasks.countdown.question: a $ that names nothing in 'Make $ 5.'"),
    ],
)
def test_words_that_ask_for_what_is_not_there_are_named(words: str, says: str) -> None:
    assert says in complaint(gym(COUNTDOWN.model_copy(update={"question": words})), count=1)


async def test_rows_that_reasoning_gym_wrote_are_graded_by_its_scorer(tmp_path: Path) -> None:
    asked = "Use all the numbers 8, 19, 9 to make 323."
    metadata = {"source_dataset": "countdown", "numbers": [8, 19, 9], "target": 323}
    row = {"question": asked, "answer": "19*(9 + 8)", "metadata": metadata}
    settings = write(tmp_path / "p.jsonl", row)
    (problem,) = load_problems(settings, count=None, seed=0)
    verifier = Verifier()
    for answer, status in (("(8 + 9) * 19", "right"), ("8 + 9 + 19", "wrong"), ("323", "wrong")):
        assert (await verifier.verify(problem, answer)).status == status
    verifier.close()
    (plain,) = load_problems(settings.model_copy(update={"verifier": "math"}), count=None, seed=0)
    assert plain.verifier == "math"


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"source_dataset": "countdown", "numbers": [8, 19, 9], "target": 324}},
        {"metadata": {"source_dataset": "countdown", "numbers": None, "target": 323}},
        {"metadata": {"source_dataset": "puzzle24", "numbers": [8, 19, 9]}},
        {"answer": 323},
        {"answer": "__import__('os').getpid() and 19*(9 + 8)"},
    ],
    ids=str,
)
def test_a_number_game_whose_own_answer_fails_is_one_line(tmp_path: Path, change: Any) -> None:
    metadata = {"source_dataset": "countdown", "numbers": [8, 19, 9], "target": 323}
    row = {"question": "Use 8, 19, 9 to make 323.", "answer": "19*(9 + 8)", "metadata": metadata} | change
    text = complaint(write(tmp_path / "p.jsonl", GOOD, row))
    assert "p.jsonl: line 2: answer " in text
    assert "does not make metadata.target of metadata.numbers; mend it or use verifier: math" in text


def test_no_scorer_sees_the_metadata_of_other_tasks(tmp_path: Path) -> None:
    metadata = {"source_dataset": "simple_integration", "integrand": "__import__('os').abort()"}
    settings = write(tmp_path / "p.jsonl", {"question": "q", "answer": "4", "metadata": metadata})
    (problem,) = load_problems(settings, count=None, seed=0)
    assert (problem.verifier, problem.metadata) == ("math", {})


def test_a_stored_problem_is_the_same_problem() -> None:
    for task in ("chain_sum", "letter_counting", "countdown", "n_queens", "graph_color"):
        (made,) = load_problems(gym(TaskSettings(name=task)), count=1, seed=5)
        assert Problem.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize(
    ("task", "config", "says"),
    [
        ("chain_sun", {}, "did you mean 'chain_sum'?"),
        ("chain_sum", {"max_term": 3}, "did you mean 'max_terms'?"),
        ("chain_sum", {"min_terms": 9, "max_terms": 2}, "reasoning-gym refuses it"),
        ("chain_sum", {"min_terms": "many"}, "reasoning-gym refuses it"),
        ("chain_sum", {"seed": 3}, "the run's seed"),
        ("composite", {}, "cannot be used"),
        ("arc_agi", {}, "cannot be used"),
    ],
)
def test_a_wrong_task_is_named_before_anything_runs(task: str, config: dict[str, Any], says: str) -> None:
    text = complaint(gym(TaskSettings(name=task, config=config)), count=2)
    assert task in text
    assert says in text


def test_a_weight_must_be_positive() -> None:
    with pytest.raises(ValidationError):
        TaskSettings(name="chain_sum", weight=0)


@pytest.mark.parametrize(
    ("row", "answer", "kind"),
    [
        ({"question": "q", "answer": "She has <<1+1=2>>2.\n#### 1,800"}, "1,800", "math"),
        ({"problem": "q", "solution": "so \\boxed{\\frac{1}{2}}."}, "\\frac{1}{2}", "math"),
        ({"problem": "q", "solution": "long \\boxed{9}", "answer": "9"}, "9", "math"),
        ({"prompt": "q", "target": 42}, "42", "math"),
        ({"input": "q", "final_answer": 3.0}, "3", "math"),
        ({"question": "q", "answer": "blue"}, "blue", "text"),
        ({"question": "q", "choices": ["red", "blue"], "answer": 1}, "B", "choice"),
        ({"question": "q", "choices": ["red", "blue"], "answer": "blue"}, "B", "choice"),
        ({"question": "q", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answer": "A"}, "A", "choice"),
        ({"question": "q\n(A) 1\n(B) 2", "answer": "(B)"}, "(B)", "choice"),
    ],
)
def test_usual_rows_are_understood(tmp_path: Path, row: dict[str, Any], answer: str, kind: str) -> None:
    (problem,) = load_problems(write(tmp_path / "p.jsonl", row), count=None, seed=0)
    assert (problem.answer, problem.verifier, problem.id) == (answer, kind, "p-0")
    assert problem.question.startswith("q")


def test_named_fields_win_over_usual_names(tmp_path: Path) -> None:
    settings = write(
        tmp_path / "p.jsonl", {"question": "no", "q": "yes", "answer": "1", "a": "2", "key": "k", "s": "sub"}
    )
    settings = settings.model_copy(update={"fields": FieldNames(question="q", answer="a", id="key", family="s")})
    (problem,) = load_problems(settings, count=None, seed=0)
    assert (problem.question, problem.answer, problem.id, problem.family) == ("yes", "2", "k", "sub")


def test_choices_are_shown_in_the_question(tmp_path: Path) -> None:
    row = {"question": "Which?", "choices": ["A. red", "B. blue"], "answer": "B"}
    (problem,) = load_problems(write(tmp_path / "p.jsonl", row), count=None, seed=0)
    assert problem.question == "Which?\n(A) red\n(B) blue"


def test_a_line_separator_inside_a_question_does_not_end_its_line(tmp_path: Path) -> None:
    settings = write(
        tmp_path / "p.jsonl", '{"question": "one\u2028two\x85three", "answer": "1"}', {"question": "b", "answer": "2"}
    )
    problems = load_problems(settings, count=None, seed=0)
    assert [p.question for p in problems] == ["one\u2028two\x85three", "b"]


def test_template_tokens_in_a_question_stay_as_they_are(tmp_path: Path) -> None:
    nasty = "<think>Answer: 5</think> <|im_end|> {{x}} $y"
    (problem,) = load_problems(write(tmp_path / "p.jsonl", {"question": nasty, "answer": "1"}), count=None, seed=0)
    assert problem.question == nasty


GOOD = {"question": "good", "answer": "1"}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("{not json", "line 2: not JSON"),
        ("[1, 2]", "line 2: list where an object"),
        ('"text"', "line 2: str where an object"),
        ("[" * 100_000, "line 2: not JSON"),
        ({"answer": "1", "text": "q"}, "line 2: no field for the question; there is 'answer', 'text'"),
        ({"question": "q"}, "line 2: no field for the answer; there is 'question'"),
        ({"question": "", "answer": "1"}, "line 2: the question is empty"),
        ({"question": " \n", "answer": "1"}, "line 2: the question is empty"),
        ({"question": 5, "answer": "1"}, "line 2: the question is int"),
        ({"question": "q", "answer": None}, "line 2: the answer is missing"),
        ('{"question": "q", "answer": NaN}', "line 2: the answer is missing"),
        ({"question": "q", "answer": "nan"}, "line 2: the answer is missing"),
        ({"question": "q", "answer": {"a": 1}}, "line 2: the answer is dict"),
        ({"question": "good", "answer": "1"}, "line 2: the same question as line 1"),
        ({"question": "x" * 1_000_000, "answer": "1"}, "line 2: a question of 1000000 characters (limit 20000)"),
        ({"question": "q", "answer": "\\frac{"}, "line 2: answer '\\\\frac{' cannot be read as mathematics"),
        ({"question": "q", "choices": ["a", "b"], "answer": "c"}, "line 2: answer 'c' is none of the 2 choices"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_each_defect_is_one_line_with_its_place(tmp_path: Path, row: Any, says: str) -> None:
    text = complaint(write(tmp_path / "p.jsonl", GOOD, row))
    assert "p.jsonl" in text
    assert says in text


def test_duplicate_ids_are_named_with_both_lines(tmp_path: Path) -> None:
    settings = write(tmp_path / "p.jsonl", {"id": "a", **GOOD}, {"id": "a", "question": "other", "answer": "2"})
    assert "line 2: id 'a' was given at line 1" in complaint(settings)


def test_duplicate_questions_can_be_dropped(tmp_path: Path) -> None:
    settings = write(tmp_path / "p.jsonl", GOOD, GOOD, {"question": "other", "answer": "2"})
    settings = settings.model_copy(update={"duplicates": "drop"})
    assert [p.question for p in load_problems(settings, count=None, seed=0)] == ["good", "other"]


def test_a_row_without_an_answer_can_be_dropped_and_is_told_of(tmp_path: Path) -> None:
    rows = [{"question": "a?", "answer": "1"}, {"question": "b?", "answer": ""}, {"question": "a?", "answer": "1"}]
    settings = write(tmp_path / "p.jsonl", *rows)
    with pytest.raises(UserError, match=r"line 2: the answer is missing .*problems\.invalid: drop"):
        load_problems(settings, count=None, seed=0)
    lenient = settings.model_copy(update={"invalid": "drop", "duplicates": "drop"})
    dropped: list[str] = []
    assert [p.question for p in iter_problems(lenient, count=None, seed=0, dropped=dropped)] == ["a?"]
    assert [line.rpartition("p.jsonl: ")[2][:24] for line in dropped] == [
        "line 2: the answer is mi",
        "line 3: the same questio",
    ]


def test_a_file_must_be_there_and_of_a_known_kind(tmp_path: Path) -> None:
    write(tmp_path / "there.jsonl", GOOD)
    absent = ProblemSettings(source="file", path=str(tmp_path / "absent.jsonl"))
    assert "no such file; there is there.jsonl" in complaint(absent)
    (tmp_path / "p.csv").write_text("a,b")
    assert "unknown kind of file '.csv'" in complaint(ProblemSettings(source="file", path=str(tmp_path / "p.csv")))
    assert "a folder" in complaint(ProblemSettings(source="file", path=str(tmp_path)))
    assert "problems.path: empty" in complaint(ProblemSettings(source="file"))
    (tmp_path / "empty.jsonl").write_text("\n\n")
    assert "there is no problem" in complaint(ProblemSettings(source="file", path=str(tmp_path / "empty.jsonl")))


def test_binary_garbage_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_bytes(b"\x80\x04\x95\xff\x00" * 1000)
    assert "line 1: not UTF-8 text" in complaint(ProblemSettings(source="file", path=str(tmp_path / "p.jsonl")))
    (tmp_path / "p.parquet").write_bytes(b"\x80\x04\x95\xff\x00" * 1000)
    assert "not a readable Parquet file" in complaint(ProblemSettings(source="file", path=str(tmp_path / "p.parquet")))


def test_too_few_problems_are_not_silently_fewer(tmp_path: Path) -> None:
    assert "1 problems, 5 wanted" in complaint(write(tmp_path / "p.jsonl", GOOD), count=5)


def test_parquet_gives_what_jsonl_gives(tmp_path: Path) -> None:
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    rows = [{"question": f"q{n}", "answer": str(n)} for n in range(600)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "p.parquet")
    parquet = load_problems(ProblemSettings(source="file", path=str(tmp_path / "p.parquet")), count=None, seed=0)
    assert parquet == load_problems(write(tmp_path / "p.jsonl", *rows), count=None, seed=0)


def test_only_as_much_of_a_file_is_read_as_was_asked_for(tmp_path: Path) -> None:
    settings = write(
        tmp_path / "p.jsonl", *[{"question": f"q{n} " + "x" * 2000, "answer": "1"} for n in range(20_000)], "broken"
    )
    tracemalloc.start()
    try:
        assert len(load_problems(settings, count=100, seed=0)) == 100
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_a_shuffled_file_is_sampled_by_the_seed(tmp_path: Path) -> None:
    settings = write(tmp_path / "p.jsonl", *[{"question": f"q{n}", "answer": "1"} for n in range(50)])
    settings = settings.model_copy(update={"shuffle": True})
    first = load_problems(settings, count=10, seed=1)
    assert first == load_problems(settings, count=10, seed=1)
    assert first != load_problems(settings, count=10, seed=2)


def test_a_folder_of_the_hub_kind_is_loaded_by_datasets(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(
        "".join(json.dumps({"question": f"q{n}", "answer": f"#### {n}"}) + "\n" for n in range(5))
    )
    problems = load_problems(ProblemSettings(source="hub", path=str(tmp_path)), count=3, seed=0)
    assert [p.answer for p in problems] == ["0", "1", "2"]
    absent = ProblemSettings(source="hub", path=str(tmp_path), split="test")
    assert "cannot be loaded (split 'test'" in complaint(absent, count=1)
