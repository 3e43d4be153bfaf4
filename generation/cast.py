"""Engines, personas and referee, put together into a team for each journey."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import cached_property
from types import TracebackType
from typing import Self

from agents.critic import CriticAgent, SelfCritic, make_critic
from agents.narrator import NarratorPersona, load_narrator, rewriter
from agents.persona import CriticPersona, PolicyPersona, load_critic, load_policy
from agents.policy import PolicyAgent
from engines.contract import Engine, EngineSettings
from engines.open import open_engine
from engines.rewards.contract import RewardEngine
from engines.rewards.open import open_reward
from engines.scripted import ScriptedEngine
from generation.settings import CriticSettings, GenerateSettings, NarratorSettings, SecondSettings
from journeys.record import Voice
from journeys.stitching.thought import Rewrite
from problems.referee import Referee
from protocols.team import JourneyTeam
from settings import UserError

Open = Callable[[EngineSettings], Engine]


class Company:
    """The engines and personas of a run; `team()` casts one journey. Use as `async with`.

    The constructor reads personas and finds what is wrong with them; engines are opened, not started, when they are
    first asked for, so that nothing heavy is imported for a mistake that can be known without it.
    """

    def __init__(self, settings: GenerateSettings, *, open_engine: Open = open_engine) -> None:
        self.settings = settings
        policy = load_policy(settings.policy.persona, model=settings.policy.model)
        critic = load_critic(settings.critic.persona)
        self.policy: PolicyPersona = policy.model_copy(
            update={"sampling": settings.policy.sampling.over(policy.sampling)}
        )
        self.critic: CriticPersona | None = None
        if set(settings.protocol.roles) & {"critic", "self_critic"}:
            self.critic = critic.model_copy(update={"sampling": settings.critic.sampling.over(critic.sampling)})
        if "self_critic" in settings.protocol.roles and critic.kind != "model":
            raise UserError(
                f"critic.persona: protocol {settings.protocol.kind!r} lets the policy's model judge itself and needs a "
                f"persona of kind 'model', such as self; {critic.name!r} is of kind {critic.kind!r}"
            )
        self.second = self._second_persona() if "second" in settings.protocol.roles else None
        for action in set(getattr(settings.protocol, "actions", ())) - {"step", *self.policy.actions}:
            raise UserError(
                f"policy.persona: protocol {settings.protocol.kind!r} asks for action {action!r}, for which persona "
                f"{policy.name!r} has no text; add it under `actions`, or leave it out of protocol.actions"
            )
        grain = getattr(settings.protocol, "grain", "step")
        if grain != "step" and self.policy.mode != "monologue":
            raise UserError(
                f"protocol.grain: pieces of {grain} tokens go on with the policy's own unfinished text, which needs a "
                f"persona of mode 'monologue', such as monologue; {self.policy.name!r} is of mode {self.policy.mode!r}"
            )
        self._narrator: NarratorPersona | None = None
        if settings.narrator.kind == "model":
            narrator = load_narrator(settings.narrator.persona)
            sampling = settings.narrator.sampling.over(narrator.sampling)
            self._narrator = narrator.model_copy(update={"sampling": sampling})
        self.referee = Referee(settings.checkers)
        self._engines: dict[str, Engine] = {}
        self._open = open_engine
        self._stack = AsyncExitStack()

    @cached_property
    def policy_engine(self) -> Engine:
        return self._engine(self.settings.policy)

    @cached_property
    def policy_client(self) -> Engine:
        """What the policy speaks through; where the protocol asks no policy, one that says and loads nothing."""
        return self.policy_engine if self._asks_policy else ScriptedEngine("", model_name=self.settings.problems.source)

    @property
    def _asks_policy(self) -> bool:
        return "policy" in self.settings.protocol.roles

    @cached_property
    def critic_engine(self) -> Engine | None:
        """None where the critic needs no model."""
        if self.critic is None or self.critic.kind != "model":
            return None
        own = self._own(self.settings.critic) if "critic" in self.settings.protocol.roles else None
        return own or self.policy_engine

    @cached_property
    def second_engine(self) -> Engine | None:
        """None where no second policy is asked for."""
        return None if self.second is None else self._own(self.settings.second) or self.policy_engine

    @cached_property
    def reward(self) -> RewardEngine | None:
        """None where nobody asks it."""
        wanted = self.settings.reward if "reward" in self.settings.protocol.roles else None
        return open_reward(wanted) if wanted else None

    @cached_property
    def rewrite(self) -> Rewrite | None:
        """The narrator, where it is a model."""
        if self._narrator is None:
            return None
        engine = self._own(self.settings.narrator) or self.policy_engine
        return rewriter(self._narrator, engine, seed=self.settings.seed)

    @property
    def engines(self) -> list[Engine]:
        """Each engine once, also where roles share one."""
        _ = self.policy_client, self.critic_engine, self.second_engine, self.rewrite
        return list(self._engines.values())

    @property
    def voices(self) -> tuple[Voice, Voice | None]:
        persona = self.policy.name if self._asks_policy else "none"
        policy = Voice(persona=persona, model=self.policy_client.model_name)
        if self.critic is None:
            return policy, None
        return policy, Voice(
            persona=self.critic.name, model=self.critic_engine.model_name if self.critic_engine else ""
        )

    @property
    def second_voice(self) -> Voice | None:
        if self.second is None or self.second_engine is None:
            return None
        return Voice(persona=self.second.name, model=self.second_engine.model_name)

    def team(self) -> JourneyTeam:
        """A fresh team: agents belong to one journey, engines and referee to all."""
        policy = PolicyAgent(self.policy, self.policy_client, logprobs=self.settings.policy.logprobs)
        return JourneyTeam(
            protocol=self.settings.protocol,
            policy=policy,
            critic=self._critic(policy),
            referee=self.referee,
            budgets=self.settings.budgets,
            trust=self.critic.trust if self.critic else "critic",
            reflection=self.settings.policy.reflection,
            reward=self.reward,
            refuted_below=self.settings.reward.threshold if self.settings.reward else None,
            voices=self.voices,
            second=self._second_policy(),
            second_voice=self.second_voice,
            reward_name=self.reward.model_name if self.reward else "",
            seed=self.settings.seed,
        )

    async def __aenter__(self) -> Self:
        try:
            await self._stack.enter_async_context(self.referee)  # refuses, if it must, before a model loads
            if reward := self.reward:
                self._stack.push_async_callback(reward.close)
                await reward.start()
            for engine in self.engines:
                self._stack.push_async_callback(engine.close)
                await engine.start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def _critic(self, policy: PolicyAgent) -> CriticAgent | None:
        if self.critic is None:
            return None
        if "self_critic" in self.settings.protocol.roles:
            return SelfCritic(self.critic, self.policy_engine, policy.prompt)
        return make_critic(self.critic, self.critic_engine)

    def _second_persona(self) -> PolicyPersona:
        asked = self.settings.second
        model = self.settings.policy.model if asked.model is None else asked.model
        name = self.settings.policy.persona if asked.persona == "auto" and asked.model is None else asked.persona
        persona = load_policy(name, model=model, role="second")
        return persona.model_copy(update={"sampling": asked.sampling.over(persona.sampling)})

    def _second_policy(self) -> PolicyAgent | None:
        if self.second is None or self.second_engine is None:
            return None
        return PolicyAgent(self.second, self.second_engine, name="second")

    def _own(self, settings: CriticSettings | NarratorSettings | SecondSettings) -> Engine | None:
        """The role's own engine, or None when it names no model and shares the policy's."""
        return None if settings.model is None else self._engine(settings)

    def _engine(self, settings: EngineSettings) -> Engine:
        """One engine for equal engine settings: two roles on one model load it once."""
        plain = EngineSettings.model_validate({key: getattr(settings, key) for key in EngineSettings.model_fields})
        key = plain.model_dump_json()
        if key not in self._engines:
            self._engines[key] = self._open(plain)
        return self._engines[key]
