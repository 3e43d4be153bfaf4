"""One of the processes of test_training_sharded.py: `run.py` under FSDP 2 on a CPU, for each list of arguments in turn.

accelerate turns FSDP on for GPUs and their kin alone, though PyTorch shards on a CPU too. So the processes are told to
be of the GPU kind; everything else, gloo included, is as on any CPU.
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from accelerate.state import AcceleratorState, PartialState  # type: ignore[import-untyped]
from accelerate.utils import DistributedType  # type: ignore[import-untyped]

import run

begun: Any = AcceleratorState.__init__


def begin(self: Any, mixed_precision: str | None = None, cpu: bool = False, **options: Any) -> None:
    PartialState(cpu=True)
    if PartialState._shared_state["distributed_type"] == DistributedType.MULTI_CPU:
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    begun(self, mixed_precision, cpu, **options)
    assert self.distributed_type == DistributedType.FSDP


if __name__ == "__main__":
    AcceleratorState.__init__ = begin
    sys.exit(max(run.main(arguments) for arguments in json.loads(sys.argv[1])))
