"""Have a model tell the accepted journeys; each is told once, so an interrupted run goes on where it stopped.

Without a model nothing is done here: the template's thoughts are made again whenever they are needed, in a millisecond.
"""

import asyncio

from engines.errors import EngineError
from journeys.record import Journey
from journeys.stitching.thought import Rewrite, Thought, narrate, stitch
from journeys.store import Store


async def narrate_all(store: Store, rewrite: Rewrite) -> None:
    """Give each solved journey that has none a thought written by `rewrite`, under the fidelity gate.

    A rewrite that fails the gate, or that the engine could not deliver, is replaced by the template's and counted.
    """
    while journey_ids := store.unnarrated():
        journeys = [journey for journey_id in journey_ids if (journey := store.get(journey_id))]
        told = await asyncio.gather(*(_told(journey, rewrite) for journey in journeys))
        for thought in told:
            store.add_thought(thought, shortcut=False)
        store.flush()


async def _told(journey: Journey, rewrite: Rewrite) -> Thought:
    try:
        return await narrate(journey, rewrite)
    except EngineError as error:
        return stitch(journey).model_copy(update={"fell_back": True, "rejected": (f"engine_error: {error}",)})
