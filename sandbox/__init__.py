"""Model-written Python, run where it can do no harm; see docs/sandbox.md for what that means."""

from sandbox.pool import Sandbox
from sandbox.settings import SandboxSettings
from sandbox.worker import Outcome, Verdict

__all__ = ["Outcome", "Sandbox", "SandboxSettings", "Verdict"]
