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
        rotary_base: The base of the angles; see ``RotaryPositions``.
        rotary_pairs: Which features are turned together; see ``RotaryPositions``.
        window: How many tokens away a token looks (self-attention only); None: as far as its
            sentence goes.

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
        rotary_base: float = 10_000.0,
        rotary_pairs: str = "neighbours",
        window: int | None = None,
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
        self.rotary = None
        if rotary:
            self.rotary = RotaryPositions(d_model // num_heads, rotary_base, rotary_pairs)
        self.window = window

    def forward(
        self,
        x: Float[Tensor, "queries d_model"],
        layout: SequenceLayout,
        memory: Float[Tensor, "keys d_model"] | None = None,
        memory_layout: SequenceLayout | None = None,
        *,
        causal: bool = False,
        bias: Float[Tensor, "heads distances"] | None = None,
        cache: AttentionCache | None = None,
    ) -> Float[Tensor, "queries d_model"]:
        """Returns, for each token of ``x``, a mixture of the values of its sentence's memory.

        Args:
            x: The tokens that ask.
            layout: Their sentences.
            memory: The tokens that answer; ``x`` itself if None (self-attention).
            memory_layout: Their sentences; needed with ``memory``.
            causal: Whether a token sees only itself and the tokens before it.
            bias: What is added to a score for how far the answering token stands behind the asking
                one; see ``RelativeBias`` (self-attention only).
            cache: While decoding: the keys and values so far. ``x`` is then the newest token of
                each row, and a self-attention cache takes it in.

        Returns:
            One vector per token of ``x``, in its order.

        Raises:
            ValueError: If attention that goes by positions (rotary, in a window, with a bias) is
                given a memory, or a window or a bias is to be decoded with.
        """
        if cache is not None:
            if self.window is not None or bias is not None:
                raise ValueError("a cache knows neither a window nor a bias")
            return self.out(self._attend_cached(x, cache))
        by_position = self.rotary is not None or self.window is not None or bias is not None
        if by_position and memory is not None:
            raise ValueError("positions order one sequence; a memory is another")
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
            window=self.window,
            bias=bias,
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
        bias: Float[Tensor, "heads distances"] | None = None,
    ) -> list[Float[Tensor, "heads queries_of_one keys_of_one"]]:
        """Computes the attention weights themselves, for looking at them.

        Training never keeps them; a picture asks for them again, for the sentences it shows.

        Args:
            x: The tokens that ask.
            layout: Their sentences.
            memory: The tokens that answer; ``x`` itself if None.
            memory_layout: Their sentences; needed with ``memory``.
            causal: Whether a token sees only itself and the tokens before it.
            bias: What is added to a score for each distance, as in ``forward``.

        Returns:
            One tensor per sentence, rows summing to 1.
        """
        memory = x if memory is None else memory
        keys = (layout if memory_layout is None else memory_layout).lengths.tolist()
        turned = self._turned(self.query(x), self.key(memory), layout)
        q = self._split(turned[0]).float().split(layout.lengths.tolist())
        k = self._split(turned[1]).float().split(keys)
        return [
            attention_weights(
                a.transpose(0, 1), b.transpose(0, 1), causal=causal, window=self.window, bias=bias
            )
            for a, b in zip(q, k, strict=True)
        ]
