"""A persona: the voice of a role, read from YAML. A new persona is a new file, no code (configs/personas/)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, field_validator, model_validator

from agents.slots import slotted
from engines.contract import Sampling
from settings import Settings, UserError, load

PERSONA_FOLDER = Path(__file__).parent.parent / "configs" / "personas"
OWN_PERSONA = "persona.yaml"
"""In a model's folder: the voice it was trained in (training writes it)."""

Variants = tuple[str, ...]
"""One text or several that say the same; which one is used depends on the turn's seed alone."""


class Example(Settings):
    """One worked exchange shown before the problem."""

    question: str
    steps: tuple[str, ...]


class ActionExample(Settings):
    """One worked exchange of an action."""

    question: str
    steps: tuple[str, ...] = ()
    """What had been written so far."""
    reply: str


class Action(Settings):
    """How a policy is asked for something else than its next step; by the names that a protocol gives to actions."""

    ask: Annotated[str, slotted(allowed=("question", "steps", "before", "last"))] = ""
    """One user turn. `$steps` is what was written so far, line by line; `$last` the first line of the last step, and
    `$before` all before that step. Empty, in mode monologue: the model goes on in its own message without a stop at the
    delimiter."""
    system: str = ""
    examples: tuple[ActionExample, ...] = ()
    opens: str = ""
    """Words that the reply begins with; the model goes on behind them."""
    stop: tuple[str, ...] = ()
    max_tokens: int | None = Field(None, ge=1)
    """Null keeps the sampling's own."""


class Persona(Settings):
    """What every persona has."""

    name: str = ""
    """For records and reports; the file's name unless given."""
    description: str = ""
    system: str
    sampling: Sampling = Sampling()

    @field_validator("*", mode="before")
    @classmethod
    def _one_text_is_a_list_of_one(cls, value: Any, info: Any) -> Any:
        several = cls.model_fields[info.field_name].annotation is Variants
        return (value,) if several and isinstance(value, str) else value


class PolicyPersona(Persona):
    """How the policy is asked for its next step.

    In mode `chat` every step is a turn of its own and the critic's words are user turns between them. In mode
    `monologue` the whole path is one unfinished assistant message that the model continues up to `delimiter`: what a
    model tuned on long thoughts needs, and the cheapest prompt there is.
    """

    role: Literal["policy"] = "policy"
    mode: Literal["chat", "monologue"] = "chat"
    delimiter: str = Field("\n", min_length=1)
    """Monologue: what ends a step, and what joins the steps of the unfinished message."""
    opens: str = ""
    """Monologue: what the unfinished message begins with, before the first step: `<think>` and a new line."""
    closes: str = ""
    """Monologue: what ends the thought; after it the model states its answer."""
    writes: Literal["words", "code"] = "words"
    """Monologue: `code` where the model writes bare Python, a step a piece of the program, until that has printed
    something, and words from then on. In the record its code is fenced, as other personas' is (docs/code.md)."""
    output: Annotated[str, slotted(allowed=(), required=("printed",))] = "\n```output\n$printed\n```\n"
    """Stands behind a step whose code printed something; monologue: in place of the delimiter."""
    memory: Literal["path", "full"] = "path"
    """Monologue: `full` leaves abandoned tries in the message, as a long thought does; `path` takes them out."""
    examples: tuple[Example, ...] = ()
    retry_temperature: float | None = Field(None, ge=0, le=10)
    """Temperature of a step that answers a backtrack; null keeps the sampling's own."""
    task: Annotated[str, slotted(allowed=(), required=("question",))] = "$question"
    proceed: Annotated[Variants, slotted(allowed=())] = ("Go on with the next step.",)
    """Chat: asks for a step after a `continue`."""
    backtrack: Annotated[Variants, slotted(allowed=("critique", "quote", "step"))]
    """Asks for another step. Chat: a user turn. Monologue: the first-person words with which the new step opens."""
    recompute: Annotated[Variants, slotted(allowed=("critique", "quote", "step"), required=("left",))] = ()
    """Monologue: used in place of `backtrack` where the fault is an equation; `$left` is its left side, behind what its
    line calculates first, so that a text ending in `$left =` has the model calculate again. Left to itself a small
    model copies its old result."""
    reflect: Annotated[Variants, slotted(allowed=("critique", "quote", "step"))]
    """Asks to answer a critique before going on; read as `backtrack` is."""
    repeated: Annotated[str, slotted(allowed=(), required=("abandoned",))] = ""
    """Added when an abandoned step was proposed again; `$abandoned` lists them."""
    actions: Mapping[str, Action] = Field(default_factory=dict)
    """For protocols that ask for more than steps (protocols/rstar.py)."""

    @model_validator(mode="after")
    def _chats_ask(self) -> "PolicyPersona":
        for name, action in self.actions.items():
            if self.mode == "chat" and not action.ask:
                raise ValueError(f"actions.{name}.ask: missing; only in mode monologue a model goes on unasked")
        return self

    @field_validator("examples", mode="before")
    @classmethod
    def _no_empty_examples(cls, value: Any) -> Any:
        return value or ()

    @model_validator(mode="after")
    def _code_goes_on(self) -> "PolicyPersona":
        if self.writes == "code" and self.mode == "chat":
            raise ValueError("'writes: code' needs 'mode: monologue'; in a chat code stands in ```python blocks")
        return self


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


Trust = Literal["critic", "evidence", "both"]


class CriticPersona(Persona):
    """How the critic is asked for its verdict, or, for kinds without a model, what it says.

    `kind`: `model` asks a language model; `evidence` follows the checkers alone; `silent` always continues; `random`
    draws its move (the controls of methods 15.2).
    """

    role: Literal["critic"] = "critic"
    kind: Literal["model", "evidence", "silent", "random"] = "model"
    system: str = ""
    trust: Trust = "both"
    """Who may take a step off the path: the critic's word, the checkers' evidence, or either."""
    patience: int = Field(3, ge=1)
    """kind evidence: failed tries at one place after which the step before it goes as well."""
    task: Annotated[str, slotted(allowed=(), required=("question",))] = "Problem: $question\n\nSteps:\n"
    """Opens the prompt; the numbered steps follow it, so that prompts of one journey only ever grow at the end."""
    ask: Annotated[str, slotted(allowed=("evidence", "answer"), required=("number",))] = "\nJudge step $number."
    """Closes the prompt."""
    evidence: Annotated[str, slotted(allowed=(), required=("findings",))] = "\nA program found: $findings"
    """Fills `$evidence` of `ask` where a checker found something."""
    repair: Annotated[str, slotted(allowed=(), required=("error",))] = (
        "That was not a valid verdict: $error. Answer with the JSON object only."
    )
    critiques: Mapping[str, Variants] = Field(default_factory=dict)
    """kind evidence: what to say for each kind of evidence, with `$detail` and `$quote`; `default` for the others."""
    weights: Mapping[Literal["continue", "backtrack", "reflect", "terminate"], float] = Field(default_factory=dict)
    """kind random: how likely each move is."""

    @field_validator("critiques", mode="before")
    @classmethod
    def _variants(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        check = slotted(allowed=("detail", "quote")).func
        for kind, texts in value.items():
            if not isinstance(texts, str) and not (texts and isinstance(texts, list) and all(map(_is_text, texts))):
                raise ValueError(f"{kind}: expected a text or a list of texts")
        listed = {kind: (texts,) if isinstance(texts, str) else tuple(texts) for kind, texts in value.items()}
        for texts in listed.values():
            check(texts)  # type: ignore[call-arg]
        return listed

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> "CriticPersona":
        if self.kind == "model" and not self.system:
            raise ValueError("a critic of kind 'model' needs 'system'")
        if self.kind == "evidence" and "default" not in self.critiques:
            raise ValueError("a critic of kind 'evidence' needs 'critiques: {default: ...}'")
        if self.kind == "random" and not sum(self.weights.values()) > 0:
            raise ValueError("a critic of kind 'random' needs 'weights' that sum to more than 0")
        return self


def load_policy(name: str, *, model: str = "", role: str = "policy") -> PolicyPersona:
    """The policy persona of that name in configs/personas/, or in the file of that path.

    `auto` is the voice a model was trained in, which lies in its folder, and `stepwise` for every other model.
    `role` is the key of the recipe that names it, for complaints.
    """
    if name != "auto":
        return _load(PolicyPersona, name, asked_by=role)
    own = Path(model).expanduser() / OWN_PERSONA
    return _load(PolicyPersona, str(own) if model and own.is_file() else "stepwise")


def load_critic(name: str) -> CriticPersona:
    """The critic persona of that name in configs/personas/, or in the file of that path."""
    return _load(CriticPersona, name)


P = TypeVar("P", PolicyPersona, CriticPersona)


def _load(kind: type[P], name: str, *, asked_by: str = "") -> P:
    role = kind.model_fields["role"].default
    path = Path(name) if name.endswith((".yaml", ".yml")) else PERSONA_FOLDER / role / f"{name}.yaml"
    if not path.exists() and path.parent == PERSONA_FOLDER / role:
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.yaml")))
        raise UserError(
            f"{asked_by or role}.persona: no persona {name!r}; there is {known}, or name a file ending in .yaml"
        )
    persona = load(kind, path)
    return persona if persona.name else persona.model_copy(update={"name": path.stem})
