"""Pipelines of tiny random models, made without training."""

import re
from pathlib import Path
from typing import Any

import tiny
import tiny_tasks
import torch

from lowkey.data.tokenizer import TextTokenizer
from lowkey.data.tokenizer_training import train_tokenizer
from lowkey.hf.answerer import load_answerer
from lowkey.hf.bert import load_classifier, save_encoder
from lowkey.hf.model_folder import base_identity
from lowkey.hf.tagger import load_tagger
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import inject
from lowkey.models.config import TransformerConfig
from lowkey.models.transformer import Transformer
from lowkey.pipelines.answerer import Answerer
from lowkey.pipelines.bundle import Facts
from lowkey.pipelines.classifier import TextClassifier
from lowkey.pipelines.tagger import Tagger
from lowkey.pipelines.translator import Translator

LABELS = ["bad", "fair", "good"]
TAGS = ["O", "B-GOOD", "I-GOOD", "B-BAD"]
SENTENCES = [["the", "films", "was", "good"], ["a"], ["not-bad", "and", "greatly", "!"], ["b", "c"]]
TEXTS = ["the film", "a", "was not very good and not bad but dull", "great !", "b c d e f g h"]
QUESTIONS = ["is the film good", "a", "was not"]
CONTEXTS = [
    "the films was very good and not bad but dull !",
    "b c",
    "greatly not-bad a b c d e f g h",
]


def write_base(folder: Path, *, seed: int = 0) -> Path:
    """A random BERT without a head, and its tokenizer."""
    folder.mkdir()
    save_encoder(tiny.classifier(seed=seed).encoder, folder)
    tiny.write_tokenizer(folder)
    return folder


def classifier(base: Path, method: str, *, seed: int = 5, **changes: Any) -> TextClassifier:
    """A classifier as a training leaves it: all that the method trains is random."""
    names = changes.get("labels", LABELS)
    model = load_classifier(base, len(names) or 1)
    config = as_trained(model, method, seed)
    facts: dict[str, Any] = {
        "kind": "classification",
        "task": "classify",
        "method": method,
        "labels": LABELS,
        "max_length": 32,
        "base_model": str(base.resolve()),
        "base_sha256": base_identity(base)["sha256"],
    }
    tokenizer = TextTokenizer.load(base)
    return TextClassifier(model.eval(), tokenizer, Facts(**facts | changes), lora_config=config)


def tagger(base: Path, method: str, *, seed: int = 5, **changes: Any) -> Tagger:
    """A tagger as a training leaves it: all that the method trains is random."""
    facts: dict[str, Any] = {
        "kind": "tagging",
        "task": "tag",
        "method": method,
        "labels": TAGS,
        "max_length": 32,
        "long_texts": "error",
        "base_model": str(base.resolve()),
        "base_sha256": base_identity(base)["sha256"],
    } | changes
    model = load_tagger(base, len(facts["labels"]))
    config = as_trained(model, method, seed)
    return Tagger(model.eval(), TextTokenizer.load(base), Facts(**facts), lora_config=config)


def answerer(base: Path, method: str, *, seed: int = 5, **changes: Any) -> Answerer:
    """A finder of answers as a training leaves it: all that the method trains is random."""
    facts: dict[str, Any] = {
        "kind": "answering",
        "task": "answer",
        "method": method,
        "max_length": 14,
        "long_texts": "window",
        "base_model": str(base.resolve()),
        "base_sha256": base_identity(base)["sha256"],
    } | changes
    model = load_answerer(base)
    config = as_trained(model, method, seed)
    return Answerer(model.eval(), TextTokenizer.load(base), Facts(**facts), lora_config=config)


def as_trained(model: torch.nn.Module, method: str, seed: int) -> LoRAConfig | None:
    """Gives a model what a training leaves: all that the method trains is random."""
    config = LoRAConfig(r=2, lora_alpha=6) if method == "lora" else None
    if config:
        inject(model, config)
    if method in ("head", "bitfit"):
        for name, parameter in model.named_parameters():
            is_bias = method == "bitfit" and name.endswith(".bias")
            parameter.requires_grad_(is_bias or name.startswith("classifier."))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.3, generator=generator)
    return config


def saved(pipeline: TextClassifier | Tagger | Answerer | Translator, folder: Path) -> Path:
    folder.mkdir()
    pipeline.save(folder)
    return folder


def write_what_is_opened(code: str) -> None:
    """Writes what a page's code opens: an encoder, or runs by LoRA over one base."""
    if '"models/bert"' in code:
        tiny_tasks.write_bert(Path("models/bert"))
    runs = [run for some in re.findall(r"TextBank.load\(\[(.*)\]", code) for run in some.split(",")]
    base = write_base(Path("base")) if runs else Path()
    for seed, run in enumerate(Path(run.strip(' "')) for run in runs):
        run.mkdir(parents=True)
        (run / "config.yaml").touch()
        saved(classifier(base, "lora", seed=seed), run / "best")


def translator(*, joint: bool = False, decode: Any = None, **changes: Any) -> Translator:
    """A random Transformer between symbols; it rarely ends a sentence by itself."""
    source = train_tokenizer(["a b c d e f g h"], kind="whitespace", vocab_size=20)
    target = train_tokenizer(["u v w x"], kind="whitespace", vocab_size=20)
    target = source if joint else target
    facts_changes = {k: changes.pop(k) for k in ("max_length", "task") if k in changes}
    sizes: dict[str, Any] = {
        "source_vocab_size": source.vocab_size,
        "target_vocab_size": target.vocab_size,
        "d_model": 16,
        "num_heads": 4,
        "d_ff": 24,
        "num_encoder_layers": 2,
        "num_decoder_layers": 2,
        "share_embeddings": joint,
    }
    model = Transformer(TransformerConfig(**sizes | changes)).eval()
    tiny.randomise(model, std=0.5)  # decisive enough that sources differ in what comes out
    facts = {"kind": "translation", "task": "words", "method": "scratch", "decode": decode}
    return Translator(model, source, target, Facts(**facts | facts_changes))
