# labels: author::pytorch_geometric task::Graph_Machine_Learning test_group::small license::mit
"""Graph networks of https://pytorch-geometric.readthedocs.io, which names the publication of each.

    python graph_convolutions.py --model gcn

They run on a random graph like Cora (2,708 nodes of 1,433 features and 10,556 edges, https://arxiv.org/abs/1603.08861)
with an eighth of its nodes and edges; `--full` gives all of them.
"""

from corpus.preparation import prepare

prepare()

import torch
from torch_geometric import nn

from corpus.parameters import parse

name, k, alpha, out_channels, num_layers, in_channels, full = parse(
    ["model", "k", "alpha", "out_channels", "num_layers", "in_channels", "full"], family=__file__, default="gcn"
)
torch.manual_seed(0)
NODES, EDGES, CLASSES = (2708, 10556, 7) if full else (338, 1319, 7)


class Stack(torch.nn.Module):
    """Layers one after another, each of which sees the edges; ReLU between them."""

    def __init__(self, *layers: torch.nn.Module) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(layers)

    def forward(self, x, edge_index):
        for number, layer in enumerate(self.layers):
            x = layer(torch.relu(x) if number else x, edge_index)
        return torch.log_softmax(x, dim=1)


class Between(torch.nn.Module):
    """Layers that keep the number of features, between two linear ones; `first`: they see the first features."""

    def __init__(self, *layers: torch.nn.Module, first: bool = False) -> None:
        super().__init__()
        self.before = torch.nn.Linear(in_channels, out_channels)
        self.layers = torch.nn.ModuleList(layers)
        self.after = torch.nn.Linear(out_channels, CLASSES)
        self.first = first

    def forward(self, x, edge_index):
        x = start = torch.relu(self.before(x))
        for layer in self.layers:
            x = torch.relu(layer(x, start, edge_index) if self.first else layer(x, edge_index))
        return torch.log_softmax(self.after(x), dim=1)


def two(layer, **options):
    """Two layers of a kind: to `out_channels`, then to the classes."""
    return Stack(layer(in_channels, out_channels, **options), layer(out_channels, CLASSES, **options))


def perceptron(inputs: int, outputs: int) -> torch.nn.Module:
    """Two linear layers with ReLU between them."""
    return torch.nn.Sequential(
        torch.nn.Linear(inputs, out_channels), torch.nn.ReLU(), torch.nn.Linear(out_channels, outputs)
    )


def deep(model, **options):
    """A model of `num_layers` layers."""
    return model(in_channels, out_channels, num_layers, CLASSES, **options)


NETS = {
    "agnn": lambda: Between(*[nn.AGNNConv() for _ in range(2)]),
    "antisymmetric": lambda: Between(nn.AntiSymmetricConv(out_channels, num_iters=num_layers)),
    "appnp": lambda: Between(nn.APPNP(k, alpha)),
    "arma": lambda: two(nn.ARMAConv, num_stacks=2, num_layers=2),
    "cheb": lambda: two(nn.ChebConv, K=k),
    "cluster_gcn": lambda: two(nn.ClusterGCNConv),
    "directed_gcn": lambda: Stack(
        nn.DirGNNConv(nn.GCNConv(in_channels, out_channels, add_self_loops=False)),
        nn.DirGNNConv(nn.GCNConv(out_channels, CLASSES, add_self_loops=False)),
    ),
    "edge_cnn": lambda: Stack(
        nn.EdgeConv(perceptron(2 * in_channels, out_channels)), nn.EdgeConv(perceptron(2 * out_channels, CLASSES))
    ),
    "fagcn": lambda: Between(*[nn.FAConv(out_channels, alpha) for _ in range(num_layers)], first=True),
    "feast": lambda: two(nn.FeaStConv, heads=2),
    "film": lambda: two(nn.FiLMConv),
    "gat": lambda: two(nn.GATConv),
    "gatv2": lambda: two(nn.GATv2Conv),
    "gated_graph": lambda: Between(nn.GatedGraphConv(out_channels, num_layers)),
    "gcn": lambda: two(nn.GCNConv),
    "gcn2": lambda: Between(
        *[nn.GCN2Conv(out_channels, alpha, theta=0.5, layer=n + 1) for n in range(num_layers)], first=True
    ),
    "gcn_deep": lambda: deep(nn.GCN),
    "gat_deep": lambda: deep(nn.GAT, heads=2),
    "gen": lambda: two(nn.GENConv),
    "general": lambda: two(nn.GeneralConv),
    "gin": lambda: Stack(
        nn.GINConv(perceptron(in_channels, out_channels)), nn.GINConv(perceptron(out_channels, CLASSES))
    ),
    "gin_deep": lambda: deep(nn.GIN),
    "graph_conv": lambda: two(nn.GraphConv),
    "le": lambda: two(nn.LEConv),
    "light_gcn": lambda: Between(*[nn.LGConv() for _ in range(num_layers)]),
    "mixhop": lambda: Stack(nn.MixHopConv(in_channels, out_channels), nn.MixHopConv(3 * out_channels, CLASSES)),
    "pna": lambda: two(
        nn.PNAConv, aggregators=["mean", "min", "max", "std"], scalers=["identity", "amplification", "attenuation"],
        deg=torch.bincount(torch.full((NODES,), EDGES // NODES)),
    ),
    "res_gated": lambda: two(nn.ResGatedGraphConv),
    "sage": lambda: two(nn.SAGEConv),
    "sage_deep": lambda: deep(nn.GraphSAGE),
    "sgc": lambda: Stack(nn.SGConv(in_channels, CLASSES, K=k)),
    "ssgc": lambda: Stack(nn.SSGConv(in_channels, CLASSES, alpha=alpha, K=k)),
    "super_gat": lambda: two(nn.SuperGATConv),
    "tagcn": lambda: two(nn.TAGConv, K=k),
    "transformer": lambda: two(nn.TransformerConv),
}  # fmt: skip

model = NETS[name]().eval()
x, edge_index = torch.rand(NODES, in_channels), torch.randint(NODES, (2, EDGES))
model(x, edge_index)
