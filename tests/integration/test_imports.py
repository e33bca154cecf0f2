"""A run imports what it uses: large libraries cost it more time than training does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

UNUSED = (
    "torch._dynamo", "torchmetrics", "sklearn.base", "pandas", "pyarrow", "torchvision",
    "transformers", "sympy",
)  # fmt: skip

SCRIPT = """
import sys
from jlrun.cli.main import main
code = main(sys.argv[1:])
print(",".join(sys.modules), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize("weighting", ["equal", "pcgrad"])
def test_a_run_of_digits_imports_no_library_that_it_does_without(
    weighting: str, tmp_path: Path
) -> None:
    arguments = ["mode=multitask", "epochs=1", "dataset.limit=100", "baselines=false"]
    arguments.append(f"weighting={weighting}")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments, f"hydra.run.dir={tmp_path / 'run'}"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = done.stderr.splitlines()[-1].split(",")
    assert "torch" in found
    assert [name for name in UNUSED if name in found] == []
