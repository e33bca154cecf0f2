#!/usr/bin/env bash
# torch 2.14.1, onnx 1.23.2, onnxscript 0.7.2, onnxruntime 1.32.0: torch.where between two boolean tensors is exported
# without a word to ONNX's operator Where, which the standard defines for booleans; the checker of onnx accepts the file.
# onnxruntime has no such kernel on the CPU and does not load it: NOT_IMPLEMENTED, with an empty node name. The same holds
# for 16-bit integers. Masks that are chosen between (which modality is there, which token counts) meet this; with
# (c & a) | (~c & b) instead the same program loads and is right.
# Seen: the exported file passes onnx.checker with full_check, the session ends in NotImplemented "Could not find an
# implementation for Where"; the rewritten one loads and equals PyTorch.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 numpy
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn


class Chosen(nn.Module):
    """One of two masks, by a third."""

    def forward(self, c, a, b):
        return torch.where(c, a, b)


class ByLogic(nn.Module):
    """The same, by and, or and not."""

    def forward(self, c, a, b):
        return (c & a) | (~c & b)


print("torch", torch.__version__, "onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__)
masks = tuple(torch.tensor(values) for values in ([True, True, False, False], [True, False, True, False], [False, True, True, False]))
found = {}
for model in (Chosen(), ByLogic()):
    name = type(model).__name__
    torch.onnx.export(model, masks, f"{name}.onnx", dynamo=True, verbose=False)
    onnx.checker.check_model(onnx.load(f"{name}.onnx"), full_check=True)
    print(name, "is valid; operators:", sorted({node.op_type for node in onnx.load(f"{name}.onnx").graph.node}))
    try:
        session = onnxruntime.InferenceSession(f"{name}.onnx", providers=["CPUExecutionProvider"])
    except Exception as error:
        found[name] = f"{type(error).__name__}: {str(error)[:110]}"
    else:
        inputs = {each.name: mask.numpy() for each, mask in zip(session.get_inputs(), masks)}
        found[name] = bool(np.array_equal(session.run(None, inputs)[0], model(*masks).numpy()))
    print(name, "in onnxruntime:", found[name])
assert "NotImplemented" in str(found["Chosen"]) and "Where" in str(found["Chosen"]), "the behaviour has changed"
assert found["ByLogic"] is True, "the behaviour has changed"
PY
