"""The engine: device, precision, compilation, threads and memory; all that changes speed alone."""

from jlrun.engine.engine import (
    Engine,
    describe_device,
    find_device,
    holds_float64,
    out_of_memory_explained,
    session,
    session_of,
)

__all__ = [
    "Engine",
    "describe_device",
    "find_device",
    "holds_float64",
    "out_of_memory_explained",
    "session",
    "session_of",
]
