"""Settings of the whole suite."""

import os

# The tests are many and small: threads that wait for each other cost more than they save, and on a
# busy machine very much more. Before anything imports PyTorch; subprocesses inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
