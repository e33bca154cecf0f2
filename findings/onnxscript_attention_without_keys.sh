#!/usr/bin/env bash
# torch 2.14.1, onnxscript 0.7.2: scaled_dot_product_attention with a boolean mask, exported by torch.onnx.export with its
# default opset, where a query may read no key at all: a row that lacks a modality, whose tokens are all padding, or an
# empty window. PyTorch returns 0 there, so that the residual path goes on alone. The exported graph returns the mean of
# all values, the ones that were masked out: what stands in the padding decides the prediction. The converter has a step
# for this, Where(IsNaN(softmax), 0), "to match the behavior of PyTorch with boolean masks", but fills the mask with the
# least finite number in place of -inf, so that the softmax is uniform instead of nan, and the step never acts.
# onnx's checker finds nothing; onnxruntime and onnx's reference implementation return the same wrong numbers. Queries with
# a key are right, so that a comparison on complete rows finds nothing, either. With a mask of 0 and -inf in place of booleans
# it is nan, which is seen. What helps: opset_version=23, which has an operator Attention, or mask.any(-1) as a factor.
# Seen, values 1, 2, 6 and a query without keys: 0 by PyTorch, in float64, too, and 3 by onnxruntime 1.32.0 and by the
# reference implementation, in opset 18, too; 300 where the masked values are 100 times as large; 0 in opset 23.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
import onnx
import onnxruntime
import onnxscript
import torch
from onnx.reference import ReferenceEvaluator
from torch import nn
from torch.nn import functional as F


class Read(nn.Module):
    """Two queries that read three keys."""

    def forward(self, query, key, value, mask):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


class ReadOrNothing(nn.Module):
    """The same, and 0 for a query without keys."""

    def forward(self, query, key, value, mask):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask) * mask.any(-1, keepdim=True)


print("torch", torch.__version__, "onnxscript", onnxscript.__version__, "onnxruntime", onnxruntime.__version__)
torch.manual_seed(0)
query, key = torch.randn(1, 1, 2, 4), torch.randn(1, 1, 3, 4)
values = torch.tensor([1.0, 2.0, 6.0]).view(1, 1, 3, 1)
mask = torch.tensor([[True, True, False], [False, False, False]])  # the second query reads nothing
infinite = torch.zeros(2, 3).masked_fill(~mask, -torch.inf)


def exported(model, mask, values=values, **options):
    """Return what PyTorch, onnxruntime and the reference implementation make of both queries."""
    args = query, key, values, mask
    model = model.eval()
    program = torch.onnx.export(model, args, dynamo=True, verbose=False, **options).model_proto
    onnx.checker.check_model(program, full_check=True)
    session = onnxruntime.InferenceSession(program.SerializeToString(), providers=["CPUExecutionProvider"])
    inputs = {each.name: x.numpy() for each, x in zip(session.get_inputs(), args)}
    results = model(*args), *session.run(None, inputs), ReferenceEvaluator(program).run(None, inputs)[0]
    return [[round(float(x), 4) for x in result.reshape(-1)] for result in results]


found = {
    "boolean mask": exported(Read(), mask),
    "the same, values 100 times as large": exported(Read(), mask, 100 * values),
    "opset 18": exported(Read(), mask, opset_version=18),
    "opset 23": exported(Read(), mask, opset_version=23),
    "mask of 0 and -inf": exported(Read(), infinite),
    "times mask.any(-1)": exported(ReadOrNothing(), mask),
}
for name, (torch_, runtime, reference) in found.items():
    print(f"{name}: PyTorch {torch_}, onnxruntime {runtime}, reference {reference}")
exact = Read()(query.double(), key.double(), values.double(), mask)
assert exact[0, 0, 1, 0] == 0  # and in float64
for torch_, runtime, _ in found.values():
    assert torch_[1] == 0 and abs(torch_[0] - runtime[0]) < 1e-2  # queries with keys are right
for name, mean in (("boolean mask", 3), ("the same, values 100 times as large", 300), ("opset 18", 3)):
    for result in found[name][1:]:
        assert abs(result[1] - mean) < 1e-3, "the behaviour has changed"
assert found["opset 23"][1][1] == found["times mask.any(-1)"][1][1] == 0
assert found["mask of 0 and -inf"][1][1] != found["mask of 0 and -inf"][1][1]  # nan
PY
