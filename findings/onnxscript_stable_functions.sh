#!/usr/bin/env bash
# torch 2.14.1, onnxscript 0.7.2, onnxruntime 1.32.0 on a CPU (x86-64): functions that exist only because the plain formula
# fails are exported as the plain formula, with no word: logsigmoid(x) as Log(Sigmoid(x)), log1p(x) as Log(x + 1), expm1(x)
# as Exp(x) - 1, logaddexp(x, y) as Log(Exp(x) + Exp(y)), binary_cross_entropy_with_logits by Log(Sigmoid(x)), too. ONNX has
# no operators for these, and the converters are written so.
# The first meets another habit: onnxruntime's Sigmoid of float32 is an approximation, in steps of 3e-8 there, and 0 from -18
# on, where 1.5e-8 is right and float32 goes on to -103. So a log-probability is off by 0.6 at a logit of -16, and
# infinite from -18 on, which confident models give. Where log-probabilities of modalities or members are added one of them
# then decides alone, and a difference of two is nan. The exported model agrees with PyTorch on usual rows.
# logsumexp, log_softmax and softplus are exported to operators that are stable.
# What helps: -softplus(-x) for logsigmoid(x), and max(x, y) + softplus(-|x - y|) for logaddexp(x, y).
# Seen, PyTorch within 1e-6 of float64 everywhere, onnxruntime: logsigmoid -16.64 at -16, -inf at -18, -20 and -100; log1p 0 at
# 1e-8 and 1.19e-7 at 1e-7; expm1 the same; logaddexp(90, 90) inf for 90.69; the loss of a logit of -20 inf for 20. For two
# modalities with log-odds of -20 and 30 the product of their probabilities gives the class 0.99995, and nan by onnxruntime.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PY'
import math

import onnxruntime
import onnxscript
import torch
from torch import nn
from torch.nn import functional as F

print("torch", torch.__version__, "onnxscript", onnxscript.__version__, "onnxruntime", onnxruntime.__version__)


class Module(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *x):
        return self.function(*x)


def show(what, function, *x):
    """Return what PyTorch, in float32 and in float64, and onnxruntime make of it."""
    model = Module(function).eval()
    args = tuple(torch.tensor(each) for each in x)
    program = torch.onnx.export(model, args, dynamo=True, verbose=False).model_proto
    session = onnxruntime.InferenceSession(program.SerializeToString(), providers=["CPUExecutionProvider"])
    runtime = session.run(None, {each.name: a.numpy() for each, a in zip(session.get_inputs(), args)})[0]
    right = model(*(a.double() for a in args))
    assert torch.allclose(model(*args).double(), right, rtol=1e-6, atol=0)
    operators = ", ".join(node.op_type for node in program.graph.node)
    shown = [[f"{float(v):.6g}" for v in result] for result in (right, runtime)]
    print(f"{what} of {list(zip(*x))}: right {shown[0]}, onnxruntime {shown[1]} by {operators}")
    return right.tolist(), runtime.tolist()


def both_modalities(first, second):
    """Probability of the class, by the product of what two modalities give it and its complement."""
    yes, no = F.logsigmoid(first) + F.logsigmoid(second), F.logsigmoid(-first) + F.logsigmoid(-second)
    return torch.softmax(torch.stack([yes, no]), 0)[0]


right, found = show("logsigmoid", F.logsigmoid, [-5.0, -16.0, -18.0, -20.0, -100.0])
assert abs(found[0] - right[0]) < 1e-4 and abs(found[1] - right[1]) > 0.1, "the behaviour has changed"
assert found[2:] == [-math.inf] * 3, "the behaviour has changed"
for name in ("log1p", "expm1"):
    right, found = show(name, getattr(torch, name), [1e-8, 1e-7, 1e-2])
    assert found[0] == 0 and abs(found[1] / right[1] - 1) > 0.1, "the behaviour has changed"
    assert abs(found[2] / right[2] - 1) < 1e-4
right, found = show("logaddexp", torch.logaddexp, [1.0, 90.0], [2.0, 90.0])
assert abs(found[0] - right[0]) < 1e-5 and found[1] == math.inf, "the behaviour has changed"
right, found = show(
    "binary_cross_entropy_with_logits",
    lambda x: F.binary_cross_entropy_with_logits(x, torch.ones_like(x), reduction="none"),
    [-5.0, -20.0],
)
assert found[1] == math.inf, "the behaviour has changed"
right, found = show("product of two modalities", both_modalities, [-5.0, -20.0], [7.0, 30.0])
assert abs(found[0] - right[0]) < 1e-4 and right[1] > 0.9999 and math.isnan(found[1]), "the behaviour has changed"

for what, function, *x in (
    ("-softplus(-x)", lambda x: -F.softplus(-x), [-5.0, -16.0, -18.0, -20.0, -100.0]),
    ("max + softplus", lambda x, y: torch.maximum(x, y) + F.softplus(-(x - y).abs()), [1.0, 90.0], [2.0, 90.0]),
    ("logsumexp", lambda x, y: torch.logsumexp(torch.stack([x, y]), 0), [1.0, 90.0], [2.0, 90.0]),
):
    right, found = show(what, function, *x)
    assert all(abs(f / r - 1) < 1e-5 for f, r in zip(found, right))
PY
