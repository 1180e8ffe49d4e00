"""How fast each part of an encoder learns: its head, its blocks by their depth, LoRA's matrices."""

from collections.abc import Sequence

from torch import nn

from lowkey.experiments.config import FinetuneRecipe
from lowkey.lora.config import layer_of
from lowkey.models.encoder import Encoder
from lowkey.training.rates import Rate, RateOf, rates_by_ending


def finetuning_rates(
    model: nn.Module, encoder: Encoder, head: Sequence[nn.Module], recipe: FinetuneRecipe
) -> RateOf:
    r"""Gives each parameter of a model its learning rate, in units of ``train.learning_rate``.

    With the decay :math:`\delta` of ``train.layer_decay``, block :math:`i` of :math:`n`, counted
    from 0, has the factor :math:`\delta^{n - i}`, the embeddings (and MPNet's bias of distances,
    which all blocks share) :math:`\delta^{n + 1}`, and what stands behind the blocks 1. The head
    has ``train.head_learning_rate``, if there is one, and B of LoRA ``lora.loraplus_lr_ratio``
    times the rate of its place.

    Args:
        model: The model, adapted already if it is to be.
        encoder: Its encoder.
        head: The modules in front of the task, most of which begin at random.
        recipe: What to do.

    Returns:
        The rate of each parameter.

    References:
        Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018,
        section 3.2 (discriminative fine-tuning); Clark et al., "ELECTRA", 2020, appendix B.
    """
    train = recipe.train
    of_head = {id(parameter) for module in head for parameter in module.parameters()}
    names_of_head = {name for name, p in model.named_parameters() if id(p) in of_head}
    for_head = (train.head_learning_rate or train.learning_rate) / train.learning_rate
    top, decay = len(encoder.blocks) + 1, train.layer_decay
    of_update = rates_by_ending(recipe.lora.rates)

    def rate(name: str) -> Rate:
        if name in names_of_head:
            return Rate("head", for_head)
        block = layer_of(name)
        if block is not None:
            part, depth = f"block {block}", block + 1
        elif "embeddings." in name or "relative_bias." in name:
            # The bias of distances is one table for all blocks, as the embeddings are.
            part, depth = "embeddings", 0
        else:
            part, depth = ("pooler" if "pooler." in name else "last norm"), top
        part = "encoder" if decay == 1 else part
        faster = of_update(name).factor
        part = part if faster == 1 else f"{part}, B of LoRA"
        return Rate(part, decay ** (top - depth) * faster)

    return rate
