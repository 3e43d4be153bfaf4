"""What a run of model-written code may use, as a user may set it."""

from pydantic import Field, field_validator

from settings import Settings


class SandboxSettings(Settings):
    """The limits of one run, and how many workers stand ready."""

    memory_mb: int = Field(default=512, ge=128, le=65_536)
    """Address space of a run in MiB, the interpreter's own 100 to 200 included."""
    cpu_seconds: int = Field(default=2, ge=1, le=3600)
    """Seconds of CPU time a run may use; the kernel counts whole ones."""
    wall_seconds: float = Field(default=5.0, gt=0, le=3600)
    """Seconds a run may last by the clock."""
    file_mb: int = Field(default=8, ge=1, le=4096)
    """MiB that a run may write to files, in one and in all of them; they are kept in memory and gone afterwards."""
    output_chars: int = Field(default=10_000, ge=0, le=1_000_000)
    """Characters of output that are kept; the rest is read and dropped."""
    modules: tuple[str, ...] = ("mpmath", "sympy")
    """Installed packages that code may import beside the standard library, with what they import themselves."""
    workers: int = Field(default=2, ge=1, le=256)
    """Runs at the same time, each in a sandbox of its own."""
    runs_per_worker: int = Field(default=1000, ge=1)
    """Runs after which a worker is replaced by a fresh one."""

    @field_validator("modules")
    @classmethod
    def _plain_names(cls, modules: tuple[str, ...]) -> tuple[str, ...]:
        for name in modules:
            if not name.isidentifier():
                raise ValueError(f"{name!r} is no name of a top-level package")
        return modules
