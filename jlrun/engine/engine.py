"""Device, precision and compilation: everything that changes speed and not the experiment."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import Tensor, nn

from jlrun.engine.reused_memory import ReuseMemory, give_memory_back, keep_freed_memory
from jlrun.errors import RunError, UserError
from jlrun.ranks.shards import clip as clip_shards
from jlrun.ranks.shards import is_shard, total_norm
from jlrun.ranks.world import ALONE, World
from jlrun.seeding import preserved_randomness

if TYPE_CHECKING:
    from jlrun.models.joint_model import JointModel

Precision = Literal["fp32", "bf16", "fp16"]
Parallel = Literal["ddp", "fsdp"]


def holds_float64(device: torch.device) -> bool:
    """Return whether a device computes in float64; MPS does not."""
    return device.type != "mps"


@dataclass(frozen=True)
class Engine:
    """Where and how steps are computed.

    Attributes:
        device: device of the model and the batches.
        precision: of the forward pass; parameters stay float32.
        channels_last: memory format of images and convolutions.
        compile: compile encoders with `torch.compile`.
        accumulate: micro-batches per optimizer step.
        clip_norm: largest norm of all gradients together; None: no clipping.
        memory_budget: bytes up to which a split is held in memory.
        workers: processes that decode a split that is not.
        world: the ranks that compute a step together.
        parallel: each rank has the whole model that is trained (ddp), or a shard of it (fsdp).
        offload: keep shards on the CPU while nothing is computed with them.
        recompute: blocks of encoders compute their activations once more in the backward pass.
        skip_nonfinite: steps of a fit that may be left out because a number is not finite.
        sync_batchnorm: BatchNorm normalises by the rows of all ranks; false: by those of each.
    """

    device: torch.device
    precision: Precision = "fp32"
    channels_last: bool = True
    compile: bool = False
    accumulate: int = 1
    clip_norm: float | None = None
    memory_budget: int = 4 * 2**30
    workers: int = 0
    world: World = ALONE
    parallel: Parallel = "ddp"
    offload: bool = False
    recompute: bool = False
    skip_nonfinite: int = 0
    sync_batchnorm: bool = True

    @property
    def sharded(self) -> bool:
        """Whether each rank has a shard of the model that is trained."""
        return self.parallel == "fsdp" and self.world.several

    def prepare(self, model: JointModel) -> JointModel:
        """Move ``model`` to the device, in its memory format, compiled if asked."""
        model.to(self.device)
        if self.channels_last:
            model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        if self.compile:
            # Each encoder by itself and in place: names of parameters stay as they are.
            for encoder in model.encoders():
                encoder.compile()
            # Weightings of task gradients go back through one graph several times.
            from torch._functorch import config
            from torch._inductor import config as inductor

            config.donated_buffer = False
            inductor.deterministic = torch.are_deterministic_algorithms_enabled()
        return model

    @property
    def runs_ahead(self) -> bool:
        """Whether the program goes on while the device works, and reading from it makes it wait."""
        return self.device.type != "cpu"

    @property
    def checks_later(self) -> bool:
        """Whether it is asked only after some steps if all their numbers are finite."""
        return self.runs_ahead and not self.skip_nonfinite

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which forward passes run."""
        if self.precision == "fp32":
            return nullcontext()
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float16
        return torch.autocast(self.device.type, dtype=dtype)

    def grad_scaler(self) -> torch.amp.GradScaler:
        """Return the scaler of fp16 losses; it does nothing in other precisions."""
        scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")
        # It has no scale on the device before it has scaled something, and losses are scaled by
        # hand: they go back several times.
        scaler.scale(torch.zeros((), device=self.device))
        return scaler

    def clip(self, parameters: Sequence[nn.Parameter]) -> Tensor:
        """Clip gradients in place if asked; return their norm before, a scalar on the device."""
        gradients = [gradient for p in parameters if (gradient := p.grad) is not None]
        if self.world.several and any(map(is_shard, gradients)):
            norm = total_norm(gradients, self.world, self.device)
            if self.clip_norm is not None:
                clip_shards(gradients, self.clip_norm, norm)
            return norm
        if len({(g.device, g.dtype) for g in gradients}) == 1:
            # What the function below does, without its search for tensors of one kind.
            norms = torch._foreach_norm(gradients)  # pyright: ignore[reportPrivateImportUsage]
            norm = torch.linalg.vector_norm(torch.stack(norms))
        else:
            norm = nn.utils.get_total_norm(gradients).to(self.device)
        if self.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(parameters, self.clip_norm, norm)
        return norm

    def reset_peak_memory(self) -> None:
        """Measure from now on, where the system lets a process do so: one may do many runs."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        elif sys.platform == "linux":
            with suppress(OSError), open("/proc/self/clear_refs", "w") as file:
                file.write("5")  # proc(5): resets the high-water mark of resident memory

    def peak_memory_bytes(self) -> int:
        """Largest memory used so far: of the device, or of the process on a CPU."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024

    def synchronize(self) -> None:
        """Wait for the device, so that timings are correct."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def find_device(name: str) -> torch.device:
    """Return the device called ``name``: auto, cpu, cuda, cuda:N or mps.

    Raises:
        UserError: if this machine has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            have = f"it has {count} CUDA devices" if count else "PyTorch finds no CUDA device here"
            raise UserError.of("engine.device", f"'{name}': {have}; use engine.device=auto")
        return torch.device("cuda", device.index or 0)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError.of("engine.device", "'mps' is not available here; use engine.device=auto")
    return device


class Switches(Protocol):
    """Settings of an engine that are of the whole process."""

    @property
    def threads(self) -> int | None:
        """That compute; None: PyTorch's choice."""
        ...

    @property
    def deterministic(self) -> bool:
        """Whether the same seed gives the same numbers."""
        ...

    @property
    def reuse_memory(self) -> ReuseMemory:
        """What freed memory stays with the process."""
        ...


def session_of(engine: Switches) -> AbstractContextManager[None]:
    """Return the `session` of a run, by the settings of its engine."""
    return session(
        threads=engine.threads,
        deterministic=engine.deterministic,
        reuse_memory=engine.reuse_memory,
    )


@contextmanager
def session(
    *, threads: int | None, deterministic: bool, reuse_memory: ReuseMemory = "small"
) -> Iterator[None]:
    """Set the process-wide switches for a run, and put those of PyTorch back as they were.

    What ``reuse_memory`` sets remains, since it can't be read; what is free is given back.
    """
    before_threads = torch.get_num_threads()
    before_deterministic = torch.get_deterministic_debug_mode()
    before_benchmark = torch.backends.cudnn.benchmark
    memory: Any = torch.utils.deterministic
    before_fill = memory.fill_uninitialized_memory
    # cuBLAS reads this when it starts; without it deterministic matrix products are refused.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if threads is not None:
        torch.set_num_threads(threads)
    # Unlike `use_deterministic_algorithms` this does not import the compiler, to tell it so:
    # `Engine.prepare` does where models are compiled.
    torch.set_deterministic_debug_mode("warn" if deterministic else "default")
    torch.backends.cudnn.benchmark = not deterministic
    # Deterministic algorithms fill each new tensor with NaN before it is written, for code that
    # reads what nobody wrote. There is none here, and it is a pass over all activations.
    memory.fill_uninitialized_memory = False
    keep_freed_memory(reuse_memory)
    try:
        with preserved_randomness():
            yield
    finally:
        torch.set_num_threads(before_threads)
        torch.set_deterministic_debug_mode(before_deterministic)
        torch.backends.cudnn.benchmark = before_benchmark
        memory.fill_uninitialized_memory = before_fill
        give_memory_back()


@contextmanager
def out_of_memory_explained(where: str, batch_size: int) -> Iterator[None]:
    """Turn an out-of-memory error into one line: where it was and which overrides help."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise _out_of_memory(where, batch_size) from error
    except RuntimeError as error:
        if "can't allocate memory" in str(error):  # message of the CPU allocator
            raise _out_of_memory(where, batch_size) from error
        raise


def _out_of_memory(where: str, batch_size: int) -> RunError:
    smaller = max(1, batch_size // 2)
    return RunError(
        f"out of memory in {where} at batch_size={batch_size}: try batch_size={smaller}, "
        "engine.accumulate=2 (the same batch in two micro-batches), engine.evaluation_batch=64 or "
        "engine.precision=bf16"
    )


def describe_device(device: torch.device) -> str:
    """Return the device in words, for people."""
    if device.type == "cuda":
        return f"{device}, {torch.cuda.get_device_name(device)}"
    if device.type == "cpu":
        count = torch.get_num_threads()
        return f"cpu, {count} thread{'s' if count > 1 else ''}"
    return str(device)
