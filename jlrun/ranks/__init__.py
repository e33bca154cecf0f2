"""Ranks: the processes that train one run together, and what they exchange.

A step of several ranks is the step of one process. Each rank knows the whole batch, passes its own
rows through the model, and has the whole loss, whose parts come from all ranks (`exchange`). The
gradient of the whole loss by a rank's own rows counts ``size`` times, and gradients are averaged
over the ranks: what all ranks compute alike (a weighting, a term of the whole batch, a penalty of
weights) then counts once, and so does what each has of its own.
"""
