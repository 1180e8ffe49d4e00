"""A translation that starts from nothing: tokenizers from the training pairs, weights at random."""

from collections.abc import Callable

import torch

from lowkey import runtime
from lowkey.data.rows import Rows
from lowkey.experiments.config import TranslationRecipe
from lowkey.experiments.pair_tokenizers import pair_tokenizers
from lowkey.models.config import TransformerConfig
from lowkey.models.transformer import Transformer
from lowkey.pipelines.bundle import Decoding, Facts
from lowkey.pipelines.translator_files import TranslatorParts


def new_model(recipe: TranslationRecipe, rows: Rows, say: Callable[[str], None]) -> TranslatorParts:
    """Trains the tokenizers and draws the weights.

    Args:
        recipe: Sizes and seed.
        rows: Training pairs.
        say: Takes a line for the user.

    Returns:
        Model, tokenizers and the facts of the run that begins.

    Raises:
        ConfigError: If a vocabulary is too small, or sizes do not fit each other.
        LowkeyError: If a tokenizer that the recipe names is not usable.
    """
    source, target = pair_tokenizers(recipe.tokenizer, rows, say)
    config = TransformerConfig(
        source_vocab_size=source.vocab_size,
        target_vocab_size=target.vocab_size,
        **recipe.model.config_values(joint=recipe.tokenizer.joint),
    )
    facts = Facts(
        kind="translation",
        task=recipe.metrics,
        method="scratch",
        max_length=recipe.data.max_length,
        decode=Decoding(**recipe.decode.model_dump()),
    )
    return TranslatorParts(new_transformer(config, recipe.train.seed), source, target, facts)


def new_transformer(config: TransformerConfig, seed: int) -> Transformer:
    """Makes a Transformer whose first weights are a function of the seed.

    Args:
        config: Its sizes.
        seed: Chooses the weights.

    Returns:
        The model; torch's global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(runtime.seed_for(seed, "weights"))
        return Transformer(config)
