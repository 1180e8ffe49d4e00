"""Tiny models, adapters and tokenizers for tests: built from a config, never from the network.

Every parameter is random, biases and norms too, so that no two of them can be exchanged unseen.
transformers and peft are imported where they are used: tests that need neither stay fast.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = list("abcdefghijklmnopqrstuvwxyz")
WORDS += ["the", "film", "was", "is", "not", "very", "good", "bad", "great", "dull", "and", "but"]
VOCABULARY = [*SPECIAL_TOKENS, *WORDS, ".", "!", "##s", "##ly"]

BERT_SIZES: dict[str, Any] = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 32,
    "type_vocab_size": 2,
}


def randomise(model: torch.nn.Module, *, seed: int = 0, std: float = 0.3) -> None:
    """Gives every parameter random values; the weights of norms stay around one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator) * std
            parameter.copy_(noise + 1 if name.lower().endswith("norm.weight") else noise)


def bert(*, seed: int = 0, num_labels: int | None = None, **changes: Any) -> Any:
    """A random BERT of transformers in evaluation mode, with a classifier if it has labels."""
    from transformers import BertConfig, BertForSequenceClassification, BertModel

    if num_labels is None:
        model = BertModel(BertConfig(**BERT_SIZES | changes))
    else:
        config = BertConfig(**BERT_SIZES | {"num_labels": num_labels} | changes)
        model = BertForSequenceClassification(config)
    randomise(model, seed=seed)
    return model.eval()


def encoder_config(**changes: Any) -> Any:
    """Our configuration of the same sizes, without dropout."""
    from lowkey.models.config import EncoderConfig

    sizes: dict[str, Any] = {
        "vocab_size": len(VOCABULARY),
        "d_model": 16,
        "num_layers": 2,
        "num_heads": 4,
        "d_ff": 24,
        "max_positions": 32,
        "dropout": 0.0,
        "attention_dropout": 0.0,
    }
    return EncoderConfig(**sizes | changes)


def classifier(*, seed: int = 0, num_labels: int = 2, **changes: Any) -> Any:
    """One of our own classifiers, random and in evaluation mode."""
    from lowkey.models.encoder import Encoder
    from lowkey.models.heads import SequenceClassifier

    model = SequenceClassifier(Encoder(encoder_config(**changes)), num_labels, dropout=0.0)
    randomise(model, seed=seed)
    return model.eval()


def write_tokenizer(folder: Path, vocabulary: Sequence[str] = VOCABULARY) -> None:
    """Writes the tokenizer files of a lower-casing BERT with a small vocabulary."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    ids = {token: i for i, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.add_special_tokens(SPECIAL_TOKENS)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 32}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def write_bert(
    folder: Path, *, seed: int = 0, num_labels: int | None = None, **changes: Any
) -> Any:
    """Writes a random BERT and its tokenizer as transformers saves them; returns the model."""
    model = bert(seed=seed, num_labels=num_labels, **changes)
    model.save_pretrained(folder)
    write_tokenizer(folder)
    return model


def write_adapter(folder: Path, model: Any, *, seed: int = 1, **options: Any) -> Any:
    """Writes a random LoRA adapter of a transformers model as peft saves it.

    ``lora_B`` is not zero, so the adapter changes what the model computes. The model is wrapped in
    place; the wrapped one is returned in evaluation mode.
    """
    from peft import LoraConfig, get_peft_model

    settings = {
        "task_type": "SEQ_CLS",
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ["query", "value"],
    }
    wrapped = get_peft_model(model, LoraConfig(**settings | options))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    wrapped.save_pretrained(folder)
    return wrapped.eval()


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
    randomise(model, seed=seed)
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
