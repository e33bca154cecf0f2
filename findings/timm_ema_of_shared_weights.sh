#!/usr/bin/env bash
# timm 1.0.31, ModelEmaV3 and ModelEmaV2 (running averages of a model's weights): a module that a model holds under k names
# is averaged k times in each step, so that its decay is decay^k. Both go through state_dict(), which lists a shared weight
# under each of its names, and write into the average in place; PyTorch's AveragedModel goes through parameters(), which
# lists it once. A model of several tasks often holds its encoder so, by itself and as part of the network of each task, and
# tied embeddings are the same. With a decay of 0.9999 and two tasks the heads are averaged over some 10,000 steps, and the
# encoder beneath them over 3,300: what is scored and kept is a pair that no setting names, and another one with a third
# task. Nothing is said. ModelEmaV3(exclude_buffers=True), which copies buffers, goes through parameters() and is right.
# Seen, decay 0.99, weights that are 0 at first and 1 from then on, after 50 steps: 0.395 = 1 - 0.99^50 for the heads by all,
# and for the encoder by AveragedModel and with exclude_buffers; 0.779 = 1 - 0.99^150 for the encoder by ModelEmaV3, with
# and without foreach, and by ModelEmaV2; 0.866 = 1 - 0.99^200 with a third task.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 torchvision==0.29.1 timm==1.0.31 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PY'
from importlib.metadata import version

import torch
from timm.utils import ModelEmaV2, ModelEmaV3
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

print("torch", torch.__version__, "timm", version("timm"))
DECAY, STEPS = 0.99, 50


class MultiTask(nn.Module):
    """An encoder, and a network of each task that begins with it."""

    def __init__(self, tasks):
        super().__init__()
        self.encoder = nn.Linear(3, 2)
        self.tasks = nn.ModuleDict({t: nn.Sequential(self.encoder, nn.ReLU(), nn.Linear(2, 1)) for t in tasks})


def fill(model, value):
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(value)


def averaged(make, update, tasks="ab"):
    """Return the average of the encoder and of a head."""
    model = MultiTask(tasks)
    fill(model, 0.0)
    average = make(model)
    fill(model, 1.0)
    for _ in range(STEPS):
        getattr(average, update)(model)
    module = average.module
    assert module.encoder is module.tasks["a"][0]  # still shared
    return round(float(module.encoder.weight[0, 0]), 3), round(float(module.tasks["a"][2].weight[0, 0]), 3)


def by_torch(model):
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(DECAY))
    average.update_parameters(model)  # the first one copies
    return average


found = {
    "AveragedModel": averaged(by_torch, "update_parameters"),
    "ModelEmaV3": averaged(lambda m: ModelEmaV3(m, decay=DECAY), "update"),
    "ModelEmaV3, foreach=False": averaged(lambda m: ModelEmaV3(m, decay=DECAY, foreach=False), "update"),
    "ModelEmaV2": averaged(lambda m: ModelEmaV2(m, decay=DECAY), "update"),
    "ModelEmaV3, exclude_buffers=True": averaged(lambda m: ModelEmaV3(m, decay=DECAY, exclude_buffers=True), "update"),
    "ModelEmaV3, a third task": averaged(lambda m: ModelEmaV3(m, decay=DECAY), "update", "abc"),
}
right, three, four = (round(1 - DECAY ** (times * STEPS), 3) for times in (1, 3, 4))
for name, (encoder, head) in found.items():
    print(f"{name}: encoder {encoder}, head {head}; right is {right} for both")
assert all(head == right for _, head in found.values())
assert found["AveragedModel"][0] == found["ModelEmaV3, exclude_buffers=True"][0] == right
for name in ("ModelEmaV3", "ModelEmaV3, foreach=False", "ModelEmaV2"):
    assert found[name][0] == three, "the behaviour has changed"
assert found["ModelEmaV3, a third task"][0] == four, "the behaviour has changed"
PY
