r"""A table of embeddings with a low-rank update: row i becomes :math:`W_i + s \, (B A)^\top_i`."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from lowkey.lora.config import LoRAConfig
from lowkey.lora.mergeable import Mergeable


class LoRAEmbedding(nn.Embedding, Mergeable):
    r"""An ``Embedding`` that learns :math:`\Delta W = s (B A)^\top` beside its own frozen table.

    To look a row up is to multiply the table with a vector that is zero but for a one, so this is
    LoRA of a linear map, of which A has a column for each row of the table. As in PEFT, A begins at
    zero and B is random, the other way round than in a linear map, and nothing is dropped: the
    input of the update is an id. Like ``LoRALinear`` it adopts the table and keeps its name.

    Args:
        embedding: The table to adapt; its weight is taken over, not copied.
        config: Rank and scale.
        generator: Source of randomness for the update; torch's global one if None.

    References:
        Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021, equation 3.

    Example:
        >>> table = nn.Embedding(9, 4)
        >>> adapted = LoRAEmbedding(table, LoRAConfig(r=2))
        >>> torch.equal(adapted(torch.tensor([3, 1])), table(torch.tensor([3, 1])))
        True
    """

    def __init__(
        self, embedding: nn.Embedding, config: LoRAConfig, generator: torch.Generator | None = None
    ):
        # On the meta device nothing is allocated for the table that is replaced at once.
        super().__init__(embedding.num_embeddings, embedding.embedding_dim, device="meta")
        self.weight = embedding.weight
        device = embedding.weight.device
        # PEFT's names and shapes. In fp32 whatever the frozen table is kept in.
        a = torch.zeros(config.r, self.num_embeddings, device=device)
        b = torch.empty(self.embedding_dim, config.r, device=device)
        self.lora_embedding_A = nn.Parameter(a)
        self.lora_embedding_B = nn.Parameter(b.normal_(generator=generator))
        self.scaling = config.scaling
        self._original: Tensor | None = None
        self.train(embedding.training)

    @property
    def rank(self) -> int:
        """Rank of the update: rows of A, columns of B."""
        return len(self.lora_embedding_A)

    def forward(self, input: Int[Tensor, "*ids"]) -> Float[Tensor, "*ids features"]:
        """Looks ids up, update included.

        Args:
            input: Rows of the table.

        Returns:
            One vector per id.
        """
        plain = F.embedding(input, self.weight)
        if self.merged:
            return plain
        low = F.embedding(input, self.lora_embedding_A.t())
        return plain + self.scaling * (low @ self.lora_embedding_B.t())

    def delta_weight(self) -> Float[Tensor, "rows features"]:
        r"""Computes the update of ``weight``, in fp32.

        Returns:
            :math:`s (B A)^\top`.
        """
        a, b = self.factors_against_base()
        return self.scaling * (b.float() @ a.float()).t()

    def adapted_weight(self) -> Float[Tensor, "rows features"]:
        """Computes the one table that does what table and update do together.

        Returns:
            The table that merging puts in place, in fp32.
        """
        weight = self.weight.detach().float()
        return weight if self.merged else weight + self.delta_weight()

    def factors_against_base(self) -> tuple[Float[Tensor, "rank rows"], Float[Tensor, "out rank"]]:
        """Gives the factors of what the table differs by from the one it was made from.

        Returns:
            A and B.
        """
        return self.lora_embedding_A.detach(), self.lora_embedding_B.detach()


def problem_with_tables(modules: Mapping[str, nn.Module], config: LoRAConfig) -> str | None:
    """Says why tables of embeddings cannot be adapted, if they cannot.

    Args:
        modules: The modules to adapt, by their names.
        config: How.

    Returns:
        What is wrong; None if nothing is.
    """
    for name, module in modules.items():
        if not isinstance(module, nn.Embedding):
            continue
        if getattr(module, "tied", False):
            # An update of looking up alone would not be what merging makes of it.
            return f"the table {name} is tied: other parts of the model use its weights too"
        if config.use_dora or config.init_lora_weights == "pissa":
            option = "use_dora" if config.use_dora else "init_lora_weights pissa"
            return f"{option} is for linear maps, and {name} is a table of embeddings"
    return None
