"""`python run.py view` and `python run.py report`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from settings import UserError
from viewer.collection import Collection
from viewer.report import write_report
from viewer.server import ViewServer


def view(places: Sequence[Path], *, port: int = 0, as_json: bool = False) -> None:
    """Print the link and serve until Ctrl-C.

    Raises:
        UserError: nothing to look at, or the port is taken.
    """
    if not 0 <= port <= 65_535:
        raise UserError(f"--port {port}: a port is a number up to 65535")
    collection = Collection(places)
    server = ViewServer(collection, port=port)
    sources = collection.sources()
    start = f"/see/{sources[0].key}" if len(sources) == 1 and sources[0].kind == "run" else "/"
    link = server.link(start)
    if as_json:
        _say(json.dumps({"link": link, "port": server.port}))
    else:
        names = ", ".join(source.key for source in sources[:6]) + (", ..." if len(sources) > 6 else "")
        _say(f"Looking at {names}\n\n  {link}\n\nThe link is the key: only who has it can look. Ctrl-C ends.")
    try:
        server.serve()
    except KeyboardInterrupt:  # how one stops looking
        _say("")


def report(place: Path, *, out: Path | None = None, journeys: int = 12, as_json: bool = False) -> Path:
    """Write the report of one folder. Returns its path.

    Raises:
        UserError: there is nothing to report on, or the file cannot be written.
    """
    written = write_report(place, out=out, journeys=journeys)
    _say(json.dumps({"report": str(written)}) if as_json else f"Written: {written}")
    return written


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
