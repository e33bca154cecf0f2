"""``python -m jlrun``, so that ``torchrun -m jlrun`` works too."""

from jlrun.cli.main import entrypoint

if __name__ == "__main__":
    entrypoint()
