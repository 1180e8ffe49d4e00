"""A published translation model, told in the words of a bundle. Knows no torch."""

from pathlib import Path

from lowkey.errors import ConfigError
from lowkey.hf.hub import resolve_model
from lowkey.hf.marian_config import is_marian, read_marian_config
from lowkey.hf.marian_generation import GenerationFile, read_generation
from lowkey.pipelines.bundle import FACTS_FILE, Facts
from lowkey.pipelines.decoding import Decoding
from lowkey.run_folder import resolve_bundle


def read_facts(folder: Path) -> Facts:
    """Reads what a model folder says about itself: a bundle, or a published Marian model.

    Args:
        folder: The folder.

    Returns:
        The facts.

    Raises:
        MissingInputError: If it is neither.
        DataError: If a file is damaged or holds what lowkey cannot compute.
    """
    if not (folder / FACTS_FILE).is_file() and is_marian(folder):
        return published_facts(folder)
    return Facts.read(folder)


def published_facts(folder: Path) -> Facts:
    """Says of a published model what a bundle says of itself.

    Args:
        folder: A Marian folder.

    Returns:
        The facts; texts are as long as the model's positions go.

    Raises:
        DataError: If a file is damaged or holds what lowkey cannot compute.
    """
    config, found = read_marian_config(folder), read_generation(folder)
    longest = found.longest(config.max_position_embeddings)
    decode = Decoding(
        num_beams=found.num_beams,
        length_penalty=found.length_penalty,
        early_stopping=found.early_stopping,
        min_length=min(found.min_length, longest),
        max_length=longest,
        repetition_penalty=found.repetition_penalty,
        no_repeat_ngram_size=found.no_repeat_ngram_size,
        begin_id=config.decoder_start_token_id,
        banned_ids=found.banned_ids,
        end_at_limit=found.forced_eos_token_id is not None,
        renormalize=found.renormalize_logits,
    )
    return Facts(
        kind="translation",
        task="text",
        method="published",
        max_length=config.max_position_embeddings,
        decode=decode,
    )


def generation_of(decoding: Decoding, end_id: int) -> GenerationFile:
    """Says the other way round how a bundle decodes.

    What transformers has no word for stays behind: ratios to the length of the source, and the
    length penalty of GNMT. Samples are a choice of each prediction.

    Args:
        decoding: How the bundle decodes.
        end_id: The token that ends a sentence.

    Returns:
        The same for ``generation_config.json``.
    """
    return GenerationFile(
        num_beams=decoding.num_beams,
        length_penalty=decoding.length_penalty,
        early_stopping=decoding.early_stopping,
        min_length=decoding.min_length,
        # There the start token counts.
        max_length=min(decoding.max_length + 1, 100_000),
        repetition_penalty=decoding.repetition_penalty,
        no_repeat_ngram_size=decoding.no_repeat_ngram_size,
        bad_words_ids=[[number] for number in decoding.banned_ids],
        forced_eos_token_id=end_id if decoding.end_at_limit else None,
        renormalize_logits=decoding.renormalize,
    )


def find_start(name: str) -> Path:
    """Finds the model that a training of translations is to start from.

    Args:
        name: A run, a bundle, a Marian folder, or a name on the Hub.

    Returns:
        The folder of its files.

    Raises:
        ConfigError: If it is no translation model, or an adapter alone.
        MissingInputError: If it is not there.
        UnavailableError: If the Hub is needed and cannot be reached.
        DataError: If a file is damaged.
    """
    path = Path(name).expanduser()
    folder = resolve_bundle(path) if path.exists() else resolve_model(name, key="start_from")
    facts = read_facts(folder)
    if facts.kind != "translation":
        what = f"start_from {name} is a model for {facts.kind}, not for translation"
        raise ConfigError(what, fix="name a Marian folder or a run of lowkey train")
    if facts.method == "lora":
        raise ConfigError(
            f"start_from {name} is an adapter beside {facts.base_model}, not a whole model",
            fix=f"lowkey export {name} --format merged --out DIR makes one of both",
        )
    return folder
