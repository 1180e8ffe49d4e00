"""Watches where a model's attention looks, without changing what the model does."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lowkey.models.encoder import Encoder
from lowkey.nn.attention import MultiHeadAttention
from lowkey.reports.heatmaps import AttentionMap

# By module name, one for each sentence; their sizes differ, hence the underscores.
Weights = dict[str, list[Float[Tensor, "_heads _queries _keys"]]]


@contextmanager
def collect_attention(model: nn.Module) -> Iterator[Weights]:
    """Records the attention weights of every forward pass inside the ``with`` block.

    Training never keeps these weights, so each attention computes them a second time, from the
    same inputs. Sentences of a later pass are appended to those of the earlier ones.

    Args:
        model: Any model that contains ``MultiHeadAttention``; it must run on whole sentences.

    Yields:
        The weights so far, on the CPU in fp32, in the order in which the modules ran.

    Raises:
        ValueError: If the model runs with a cache (while decoding), where the earlier tokens
            are no longer among the inputs.

    Example:
        >>> from lowkey.nn.layout import SequenceLayout
        >>> attention = MultiHeadAttention(d_model=4, num_heads=2)
        >>> with collect_attention(attention) as weights:
        ...     _ = attention(torch.zeros(3, 4), SequenceLayout([3]))
        >>> weights[""][0].shape
        torch.Size([2, 3, 3])
    """
    recorded: Weights = {}
    handles = [
        module.register_forward_pre_hook(
            _recorder(name, recorded, _passes(model, name)), with_kwargs=True
        )
        for name, module in model.named_modules()
        if isinstance(module, MultiHeadAttention)
    ]
    try:
        yield recorded
    finally:
        for handle in handles:
            handle.remove()


def attention_maps(
    weights: Weights,
    tokens: Callable[[str], tuple[Sequence[str], Sequence[str]]],
    sentence: int = 0,
) -> list[AttentionMap]:
    """Names the rows and columns of one sentence's weights.

    Args:
        weights: What ``collect_attention`` recorded.
        tokens: Gives, for the name of a module, the query tokens and the key tokens.
        sentence: Which sentence of the batch to take.

    Returns:
        One map for each attention, in the order in which they ran.

    Raises:
        ValueError: If the tokens of a module are not as many as its weights say.
    """
    return [
        AttentionMap(name, *tokens(name), recorded[sentence].numpy())
        for name, recorded in weights.items()
    ]


def _passes(model: nn.Module, name: str) -> int:
    """Says how often one forward pass runs a module: an encoder may pass one block again."""
    for path, module in model.named_modules():
        inside = f"{path}.blocks.0." if path else "blocks.0."
        if isinstance(module, Encoder) and module.config.share_blocks and name.startswith(inside):
            return module.config.num_layers
    return 1


def _recorder(name: str, recorded: Weights, passes: int) -> Callable[..., None]:
    """Makes the hook that computes one module's weights before the module itself runs."""
    before, _, after = name.rpartition(".0.")
    names = [name] if passes == 1 else [f"{before}.{i}.{after}" for i in range(passes)]
    turn = cycle(names)

    def record(module: MultiHeadAttention, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        inputs = dict(kwargs)
        if inputs.pop("cache", None) is not None:
            raise ValueError(f"{name}: attention cannot be collected while decoding with a cache")
        with torch.no_grad():
            weights = module.weights(*args, **inputs)
        recorded.setdefault(next(turn), []).extend(one.float().cpu() for one in weights)

    return record
