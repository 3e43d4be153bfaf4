"""What a run came to: the counts in summary.json and the table at its end, made from the store alone."""

from collections import Counter
from typing import Any

from rich.table import Table

from generation.alarms import alarms_in
from generation.spending import Spending
from journeys.exports import ExportCounts
from journeys.record import Journey, Move
from journeys.store import Store


def summarize_run(store: Store, *, exported: ExportCounts, seconds: float, faults: Counter[str]) -> dict[str, Any]:
    """The run in numbers. One pass over the store, one journey in memory at a time.

    `yield` is accepted journeys per problem; `solve_rate` is right answers, lucky ones included, per journey;
    `no_answer_rate` is journeys that ended with nothing parseable, per journey. `false_alarms` is told by verified
    journeys alone; generation/alarms.py says of which steps.
    """
    counts: Counter[str] = Counter()
    moves: Counter[str] = Counter()
    rulings: Counter[str] = Counter()
    spending = Spending()
    problems: set[str] = set()
    for journey in store.journeys():
        problems.add(journey.problem.id)
        counts += _counted(journey)
        if alarms := alarms_in(journey):
            counts.update(verified=1, alarmed=alarms.backtracks > 0)
            counts.update({f"right_{name}": count for name, count in alarms})
        for turn in journey.turns:
            moves[turn.verdict.move.value] += 1
            rulings.update(turn.rulings)
            counts["turns"] += 1
            counts["cut_off_steps"] += turn.finish == "length"
            counts["empty_steps"] += not turn.step
        spending.add(journey)
    journeys, completion = counts["journeys"], spending.completion
    accepted = exported.accepted
    return {
        "problems": len(problems),
        "journeys": journeys,
        "accepted": accepted,
        **{name: counts[name] for name in ("solved", "wrong", "unparsed", "lucky", "exhausted", "engine_error")},
        "hinted": counts["hinted"],
        "with_backtrack": counts["with_backtrack"],
        "accepted_with_backtrack": exported.accepted_with_backtrack,
        "accepted_with_error_removed": exported.accepted_with_error_removed,
        "gate_failures": exported.gate_failures,
        "narrator_fell_back": exported.fell_back,
        "contaminated": exported.contaminated,
        "turns": counts["turns"],
        "moves": {move.value: moves[move.value] for move in Move},
        "rulings": dict(sorted(rulings.items())),
        "parse_failures": rulings["parse_failure"],
        "cut_off_steps": counts["cut_off_steps"],
        "empty_steps": counts["empty_steps"],
        "engine_faults": dict(sorted(faults.items())),
        **spending.told(),
        "tokens_per_accepted": round(completion / accepted) if accepted else None,
        "tokens_per_solved": round(completion / counts["solved"]) if counts["solved"] else None,
        "turns_per_solved": round(counts["turns"] / counts["solved"], 2) if counts["solved"] else None,
        "false_alarms": {
            "verified_journeys": counts["verified"],
            "journeys_with_one": counts["alarmed"],
            "verdicts_on_right_steps": counts["right_verdicts"],
            "backtracks": counts["right_backtracks"],
            "reflects": counts["right_reflects"],
            "rate": _share(counts["right_backtracks"], counts["right_verdicts"]),
        },
        "yield": _share(accepted, len(problems)),
        "solve_rate": _share(counts["solved"], journeys),
        "no_answer_rate": _share(counts["no_answer"], journeys),
        "seconds": round(seconds, 1),
        "exports": exported.rows,
    }


def _counted(journey: Journey) -> Counter[str]:
    return Counter(
        journeys=1,
        solved=journey.solved,
        lucky=journey.solved and bool(journey.lucky),
        wrong=journey.outcome == "wrong",
        unparsed=journey.outcome == "unparsed",
        exhausted=journey.outcome == "exhausted",
        engine_error=journey.outcome == "engine_error",
        hinted=journey.hinted,
        no_answer=journey.verification is None or journey.verification.status == "unparsed",
        with_backtrack=journey.count(Move.BACKTRACK) > 0,
    )


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def summary_table(summary: dict[str, Any]) -> Table:
    """The numbers that a person reads first."""
    table = Table(title="Run", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    journeys, moves, tokens = summary["journeys"], summary["moves"], summary["tokens"]
    rows: list[tuple[str, str, str]] = [
        ("accepted", f"{summary['accepted']}", f"of {journeys} journeys; yield {summary['yield']:.1%} of problems"),
        (
            "  with a backtrack",
            f"{summary['accepted_with_backtrack']}",
            f"{summary['accepted_with_error_removed']} took back a step that was proven wrong",
        ),
        ("solve rate", f"{summary['solve_rate']:.1%}", f"{summary['solved']} right, {summary['lucky']} by luck"),
        ("wrong", f"{summary['wrong']}", f"and {summary['unparsed']} that could not be parsed"),
        ("exhausted", f"{summary['exhausted']}", "a budget ran out before an answer"),
        ("no-answer rate", f"{summary['no_answer_rate']:.1%}", "ended with nothing parseable"),
        ("moves", f"{summary['turns']}", ", ".join(f"{name} {count}" for name, count in moves.items())),
        ("parse failures", f"{summary['parse_failures']}", "verdicts that could not be read"),
        (
            "false alarms",
            f"{summary['false_alarms']['rate']:.1%}",
            "{backtracks} backtracks from {verdicts_on_right_steps} steps known to be right".format(
                **summary["false_alarms"]
            ),
        ),
        (
            "tokens",
            f"{tokens['completion']:,}",
            f"generated; {tokens['prompt']:,} read, {tokens['cached']:,} of them from cache",
        ),
        ("time", f"{summary['seconds']:.0f} s", f"{tokens['completion'] / max(summary['seconds'], 0.1):.0f} tokens/s"),
    ]
    if tokens["second_completion"]:
        told = ", ".join(f"{name} {tokens[f'{name}_completion']:,}" for name in ("policy", "second", "critic"))
        rows.append(("  by speaker", "", told))
    if (reward := summary["reward_model"])["calls"]:
        rows.append(
            ("reward model", f"{reward['tokens_read']:,}", f"tokens read, none written; {reward['seconds']:.0f} s")
        )
    if tokens["lost_completion"]:
        rows.append(
            ("  lost to faults", f"{tokens['lost_completion']:,}", "of the tokens; their replies stand nowhere")
        )
    if summary["engine_error"] or summary["engine_faults"]:
        faults = ", ".join(f"{name} {count}" for name, count in summary["engine_faults"].items())
        rows.append(("engine errors", f"{summary['engine_error']}", faults))
    if summary["gate_failures"]:
        failures = ", ".join(f"{name} {count}" for name, count in summary["gate_failures"].items())
        rows.append(("kept out by the gate", "", failures))
    for row in rows:
        table.add_row(*row)
    return table
