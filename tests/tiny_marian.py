"""Tiny Marian models with their tokenizers, as published folders hold them, for tests."""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import tiny
import torch

from lowkey.files import read_json, write_json

MARIAN_SIZES: dict[str, Any] = {
    "vocab_size": 37,
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "activation_function": "swish",
    "max_position_embeddings": 64,
    "scale_embedding": True,
    "pad_token_id": 36,
    "decoder_start_token_id": 36,
    "eos_token_id": 0,
    "forced_eos_token_id": 0,
}


def marian(*, seed: int = 0, **changes: Any) -> Any:
    """A random MarianMTModel of transformers in evaluation mode, its positions as they are."""
    from transformers import MarianConfig, MarianMTModel

    model = MarianMTModel(MarianConfig(**MARIAN_SIZES | changes))
    fixed = {n: p.clone() for n, p in model.named_parameters() if "embed_positions" in n}
    tiny.randomise(model, seed=seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for name, positions in fixed.items():
            model.get_parameter(name).copy_(positions)
        bias = model.final_logits_bias
        bias.copy_(torch.randn(bias.shape, generator=generator))
    model.generation_config.bad_words_ids = [[model.config.pad_token_id]]
    model.generation_config.max_length = 24
    model.generation_config.num_beams = 3
    return model.eval()


def write_marian(folder: Path, *, seed: int = 0, **changes: Any) -> Any:
    """Saves a random MarianMTModel as transformers does, and returns it."""
    model = marian(seed=seed, **changes)
    model.save_pretrained(folder)
    return model


ENGLISH = "the cat sat on a mat and dogs ran over hills while birds sang about small red houses"
GERMAN = "die Katze saß auf einer Matte und Hunde liefen über Hügel während Vögel sangen"


def sentences(words: str, count: int, *, seed: int = 0) -> list[str]:
    """Random sentences of some words."""
    import random

    draw = random.Random(seed)
    return [" ".join(draw.choices(words.split(), k=draw.randint(2, 7))) for _ in range(count)]


@lru_cache
def pieces(words: str, vocab_size: int = 45) -> bytes:
    """A SentencePiece model of some words."""
    import io

    import sentencepiece

    content = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences(words, 300)),
        model_writer=content,
        vocab_size=vocab_size,
        hard_vocab_limit=False,
        character_coverage=1.0,
        minloglevel=2,
    )
    return content.getvalue()


def piece_vocabulary(*models: bytes, codes: Sequence[str] = ()) -> dict[str, int]:
    """The vocabulary of Marian: its end first, its padding last, ids of its own."""
    import sentencepiece

    tokens = ["</s>", "<unk>", *codes]
    for model in models:
        opened = sentencepiece.SentencePieceProcessor(model_proto=model)
        tokens += [opened.id_to_piece(i) for i in range(3, opened.get_piece_size())][::-1]
    return {token: i for i, token in enumerate(dict.fromkeys([*tokens, "<pad>"]))}


def write_marian_tokenizers(folder: Path, *, separate: bool = False, codes=()) -> int:
    """Writes the tokenizer files of a Marian folder, and returns the size of a vocabulary."""
    folder.mkdir(exist_ok=True)
    source, target = pieces(ENGLISH), pieces(GERMAN)
    (folder / "source.spm").write_bytes(source)
    (folder / "target.spm").write_bytes(target)
    settings: dict[str, Any] = {"separate_vocabs": separate, "tokenizer_class": "MarianTokenizer"}
    vocabulary = piece_vocabulary(source, target, codes=codes)
    if separate:
        vocabulary = piece_vocabulary(source, codes=codes)
        settings["target_vocab_file"] = "target_vocab.json"
        (folder / "target_vocab.json").write_text(json.dumps(piece_vocabulary(target)))
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(vocabulary)


def write_published(folder: Path, *, separate: bool = False, codes=(), **changes: Any) -> Any:
    """A random Marian model with its tokenizers: everything that a published folder holds."""
    size = write_marian_tokenizers(folder, separate=separate, codes=codes)
    sizes = {"vocab_size": size, "pad_token_id": size - 1, "decoder_start_token_id": size - 1}
    if separate:
        vocabulary = json.loads((folder / "target_vocab.json").read_text())
        sizes |= {
            "share_encoder_decoder_embeddings": False,
            "decoder_vocab_size": len(vocabulary),
            "decoder_start_token_id": vocabulary["<pad>"],
            "pad_token_id": min(vocabulary["<pad>"], size - 1),
        }
    model = marian(seed=1, **sizes | changes)
    with torch.no_grad():
        # What is the same for all sources is made small against what they say.
        for name, parameter in model.named_parameters():
            factor = 0.3 if name.endswith("norm.bias") else 2.0 if "encoder_attn." in name else 1.0
            parameter.mul_(factor)
        model.final_logits_bias.mul_(0.3)
        model.final_logits_bias[0, model.config.eos_token_id] += 1.0
    model.save_pretrained(folder)
    return model


def reconfigure(folder: Path, **changes: Any) -> None:
    """Changes keys of config.json."""
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", config | changes)
