"""The fidelity gate: whether a thought still says what its journey did, in one voice."""

from pydantic import Field

from journeys.record import Journey, Record


class GateReport(Record):
    """What the gate found; `failures` are `code: quote`."""

    passed: bool
    failures: tuple[str, ...] = Field(default=())


def inspect(text: str, journey: Journey, *, shortcut: bool = False) -> GateReport:
    """Every rule that `text` breaks as a telling of `journey`."""
    failures = () if text.strip() else ("empty: ",)
    return GateReport(passed=not failures, failures=failures)
