"""Names of finishes: journeys that go on behind a judged step of another one (see `python run.py probe`)."""


def finish_id(journey_id: str, turn: int) -> str:
    return f"{journey_id}~{turn}"


def finish_of(finish: str) -> tuple[str, int]:
    """The journey that was taken up, and the turn behind which it goes on."""
    journey_id, _, turn = finish.rpartition("~")
    return journey_id, int(turn)
