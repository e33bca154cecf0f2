"""The command: what parses `argv`. Imports no PyTorch."""
