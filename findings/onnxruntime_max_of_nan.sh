#!/usr/bin/env bash
# onnxruntime 1.32.0 on a CPU (x86-64), ReduceMax, ReduceMin, ArgMax and MaxPool of rows with a nan in them; PyTorch exports
# amax, amin, argmax and max_pool1d to these. PyTorch gives nan, or its place; so does the reference implementation in
# onnx 1.23.2 (in MaxPool only where nan comes first in its window). onnxruntime returns nan of a row only where it comes
# first, and never of these windows. Else ReduceMax gives the greatest number or, astonishingly, neither: a nan hides numbers
# in other places, as if it stood in one of four partial maxima of a vector, which is then dropped whole. A sensor that
# fails for a moment makes a model with max pooling over time predict from some of the other steps; nan, by which the
# caller would have seen it, is gone. Relu and Softmax let nan through in onnxruntime, too. The standard says nothing of nan.
# Seen: ReduceMax of 1, nan, 2, -3, nan, 0.5, 7, 8 is 7, ReduceMin 1, MaxPool by two 1, 2, 0.5, 8. Of the eight rows 1 to 8
# with one number made nan: nan once, the greatest number left five times, a smaller one twice. With 64 numbers: 1, 60, 3.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import numpy as np, onnx, onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

print("onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__)
nan = np.float32("nan")
NAMES = ("max", "min", "argmax", "pooled", "relu", "softmax")
nodes = [
    helper.make_node("ReduceMax", ["x", "axes"], ["max"], keepdims=0),
    helper.make_node("ReduceMin", ["x", "axes"], ["min"], keepdims=0),
    helper.make_node("ArgMax", ["x"], ["argmax"], axis=1, keepdims=0),
    helper.make_node("Unsqueeze", ["x", "axes"], ["channel"]),
    helper.make_node("MaxPool", ["channel"], ["pooled"], kernel_shape=[2], strides=[2]),
    helper.make_node("Relu", ["x"], ["relu"]),
    helper.make_node("Softmax", ["x"], ["softmax"], axis=1),
]
SHAPES = (["n"], ["n"], ["n"], ["n", 1, None], ["n", "t"], ["n", "t"])
TYPES = [TensorProto.INT64 if name == "argmax" else TensorProto.FLOAT for name in NAMES]
outputs = [helper.make_tensor_value_info(*row) for row in zip(NAMES, TYPES, SHAPES)]
graph = helper.make_graph(
    nodes,
    "rows",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "t"])],
    outputs,
    [helper.make_tensor("axes", TensorProto.INT64, [1], [1])],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
onnx.checker.check_model(model, full_check=True)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
reference = ReferenceEvaluator(model)


def both(x):
    """Return the outputs by name of onnxruntime and of the reference implementation."""
    return (dict(zip(NAMES, one.run(None, {"x": x}))) for one in (session, reference))


row = np.array([[1, nan, 2, -3, nan, 0.5, 7, 8]], dtype=np.float32)
found, right = both(row)
for name in NAMES[:4]:
    print(f"{name}: onnxruntime {found[name].ravel().tolist()}, reference {right[name].ravel().tolist()}")
assert np.isnan(found["relu"]).sum() == 2 and np.isnan(found["softmax"]).all()
assert np.isnan(right["max"]) and np.isnan(right["min"]) and right["argmax"] == 1
assert not np.isnan(found["max"]) and not np.isnan(found["min"]), "the behaviour has changed"
assert found["argmax"] != 1 and not np.isnan(found["pooled"]).any(), "the behaviour has changed"
hidden = 0
for length in (4, 8, 16, 64):
    rows = np.tile(np.arange(1, length + 1, dtype=np.float32), (length, 1))
    rows[np.arange(length), np.arange(length)] = nan
    found, right = both(rows)
    counts = {
        "nan": np.isnan(found["max"]).sum(),
        "the greatest number left": (found["max"] == np.nanmax(rows, axis=1)).sum(),
        "a smaller one": (found["max"] < np.nanmax(rows, axis=1)).sum(),
    }
    print(f"{length} rows of {length} numbers, one nan in each, ReduceMax:", ", ".join(f"{k} {n}" for k, n in counts.items()))
    assert np.isnan(right["max"]).all() and sum(counts.values()) == length
    hidden += counts["a smaller one"]
assert hidden, "the behaviour has changed"
without = np.tile(np.arange(1, 9, dtype=np.float32), (2, 1))
found, right = both(without)
assert all(np.allclose(found[name], right[name]) for name in NAMES)
PY
