#!/usr/bin/env bash
# torchvision 0.29.1, create_feature_extractor: what it returns for a layer depends on which other layers are asked for. All
# nodes after the last one asked for are cut away; those in between run, and most of the library's networks have ReLUs that
# write in place. So a normalization or a convolution before a ReLU gives its output, with negative numbers, where it is
# the only layer, and what the ReLU made of it, where a deeper layer is asked for, too; the sum at the end of a residual
# block does the same. Distances between features, matching of statistics and sparsity by layer are then of other
# features than the names say, with nothing said, and the model is unharmed. What helps: an extractor for each such
# layer, or inplace = False in all ReLUs first (three lines).
# Seen, random weights, eval mode: of the nodes of resnet18 17 of 69 change when all are asked for, of vgg11 10 of 30, of
# squeezenet1_0 26 of 66; resnet18's bn1 is the true one alone (least number -1.2) and max(0, true one) beside layer1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 torchvision==0.29.1
"$folder/venv/bin/python" -W ignore - <<'PY'
import torch, torchvision
from torch import nn
from torchvision.models import resnet18, squeezenet1_0, vgg11
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

print("torch", torch.__version__, "torchvision", torchvision.__version__)
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
torch.manual_seed(0)
images = torch.randn(1, 3, 64, 64)


@torch.no_grad()
def features(net, names):
    return create_feature_extractor(net, list(names))(images)


def changed(net):
    """Return the nodes that differ between an extractor of their own and one of all nodes, and the number of nodes."""
    names = [name for name in get_graph_node_names(net)[1] if name != "x"]
    together = features(net, names)
    return [n for n in names if not torch.allclose(features(net, [n])[n], together[n])], len(names)


for make in (resnet18, vgg11, squeezenet1_0):
    net = make(weights=None).eval()
    before, count = changed(net)
    for module in net.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    after, _ = changed(net)
    print(f"{make.__name__}: {len(before)} of {count} nodes change: {', '.join(before[:4])}, ...; not in place {len(after)}")
    assert not after and len(before) > 5, "the behaviour has changed"

net = resnet18(weights=None).eval()
with torch.no_grad():
    true = net.bn1(net.conv1(images))
alone, beside = features(net, ["bn1"])["bn1"], features(net, ["bn1", "layer1"])["bn1"]
print(f"bn1 of resnet18: least number by hand {true.min():.1f}, alone {alone.min():.1f}, beside layer1 {beside.min():.1f}")
assert torch.allclose(alone, true)
assert torch.allclose(beside, true.clamp(min=0)) and not torch.allclose(beside, true), "the behaviour has changed"
PY
