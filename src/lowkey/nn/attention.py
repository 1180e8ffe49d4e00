"""Multi-head attention (Vaswani et al., 2017, section 3.2).

The one attention of the package: the translation model uses it three times (encoder self, decoder
self, decoder cross) and BERT once.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lowkey.nn.cache import AttentionCache, SelfAttentionCache
from lowkey.nn.dropout import Dropout
from lowkey.nn.kernels import attention_weights, choose_kernel
from lowkey.nn.layout import SequenceLayout
from lowkey.nn.linear import Linear
from lowkey.nn.positions import RotaryPositions


class MultiHeadAttention(nn.Module):
    r"""Attends from queries to a memory through ``num_heads`` parallel heads.

    Head :math:`i` computes

    .. math:: \mathrm{softmax}\!\left(Q_i K_i^\top / \sqrt{d_k}\right) V_i,
              \qquad d_k = d_\text{model} / h

    and the heads, side by side, pass through the projection ``out``. Dropout acts on the
    attention *weights* (not on the output), as in the paper's reference code and in BERT.

    Args:
        d_model: Width of the inputs and of the output, in features.
        num_heads: Number of heads; must divide ``d_model``.
        dropout: Probability that one attention weight is dropped in training.
        bias: Whether the four projections have a bias. BERT's do.
        kernel: How to compute it: "auto", "reference" or "grouped" (see ``kernels.py``).
        rotary: Whether queries and keys are turned by their positions (self-attention only).

    Raises:
        ValueError: If ``num_heads`` does not divide ``d_model``, if there is no such kernel, or if
            ``rotary`` finds an odd number of features in a head.

    References:
        Vaswani et al., "Attention Is All You Need", 2017, arXiv:1706.03762.

    Example:
        >>> import torch
        >>> attention = MultiHeadAttention(d_model=8, num_heads=2)
        >>> attention(torch.zeros(5, 8), SequenceLayout([2, 3])).shape
        torch.Size([5, 8])
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        dropout: float = 0.0,
        bias: bool = True,
        kernel: str = "auto",
        rotary: bool = False,
    ):
        super().__init__()
        if d_model % num_heads:
            raise ValueError(f"num_heads={num_heads} must divide d_model={d_model}")
        self.num_heads = num_heads
        # Three projections rather than one fused matrix: LoRA adapts query and value alone, and
        # a fused matrix would make it pad its updates by hand.
        self.query = Linear(d_model, d_model, bias=bias)
        self.key = Linear(d_model, d_model, bias=bias)
        self.value = Linear(d_model, d_model, bias=bias)
        self.out = Linear(d_model, d_model, bias=bias)
        self.dropout = Dropout(dropout)
        self.kernel = choose_kernel(kernel)
        self.rotary = RotaryPositions(d_model // num_heads) if rotary else None

    def forward(
        self,
        x: Float[Tensor, "queries d_model"],
        layout: SequenceLayout,
        memory: Float[Tensor, "keys d_model"] | None = None,
        memory_layout: SequenceLayout | None = None,
        *,
        causal: bool = False,
        cache: AttentionCache | None = None,
    ) -> Float[Tensor, "queries d_model"]:
        """Returns, for each token of ``x``, a mixture of the values of its sentence's memory.

        Args:
            x: The tokens that ask.
            layout: Their sentences.
            memory: The tokens that answer; ``x`` itself if None (self-attention).
            memory_layout: Their sentences; needed with ``memory``.
            causal: Whether a token sees only itself and the tokens before it.
            cache: While decoding: the keys and values so far. ``x`` is then the newest token of
                each row, and a self-attention cache takes it in.

        Returns:
            One vector per token of ``x``, in its order.

        Raises:
            ValueError: If rotary attention is given a memory.
        """
        if cache is not None:
            return self.out(self._attend_cached(x, cache))
        if self.rotary is not None and memory is not None:
            raise ValueError("rotary positions order one sequence; a memory is another")
        memory = x if memory is None else memory
        q, k = self._turned(self.query(x), self.key(memory), layout)
        heads = self.kernel(
            q,
            k,
            self.value(memory),
            layout,
            layout if memory_layout is None else memory_layout,
            num_heads=self.num_heads,
            causal=causal,
            dropout=self.dropout.rate,
            generator=self.dropout.generator,
        )
        return self.out(heads)

    def _attend_cached(
        self, x: Float[Tensor, "rows d_model"], cache: AttentionCache
    ) -> Float[Tensor, "rows d_model"]:
        """Attends from the newest token of each row to what the cache holds."""
        q = self.query(x)
        if isinstance(cache, SelfAttentionCache):
            k, number = self.key(x), cache.length + 1
            if self.rotary is not None:
                newest = torch.full((len(x),), cache.length, device=x.device)
                q, k = self.rotary(q, newest, number), self.rotary(k, newest, number)
            cache.append(self._split(k), self._split(self.value(x)))
        return cache.attend(self._split(q)).flatten(1)

    def _turned(self, q: Tensor, k: Tensor, layout: SequenceLayout) -> tuple[Tensor, Tensor]:
        """Turns queries and keys by their positions, where positions are rotary."""
        if self.rotary is None:
            return q, k
        positions, number = layout.positions, layout.max_length
        return self.rotary(q, positions, number), self.rotary(k, positions, number)

    def _split(self, x: Float[Tensor, "rows d_model"]) -> Float[Tensor, "rows heads d_head"]:
        """Cuts the feature axis into heads."""
        return x.unflatten(-1, (self.num_heads, -1))

    def weights(
        self,
        x: Float[Tensor, "queries d_model"],
        layout: SequenceLayout,
        memory: Float[Tensor, "keys d_model"] | None = None,
        memory_layout: SequenceLayout | None = None,
        *,
        causal: bool = False,
    ) -> list[Float[Tensor, "heads queries_of_one keys_of_one"]]:
        """Computes the attention weights themselves, for looking at them.

        Training never keeps them; a picture asks for them again, for the sentences it shows.

        Args:
            x: The tokens that ask.
            layout: Their sentences.
            memory: The tokens that answer; ``x`` itself if None.
            memory_layout: Their sentences; needed with ``memory``.
            causal: Whether a token sees only itself and the tokens before it.

        Returns:
            One tensor per sentence, rows summing to 1.
        """
        memory = x if memory is None else memory
        keys = (layout if memory_layout is None else memory_layout).lengths.tolist()
        turned = self._turned(self.query(x), self.key(memory), layout)
        q = self._split(turned[0]).float().split(layout.lengths.tolist())
        k = self._split(turned[1]).float().split(keys)
        pairs = zip(q, k, strict=True)
        return [
            attention_weights(a.transpose(0, 1), b.transpose(0, 1), causal=causal) for a, b in pairs
        ]
