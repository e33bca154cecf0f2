"""Tables of runs: each is a declaration, its cells are run once, and its page says what was run."""
