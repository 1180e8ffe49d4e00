"""Translation models handed on to transformers and peft: equal logits, equal tokens."""

import warnings

import pytest
import tiny
import tiny_marian
import torch

from lowkey.data.pairs import PairExamples
from lowkey.data.tokenizer_training import train_tokenizer
from lowkey.errors import ConfigError
from lowkey.experiments.export import export
from lowkey.files import read_json
from lowkey.hf.adapter_families import MARIAN, TRANSFORMER
from lowkey.hf.model_folder import base_identity
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import adapters, inject
from lowkey.models.config import TransformerConfig
from lowkey.models.transformer import Transformer
from lowkey.pipelines.bundle import Decoding, Facts
from lowkey.pipelines.load import load
from lowkey.pipelines.published import find_start, published_facts
from lowkey.pipelines.translator import Translator
from lowkey.pipelines.translator_files import Adaptation

SOURCES, TARGETS = (
    tiny_marian.sentences(tiny_marian.ENGLISH, 8, seed=5),
    tiny_marian.sentences(tiny_marian.GERMAN, 8, seed=5),
)


def our_logits(translator: Translator) -> list[torch.Tensor]:
    """Teacher-forced logits of each pair."""
    source, target = translator.source_tokenizer, translator.target_tokenizer
    sources = source.encode(SOURCES, special_tokens=False).tokens.with_end(source.end_id)
    targets = target.encode(TARGETS, special_tokens=False).tokens
    batch = PairExamples(
        sources, targets.with_begin(translator.begin_id), targets.with_end(target.end_id), 0
    ).batch(range(len(SOURCES)))
    with torch.no_grad():
        logits = translator.model(
            batch.source_ids, batch.source_layout, batch.target_input_ids, batch.target_layout
        )
    return list(logits.split(batch.target_layout.lengths.tolist()))


def largest_difference(theirs, tokenizer, target_tokenizer, translator: Translator) -> float:
    """Over all pairs, with the tokenizers that were exported."""
    config, gaps = theirs.config, []
    for source, target, ours in zip(SOURCES, TARGETS, our_logits(translator), strict=True):
        batch = tokenizer(source, return_tensors="pt")
        ids = target_tokenizer(text_target=target)["input_ids"]
        inputs = torch.tensor([[config.decoder_start_token_id, *ids[:-1]]])
        with torch.no_grad():
            logits = theirs(
                input_ids=batch.input_ids,
                attention_mask=batch.attention_mask,
                decoder_input_ids=inputs,
            ).logits[0]
        gaps.append(float((logits - ours).abs().max()))
    return max(gaps)


def open_theirs(folder):
    from transformers import AutoTokenizer, MarianMTModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MarianMTModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


def write_adapted(base, folder, targets="all-linear", family=MARIAN) -> Translator:
    """A LoRA bundle on another folder, as a training leaves it: its updates are random."""
    translator = Translator.load(base)
    config = LoRAConfig(r=3, lora_alpha=5, target_modules=targets, modules_to_save=[])
    generator = torch.Generator().manual_seed(7)
    inject(translator.model, config, generator)
    for module in adapters(translator.model).values():
        torch.nn.init.normal_(module.lora_B.weight, std=0.3, generator=generator)
    translator.adaptation = Adaptation(config, family)
    changes = {"method": "lora", "base_model": str(base)}
    identity = {"base_sha256": base_identity(base)["sha256"]}
    translator.facts = translator.facts.model_copy(update=changes | identity)
    folder.mkdir()
    translator.save(folder)
    return translator


def write_own(folder, kind="bpe", *, joint=False, **changes) -> Translator:
    """A bundle from scratch with tokenizers of the tokenizers library, its weights random."""
    texts = [*SOURCES, *TARGETS] if joint else SOURCES
    source = train_tokenizer(texts, kind=kind, vocab_size=60)
    target = source if joint else train_tokenizer(TARGETS, kind=kind, vocab_size=50)
    sizes = {
        "source_vocab_size": source.vocab_size,
        "target_vocab_size": target.vocab_size,
        "d_model": 16,
        "num_heads": 4,
        "num_encoder_layers": 2,
        "num_decoder_layers": 1,
        "d_ff": 24,
        "share_embeddings": joint,
    }
    model = Transformer(TransformerConfig(**sizes | changes)).eval()
    tiny.randomise(model, seed=1)
    decode = Decoding(num_beams=2, max_length=9)
    facts = Facts(kind="translation", task="text", method="scratch", max_length=64, decode=decode)
    folder.mkdir()
    translator = Translator(model, source, target, facts)
    translator.save(folder)
    return translator


def test_a_published_model_comes_back_as_it_was(tmp_path):
    tiny_marian.write_published(tmp_path / "base")
    export(tmp_path / "base", format="marian", out=tmp_path / "out")
    theirs, tokenizer = open_theirs(tmp_path / "out")
    assert largest_difference(theirs, tokenizer, tokenizer, load(tmp_path / "base")) < 1e-5
    for name in ("source.spm", "target.spm"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "base" / name).read_bytes()
    assert load(tmp_path / "out").decoding == load(tmp_path / "base").decoding
    assert theirs.generation_config.num_beams == 3
    assert theirs.config.max_position_embeddings == 64
    assert "library_name: transformers" in (tmp_path / "out" / "README.md").read_text()


def test_an_adapter_is_merged_for_transformers_and_read_by_peft(tmp_path):
    from peft import PeftModel

    tiny_marian.write_published(tmp_path / "base")
    adapted = write_adapted(tmp_path / "base", tmp_path / "lora")
    export(tmp_path / "lora", format="marian", out=tmp_path / "merged")
    theirs, tokenizer = open_theirs(tmp_path / "merged")
    assert largest_difference(theirs, tokenizer, tokenizer, adapted) < 1e-4  # rounding of the sum
    export(tmp_path / "lora", format="peft", out=tmp_path / "peft")
    base, _ = open_theirs(tmp_path / "base")
    assert largest_difference(base, tokenizer, tokenizer, adapted) > 1e-2
    wrapped = PeftModel.from_pretrained(base, tmp_path / "peft").eval()
    assert largest_difference(wrapped, tokenizer, tokenizer, adapted) < 1e-5
    config = read_json(tmp_path / "peft" / "adapter_config.json")
    assert config["task_type"] == "SEQ_2_SEQ_LM"
    assert config["target_modules"] == sorted(
        ["fc1", "fc2", "k_proj", "out_proj", "q_proj", "v_proj"]
    )
    reloaded = load(tmp_path / "lora")
    assert reloaded.translate(SOURCES) == adapted.translate(SOURCES)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("bpe", {}),
        ("unigram", {"joint": True, "scale_embeddings": False}),
        ("whitespace", {"tie_embeddings": False, "activation": "silu", "decoder_num_heads": 2}),
        ("character", {"joint": True, "tie_embeddings": False}),
    ],
)
def test_a_model_from_scratch_becomes_a_marian_model(tmp_path, kind, changes):
    from transformers import AutoTokenizer

    own = write_own(tmp_path / "own", kind, **changes)
    said = export(tmp_path / "own", format="marian", out=tmp_path / "out")
    assert "its folder target" in said
    theirs, tokenizer = open_theirs(tmp_path / "out")
    target = AutoTokenizer.from_pretrained(tmp_path / "out" / "target")
    assert largest_difference(theirs, tokenizer, target, own) < 1e-5
    batch = tokenizer(SOURCES, return_tensors="pt", padding=True)
    with torch.no_grad():
        # Longer outputs than ours are not asked for: a bundle also knows the length of its source.
        found = theirs.generate(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
    own.decoding = own.decoding.model_copy(update={"banned_ids": [own.begin_id]})
    decoded = target.batch_decode(found, skip_special_tokens=True)
    assert decoded == own.translate(SOURCES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm": "pre"}, r'model\.norm: "pre"'),
        ({"positions": "rotary"}, r'model\.positions: "rotary"'),
        ({"positions": "learned"}, r'model\.positions: "learned"'),
        ({"gated": True}, r"model\.gated: true"),
    ],
)
def test_what_marian_cannot_be_is_named(tmp_path, changes, message):
    write_own(tmp_path / "own", **changes)
    with pytest.raises(ConfigError, match=message):
        export(tmp_path / "own", format="marian", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format", ["peft", "merged"])
@pytest.mark.parametrize(("norm", "fix"), [("post", "use --format marian"), ("pre", None)])
def test_a_form_that_the_model_does_not_have_is_refused(tmp_path, format, norm, fix):
    write_own(tmp_path / "own", norm=norm)
    with pytest.raises(ConfigError, match="has no adapter, it is whole already") as caught:
        export(tmp_path / "own", format=format, out=tmp_path / "out")
    assert caught.value.fix == fix
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("norm", "form"), [("post", "marian"), ("pre", "merged")])
def test_an_adapter_on_a_model_of_ours_gets_the_hint_that_leads_on(tmp_path, norm, form):
    write_own(tmp_path / "own", norm=norm)
    adapted = write_adapted(tmp_path / "own", tmp_path / "lora", family=TRANSFORMER)
    with pytest.raises(ConfigError, match=f"use --format {form}, which makes one model of both"):
        export(tmp_path / "lora", format="peft", out=tmp_path / "out")
    export(tmp_path / "lora", format=form, out=tmp_path / "out")
    export(tmp_path / "lora", format="merged", out=tmp_path / "whole")
    whole, base = load(tmp_path / "whole"), load(tmp_path / "own")
    assert not adapters(whole.model)
    pairs = zip(our_logits(whole), our_logits(adapted), our_logits(base), strict=True)
    for found, expected, before in pairs:
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
        assert (found - before).abs().max() > 1e-2
    assert whole.decoding == adapted.decoding
    assert find_start(str(tmp_path / "whole")) == tmp_path / "whole"
    with pytest.raises(ConfigError, match="--format merged"):
        find_start(str(tmp_path / "lora"))
    card = (tmp_path / "whole" / "README.md").read_text()
    assert "library_name: lowkey" in card
    assert "Tuned from" in card


def test_an_export_reads_and_writes_beyond_the_default_positions(tmp_path):
    own = write_own(tmp_path / "own", "character", max_positions=8)
    for read, written in ((30, 12), (12, 30)):
        decode = own.decoding.model_copy(update={"max_length": written, "min_length": written})
        own.facts = own.facts.model_copy(update={"decode": decode, "max_length": read})
        folder = tmp_path / f"bundle-{read}"
        folder.mkdir()
        own.save(folder)
        export(folder, format="marian", out=tmp_path / f"out-{read}")
        theirs, tokenizer = open_theirs(tmp_path / f"out-{read}")
        assert theirs.config.max_position_embeddings == 30
        batch = tokenizer(["a" * (read - 1)], return_tensors="pt")
        assert batch.input_ids.shape[1] == read
        with torch.no_grad():
            found = theirs.generate(**batch)
        assert found.shape[1] == written + 1  # begins with the start token
        assert published_facts(tmp_path / f"out-{read}").decode.max_length == written
