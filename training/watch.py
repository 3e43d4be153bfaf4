"""What is noted while a trainer works: points of the history, speed, memory, TensorBoard; and when it is to stop."""

import resource
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from training.progress import TrainingView

if TYPE_CHECKING:
    from training.stage import Interrupt

OURS = ("step", "epoch", "loss", "learning_rate", "grad_norm", "seconds", "tokens", "tokens_per_second")


class Watch(TrainerCallback):
    """Follows one training. What it adds to a point survives in checkpoints, so that a resumed history is whole."""

    def __init__(self, *, view: TrainingView, interrupt: "Interrupt", logs: Path | None) -> None:
        self.view = view
        self.interrupt = interrupt
        self.logs = logs
        self.trained_parameters = 0
        self._seconds_before = 0.0
        self._began = time.monotonic()
        self._last = (0.0, 0)
        self._tokens = 0
        self._writer: Any = None

    @property
    def seconds(self) -> float:
        """Spent on steps, those of earlier sessions included."""
        return self._seconds_before + time.monotonic() - self._began

    @property
    def tokens_per_second(self) -> float:
        """Over the whole training; padding does not count."""
        seconds, tokens = self._last
        return tokens / seconds if seconds else 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        points = self.history(state.log_history)
        if points:
            self._last = (points[-1]["seconds"], points[-1]["tokens"])
            self._seconds_before = points[-1]["seconds"]
        if state.global_step:
            self.view.note(f"going on from step {state.global_step}")
        self.view.begin(done=state.global_step)
        if model is not None:
            self.trained_parameters = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
        if self.logs is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.logs), purge_step=state.global_step or None)
        self._began = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.view.reach(state.global_step)
        if args.world_size > 1:  # a signal reaches processes at different steps; they must stop at the same one
            self.interrupt.asked = _any(self.interrupt.asked, device=args.device)
        if self.interrupt.asked:
            control.should_save = control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Note seconds and tokens beside what TRL has logged."""
        point = state.log_history[-1]
        if "loss" not in point:
            return
        seconds, tokens = self.seconds, int(state.num_input_tokens_seen)
        passed, read = seconds - self._last[0], tokens - self._last[1]
        self._last = (seconds, tokens)
        point |= {
            "seconds": round(seconds, 3),
            "tokens": tokens,
            "tokens_per_second": round(read / passed, 1) if passed > 0 else 0.0,
        }
        self.view.point(loss=point["loss"], tokens_per_second=point["tokens_per_second"])
        if self._writer is not None:
            for name, value in point.items():
                if name != "step" and isinstance(value, int | float):
                    self._writer.add_scalar(f"train/{name}", value, state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._seconds_before, self._began = self.seconds, time.monotonic()
        if self._writer is not None:
            self._writer.close()

    @staticmethod
    def history(points: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The points with a loss: our own keys first, then what the method adds (`rewards/margins`, ...)."""
        counted_by_us = ("num_tokens", "num_input_tokens_seen", "total_flos")
        return [
            {key: point[key] for key in OURS if key in point}
            | {
                key: value
                for key, value in point.items()
                if key not in OURS and not key.startswith(("train_", *counted_by_us))
            }
            for point in points
            if "loss" in point and "seconds" in point
        ]

    @staticmethod
    def peak_memory() -> int:
        """Bytes: of GPU memory where there is one, else of this process."""
        import torch

        if torch.cuda.is_available():
            return int(torch.cuda.max_memory_allocated())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _any(flag: bool, *, device: Any) -> bool:
    """Whether the flag is set in any of the processes."""
    import torch
    import torch.distributed

    told = torch.tensor(int(flag), device=device)
    torch.distributed.all_reduce(told, torch.distributed.ReduceOp.MAX)
    return bool(told.item())
