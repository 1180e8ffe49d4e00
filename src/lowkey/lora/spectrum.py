r"""What rank an update really uses: its singular values, and the best update of a smaller rank.

The update :math:`\Delta W = s B A` is never formed. With :math:`B = Q_B R_B` and
:math:`A^\top = Q_A R_A`, the singular values of :math:`\Delta W` are those of the small
:math:`s R_B R_A^\top`, which has at most r rows and columns.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lowkey.lora.embedding import LoRAEmbedding
from lowkey.lora.inject import Adapted

# What rounding leaves of a squared norm of 1 in float64, many times over.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Spectrum:
    """The singular values of an update.

    Attributes:
        values: Singular values in float64, the largest first.

    Example:
        >>> spectrum = Spectrum(torch.tensor([2.0, 1.0, 0.0]).double())
        >>> spectrum.kept(1), spectrum.rank_for(0.9)
        (0.8, 2)
    """

    values: Float[Tensor, " values"]

    @property
    def norm(self) -> float:
        """The Frobenius norm of the update."""
        return float(self.values.norm())

    @property
    def effective_rank(self) -> float:
        r"""How many directions the update uses, as if each used one were used alike.

        The exponential of the entropy of the singular values, taken as shares of their sum:

        .. math:: \exp\Big(-\sum_i p_i \ln p_i\Big), \qquad p_i = \sigma_i / \sum_j \sigma_j

        k equal values give k, and an update that is zero gives 0.

        References:
            Roy and Vetterli, "The effective rank: a measure of effective dimensionality",
            EUSIPCO 2007.
        """
        total = self.values.sum()
        if total == 0:
            return 0.0
        return float(torch.special.entr(self.values / total).sum().exp())

    def kept(self, rank: int) -> float:
        """Says how much of the update the best one of a smaller rank keeps.

        Args:
            rank: The smaller rank, at least 0.

        Returns:
            Share of the squared Frobenius norm, from 0 to 1; 1 of an update that is zero.
        """
        squares = self.values.square()
        total = float(squares.sum())
        return float(squares[:rank].sum()) / total if total else 1.0

    def rank_for(self, share: float) -> int:
        """Finds the smallest rank that keeps a share.

        Args:
            share: Share of the squared Frobenius norm, from 0 to 1.

        Returns:
            The rank, at least 1: there is no adapter of rank 0.
        """
        ranks = range(1, len(self.values) + 1)
        return next((k for k in ranks if self.kept(k) >= share - _ROUNDING), len(self.values))


@dataclass(frozen=True)
class Decomposition:
    """A singular value decomposition without the directions that it has no values for.

    Attributes:
        left: Orthonormal columns: what the update writes.
        spectrum: The singular values.
        right: Orthonormal rows: what it reads.
    """

    left: Float[Tensor, "out values"]
    spectrum: Spectrum
    right: Float[Tensor, "values in_features"]

    def factors(
        self, rank: int, scaling: float
    ) -> tuple[Float[Tensor, "rank in_features"], Float[Tensor, "out rank"]]:
        r"""Factors the best approximation of a rank, so that it is :math:`s B A`.

        A and B are of equal size: each gets the root of the singular values.

        Args:
            rank: The rank; where it is more than there are values, the rest is zero.
            scaling: The factor s in front of B A, above 0.

        Returns:
            A and B, in fp32.

        References:
            Eckart and Young, "The approximation of one matrix by another of lower rank",
            Psychometrika 1, 1936: no matrix of this rank is nearer in the Frobenius norm.
        """
        roots = (self.spectrum.values[:rank] / scaling).sqrt()
        a = self.left.new_zeros(rank, self.right.shape[1])
        b = self.left.new_zeros(self.left.shape[0], rank)
        a[: len(roots)] = roots[:, None] * self.right[:rank]
        b[:, : len(roots)] = self.left[:, :rank] * roots
        return a.float(), b.float()


@torch.no_grad()
def decompose_update(module: Adapted) -> Decomposition:
    """Decomposes the update of an adapted map by way of its small factors.

    Args:
        module: The map; of a table of embeddings, the update is taken as that of a map that has
            a column for each row of the table.

    Returns:
        Its decomposition in float64 on the processor, with as many values as its rank, or as its
        smaller side if that is less.
    """
    # On the processor: not every device has float64, and the factors are small.
    a, b = module.factors_against_base()
    read, inner_a = torch.linalg.qr(a.cpu().double().T)
    written, inner_b = torch.linalg.qr(b.cpu().double())
    left, values, right = torch.linalg.svd(
        module.scaling * (inner_b @ inner_a.T), full_matrices=False
    )
    return Decomposition(written @ left, Spectrum(values), right @ read.T)


@torch.no_grad()
def decompose_difference(
    tuned: Float[Tensor, "out in_features"], base: Float[Tensor, "out in_features"]
) -> Decomposition:
    """Decomposes what a full fine-tune changed of a weight; nothing is small here.

    Args:
        tuned: The weight after training.
        base: The weight before it.

    Returns:
        The decomposition of tuned minus base, in float64.
    """
    left, values, right = torch.linalg.svd(tuned.double() - base.double(), full_matrices=False)
    return Decomposition(left, Spectrum(values), right)


def difference_spectrum(
    tuned: Float[Tensor, "out in_features"], base: Float[Tensor, "out in_features"]
) -> Spectrum:
    """Computes the singular values alone, which takes a fraction of the time.

    Args:
        tuned: The weight after training.
        base: The weight before it.

    Returns:
        The singular values of tuned minus base.
    """
    return Spectrum(torch.linalg.svdvals(tuned.detach().double() - base.detach().double()))


@torch.no_grad()
def set_update(module: Adapted, decomposition: Decomposition, *, rank: int, scaling: float) -> None:
    """Gives an adapted map an update of another rank.

    Args:
        module: The map; changed in place.
        decomposition: The update that is to be approximated.
        rank: The new rank.
        scaling: The new factor in front of B A, above 0.

    Raises:
        ValueError: If the present update is merged into the weight, was taken out of it, or has
            lengths of rows beside it.
    """
    if module.merged:
        raise ValueError("unmerge the adapter first: its weight holds the old update")
    if isinstance(module, LoRAEmbedding):
        a, b = decomposition.factors(rank, scaling)
        device = module.lora_embedding_A.device
        module.lora_embedding_A = nn.Parameter(a.to(device))
        module.lora_embedding_B = nn.Parameter(b.to(device))
        module.scaling = scaling
        return
    if module.initial_A is not None or module.lora_magnitude_vector is not None:
        raise ValueError("only a plain update can be replaced")
    a, b = decomposition.factors(rank, scaling)
    device = module.lora_A.weight.device
    for name, weight in (("lora_A", a), ("lora_B", b)):
        # On the meta device nothing is drawn for a weight that is replaced at once.
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
        linear.weight = nn.Parameter(weight.to(device))
        setattr(module, name, linear)
    module.scaling = scaling
