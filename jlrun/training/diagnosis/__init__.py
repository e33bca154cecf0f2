"""How the tasks of one model get along: whose gradients oppose whose, and whose steps help whom."""
