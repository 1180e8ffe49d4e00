"""Linear maps and tables of embeddings that serve many adapters in one batch."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from lowkey.lora.rows import Group, Router
from lowkey.lora.updates import LowRank, Whole


class BankedLinear(nn.Linear):
    """A ``Linear`` of a base with the updates of many adapters beside it, for use only.

    The base's product is made once for all rows. Then each adapter that has rows in the batch adds
    its update to those, or, where it brings the map whole, writes them. Like ``LoRALinear`` it
    adopts the parameters of the map it replaces.

    Args:
        linear: The map of the base.
        router: Says whose rows come.
        kind: Which kind of rows the map sees.
    """

    def __init__(self, linear: nn.Linear, router: Router, kind: str):
        # On the meta device nothing is allocated for the weight that is replaced at once.
        super().__init__(
            linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta"
        )
        self.weight = linear.weight
        self.bias = linear.bias
        self.router, self.kind = router, kind
        # No parameters: what belongs to adapters is not in a checkpoint of the base.
        self.entries: dict[str, LowRank | Whole] = {}
        self.train(linear.training)

    def forward(self, input: Float[Tensor, "*rows in_features"]) -> Float[Tensor, "*rows out"]:
        """Maps each row as its adapter does.

        Args:
            input: Rows of features.

        Returns:
            Rows of the same precision, as wide as the widest map that adapters of this batch
            bring; where another has fewer outputs, the rest of its rows is minus infinity.
        """
        x = input.reshape(-1, self.in_features)
        groups = self.router.groups(self.kind, len(x))
        output = self._base(x, groups)
        width = output.shape[-1]
        for name, rows in groups:
            entry = None if name is None else self.entries.get(name)
            if isinstance(entry, Whole):
                own = entry(x[rows])
                output[rows] = F.pad(own, (0, width - own.shape[-1]), value=-torch.inf)
            elif entry is not None:
                part = output[rows]
                entry.change(part[:, : self.out_features], x[rows], self.bias)
                if isinstance(rows, Tensor):  # it was gathered: a copy
                    output[rows] = part
        return output.view(*input.shape[:-1], width)

    def _base(self, x: Tensor, groups: list[Group]) -> Tensor:
        """What the base makes of all rows, in a tensor wide enough for every adapter."""
        found = [None if name is None else self.entries.get(name) for name, _ in groups]
        widths = [len(e.weight) if isinstance(e, Whole) else self.out_features for e in found]
        width = max(widths, default=self.out_features)
        if found and all(isinstance(entry, Whole) for entry in found):
            return x.new_empty(len(x), width)  # each row is written by its adapter
        bias = None if self.bias is None else self.bias.to(x.dtype)
        output = F.linear(x, self.weight.to(x.dtype), bias)
        more = width - self.out_features
        return F.pad(output, (0, more), value=-torch.inf) if more > 0 else output


class BankedEmbedding(nn.Embedding):
    """An ``Embedding`` of a base with the updates of many adapters beside it, for use only.

    Args:
        embedding: The table of the base, which is adopted.
        router: Says whose rows come.
        kind: Which kind of rows the ids are.
    """

    def __init__(self, embedding: nn.Embedding, router: Router, kind: str):
        super().__init__(embedding.num_embeddings, embedding.embedding_dim, device="meta")
        self.weight = embedding.weight
        self.router, self.kind = router, kind
        self.entries: dict[str, LowRank | Whole] = {}
        self.train(embedding.training)

    def forward(self, input: Int[Tensor, "*ids"]) -> Float[Tensor, "*ids features"]:
        """Looks each id up as its adapter does.

        Args:
            input: Rows of the table.

        Returns:
            One vector per id.
        """
        ids = input.reshape(-1)
        output = F.embedding(ids, self.weight)
        for name, rows in self.router.groups(self.kind, len(ids)):
            entry = None if name is None else self.entries.get(name)
            if isinstance(entry, LowRank):
                output[rows] += entry.look_up(ids[rows]).to(output.dtype)
        return output.view(*input.shape, self.embedding_dim)


Banked = BankedLinear | BankedEmbedding


def banked(module: nn.Linear | nn.Embedding, router: Router, kind: str) -> Banked:
    """Makes a module of a base serve many adapters.

    Args:
        module: The module, which is adopted.
        router: Says whose rows come.
        kind: Which kind of rows it sees.

    Returns:
        What to put in its place, without adapters yet.
    """
    if isinstance(module, nn.Linear):
        return BankedLinear(module, router, kind)
    return BankedEmbedding(module, router, kind)
