"""Training: the plan, the step, the loop, checkpoints."""
