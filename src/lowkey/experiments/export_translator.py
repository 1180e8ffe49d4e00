"""Hands a translation model on: as a MarianMTModel, as a PEFT adapter, or whole for lowkey."""

from pathlib import Path

from lowkey.data.marian_tokenizers import save_marian_tokenizers
from lowkey.data.pair_tokenizer import PairTokenizer
from lowkey.data.sentencepiece_tokenizer import SentencePieceTokenizer
from lowkey.data.tokenizer import TextTokenizer
from lowkey.errors import ConfigError
from lowkey.files import write_json
from lowkey.hf.adapter import save_adapter
from lowkey.hf.adapter_families import MARIAN
from lowkey.hf.marian import save_marian, unlike_marian
from lowkey.hf.marian_order import in_halves
from lowkey.lora.inject import adapters, merge_all, unmerge_all
from lowkey.pipelines.published import generation_of
from lowkey.pipelines.translator import Translator
from lowkey.pipelines.translator_files import TranslatorParts


def write_marian(translator: Translator, folder: Path) -> str:
    """Writes a ``MarianMTModel`` with its tokenizers; adapters are merged in fp32.

    Args:
        translator: The model.
        folder: An existing folder.

    Returns:
        What was written.

    Raises:
        ConfigError: If Marian cannot be such a model; the message names the choice.
        CannotWriteError: If a file cannot be written.
    """
    model, source, target = (
        translator.model,
        translator.source_tokenizer,
        translator.target_tokenizer,
    )
    refuse_unlike_marian(translator)
    merge_all(model)
    begin_id, end_id = translator.begin_id, target.end_id
    # Marian pads with the token that outputs begin with: a source never holds it.
    decoding = translator.decoding
    banned = sorted({*decoding.banned_ids, begin_id})
    generation = generation_of(decoding.model_copy(update={"banned_ids": banned}), end_id)
    save_marian(
        in_halves(model),
        folder,
        generation=generation,
        begin_id=begin_id,
        end_id=end_id,
        pad_id=_padding(translator),
        longest=max(translator.facts.max_length or 0, decoding.max_length),
    )
    unmerge_all(model)
    length = translator.facts.max_length or model.config.max_positions
    if isinstance(source, SentencePieceTokenizer) and isinstance(target, SentencePieceTokenizer):
        save_marian_tokenizers(source, target, folder, max_length=length)
        return "a MarianMTModel for transformers, with the files of its MarianTokenizer"
    save_fast_tokenizer(source, folder, max_length=length)
    (folder / "target").mkdir()
    save_fast_tokenizer(target, folder / "target", max_length=length)
    return (
        "a MarianMTModel for transformers; AutoTokenizer reads the tokenizer of the sources from"
        " the folder itself, and that of the targets from its folder target"
    )


def _padding(translator: Translator) -> int:
    """Chooses an id to pad with that both tables have a row for."""
    source = translator.source_tokenizer
    return min(source.begin_id, translator.model.config.target_vocab_size - 1)


def refuse_unlike_marian(translator: Translator) -> None:
    """Refuses a model that no MarianMTModel can be.

    Args:
        translator: The model.

    Raises:
        ConfigError: If a choice prevents it.
    """
    reason = unlike_marian(translator.model)
    if reason is not None:
        raise ConfigError(
            f"Marian has no form for model.{reason.replace(' ', ': ', 1)}",
            where="--format",
            fix="it is post-norm, with sinusoidal positions and feed-forward networks without gate",
        )
    kinds = {type(translator.source_tokenizer), type(translator.target_tokenizer)}
    if len(kinds) > 1:
        what = "Marian has no form for a SentencePiece tokenizer on one side alone"
        raise ConfigError(what, where="--format")


def save_fast_tokenizer(tokenizer: PairTokenizer, folder: Path, *, max_length: int) -> None:
    """Writes one of our tokenizers so that transformers frames texts as a MarianMTModel wants.

    Args:
        tokenizer: The tokenizer.
        folder: An existing folder.
        max_length: Most tokens of a text.

    Raises:
        CannotWriteError: If a file cannot be written.
    """
    begin, end, unknown = tokenizer.tokens(
        [tokenizer.begin_id, tokenizer.end_id, tokenizer.unknown_id or 0]
    )
    assert isinstance(tokenizer, TextTokenizer), "the other kind has files of its own"
    tokenizer.save(folder, begins=False)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "eos_token": end,
        "pad_token": begin,
        "unk_token": unknown,
    }
    write_json(folder / "tokenizer_config.json", settings)


def write_adapter(translator: Translator, folder: Path) -> str:
    """Writes the adapter of a Marian model as peft reads it.

    Args:
        translator: The model.
        folder: An existing folder.

    Returns:
        What was written.

    Raises:
        ConfigError: If there is no adapter, or its base is no Marian model.
        CannotWriteError: If a file cannot be written.
    """
    adaptation, name = translator.adaptation, translator.facts.base_model or ""
    if adaptation is None:
        raise _no_adapter(translator)
    if adaptation.family is not MARIAN:
        form = "marian" if _can_be_marian(translator) else "merged"
        raise ConfigError(
            f"the base {name} is a model of lowkey's own, which peft's users do not have",
            where="--format",
            fix=f"use --format {form}, which makes one model of both",
        )
    config = adaptation.config
    save_adapter(translator.model, folder, lora_config=config, base_name=name, family=MARIAN)
    source, target = translator.source_tokenizer, translator.target_tokenizer
    assert isinstance(source, SentencePieceTokenizer), "a Marian folder has this kind"
    assert isinstance(target, SentencePieceTokenizer), "on both sides"
    length = translator.facts.max_length or translator.model.config.max_positions
    save_marian_tokenizers(source, target, folder, max_length=length)
    return f"a PEFT adapter of {len(adapters(translator.model))} modules for {name}"


def write_whole(translator: Translator, folder: Path) -> str:
    """Writes base and adapter as one model, a bundle for lowkey; they are merged in fp32.

    Args:
        translator: The model.
        folder: An existing folder.

    Returns:
        What was written.

    Raises:
        ConfigError: If there is no adapter to merge.
        CannotWriteError: If a file cannot be written.
    """
    if translator.adaptation is None:
        raise _no_adapter(translator)
    source, target = translator.source_tokenizer, translator.target_tokenizer
    # A bundle of the method lora holds updates alone; this one holds all weights.
    facts = translator.facts.model_copy(update={"method": "full"})
    merge_all(translator.model)
    TranslatorParts(translator.model, source, target, facts).save(folder)
    unmerge_all(translator.model)
    return "a whole model for lowkey, the adapter merged"


def _no_adapter(translator: Translator) -> ConfigError:
    return ConfigError(
        f"a model of the method {translator.facts.method} has no adapter, it is whole already",
        where="--format",
        fix="use --format marian" if _can_be_marian(translator) else None,
    )


def _can_be_marian(translator: Translator) -> bool:
    try:
        refuse_unlike_marian(translator)
    except ConfigError:
        return False
    return True
