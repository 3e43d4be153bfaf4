"""Which tags stand around the thoughts of a data set, and the persona under which the tuned model is asked."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from journeys.formats import TAG_STYLES, Tags
from settings import UserError, read_yaml
from training.folder import ModelFolder
from training.rows import Message
from training.start import Start

PERSONA_FOLDER = Path(__file__).parent.parent / "configs" / "personas" / "policy"
NO_TAGS = Tags(open="", close="")


def find_tags(texts: Iterable[str], *, asked: Literal["auto"] | str | Tags) -> tuple[Tags, int]:
    """The tags of a data set, with the blanks around them as the texts have them, and how many texts carry them.

    Of several styles the most frequent one counts; texts without any (plain answers mixed in) are no fault.
    """
    styles = list(TAG_STYLES.values()) if asked == "auto" else [TAG_STYLES[asked] if isinstance(asked, str) else asked]
    carriers: list[list[str]] = [[] for _ in styles]
    for text in texts:
        for style, held in zip(styles, carriers, strict=True):
            if text.lstrip().startswith(style.open.strip()) and style.close.strip() in text:
                held.append(text)
                break
    held = max(carriers, key=len)
    if not held:
        return (NO_TAGS if asked == "auto" else styles[0]), 0
    style = styles[carriers.index(held)]
    return (_as_written(style, held[0]) if asked == "auto" else style), len(held)


def find_system(prompts: Iterable[Sequence[Message]]) -> str:
    """The system message that all prompts share, else none."""
    systems = {prompt[0].content if prompt[0].role == "system" else "" for prompt in prompts}
    return systems.pop() if len(systems) == 1 else ""


def load_persona(name: str) -> dict[str, Any]:
    """The policy persona that a tuned model is to speak with. Raises UserError if there is none of that name."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else PERSONA_FOLDER / f"{name}.yaml"
    if not path.exists() and path.parent == PERSONA_FOLDER:
        known = ", ".join(sorted(file.stem for file in PERSONA_FOLDER.glob("*.yaml")))
        raise UserError(f"persona: no policy persona {name!r}; there is {known}, or name a file ending in .yaml")
    return read_yaml(path)


def own_persona(start: Start) -> dict[str, Any]:
    """How the model that a training starts from is asked, if its folder says so."""
    file = ModelFolder(start.adapter or Path(start.base)).persona
    return read_yaml(file) if file.is_file() else {}


def voice(name: str, own: dict[str, Any]) -> dict[str, Any]:
    """The persona of this name; `auto` is the model's own, and `tuned` where it has none."""
    if name != "auto":
        return load_persona(name)
    return own or load_persona("tuned")


def fitted(persona: dict[str, Any], *, tags: Tags, system: str) -> dict[str, Any]:
    """The persona with what the data was written with: its tags and its system message."""
    return persona | {"opens": tags.open, "closes": tags.close + tags.answer_open, "system": system}


def _as_written(style: Tags, text: str) -> Tags:
    """The style with the blanks that this text has around its tags."""
    return style.model_copy(
        update={
            "open": _with_blanks(style.open, text, before=False),
            "close": _with_blanks(style.close, text, after=not style.answer_open),
            "answer_open": _with_blanks(style.answer_open, text),
        }
    )


def _with_blanks(tag: str, text: str, *, before: bool = True, after: bool = True) -> str:
    """The first of this tag in the text, with the blanks on either side."""
    core = tag.strip()
    if not core or core not in text:
        return tag
    head, _, tail = text.partition(core)
    left = head[len(head.rstrip()) :] if before else ""
    right = tail[: len(tail) - len(tail.lstrip())] if after else ""
    return f"{left}{core}{right}"
