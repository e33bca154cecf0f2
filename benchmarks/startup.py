"""How long the command takes before there is anything to train.

    python benchmarks/startup.py [REPEATS]

Prints medians of wall-clock seconds, and as a ratio to ``python -c "import hydra"`` measured in
turns with them, since that is what composing a config cannot do without. What imports PyTorch takes
seconds more.

Last figures (2 CPU cores, busy with other work; Python 3.11, medians of 7): ``import hydra`` 0.20
to 0.24 s; ``jlrun`` and ``ls`` 0.35 of that, ``--cfg job`` 1.9, a misspelt key or option 1.9 to
2.1, a misspelt key and wrong values 2.5 to 2.7.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

REFERENCE = "import hydra"
COMMANDS = {
    REFERENCE: ["-c", "import hydra"],
    "jlrun": ["-m", "jlrun"],
    "jlrun ls": ["-m", "jlrun", "ls"],
    "jlrun --cfg job": ["-m", "jlrun", "--cfg", "job"],
    "a misspelt key": ["-m", "jlrun", "moed=transfer"],
    "a misspelt option": ["-m", "jlrun", "mode=trasnfer"],
    "a misspelt key and wrong values": ["-m", "jlrun", "epcohs=3", "seed=-1", "batch_size=x"],
}


def main(repeats: int) -> None:
    """Measure every command ``repeats`` times, in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(repeats + 1):
            for name, arguments in COMMANDS.items():
                seconds[name].append(_time(arguments, folder))
    # The first round warms the disk cache.
    medians = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    print(f"{'':34}seconds  ratio")
    for name, median in medians.items():
        print(f"{name:34}{median:7.3f}  {median / medians[REFERENCE]:5.2f}")


def _time(arguments: list[str], folder: str) -> float:
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=os.environ, capture_output=True, check=False
    )
    return time.perf_counter() - start


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 11)
