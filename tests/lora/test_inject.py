"""Putting LoRA into whole models: what trains, how much it is, and what is refused."""

import pytest
import torch
from torch import nn

from lowkey.errors import ConfigError
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import adapters, inject, merge_all, unmerge_all
from lowkey.models.config import EncoderConfig, TransformerConfig
from lowkey.models.encoder import Encoder
from lowkey.models.heads import SequenceClassifier
from lowkey.models.transformer import Transformer
from lowkey.nn.layout import SequenceLayout


def classifier(**sizes) -> SequenceClassifier:
    small = {"vocab_size": 30, "d_model": 16, "num_layers": 2, "num_heads": 4, "d_ff": 32}
    torch.manual_seed(0)
    return SequenceClassifier(Encoder(EncoderConfig(**{**small, **sizes})), 2)


@pytest.mark.parametrize(("target", "count"), [("qv", 294_912), ("all-linear", 1_327_104)])
def test_bert_base_has_the_published_counts(target: str, count: int) -> None:
    with torch.device("meta"):
        model = classifier(vocab_size=30522, d_model=768, num_layers=12, num_heads=12, d_ff=3072)
        report = inject(model, LoRAConfig(r=8, target_modules=target))
    assert report.adapter_parameters == count
    assert report.saved_parameters == 2 * 768 + 2
    assert report.total_parameters == 109_482_240 + count + 1538
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trainable == count + 1538
    assert f"{count:,} parameters, {trainable:,} with the head" in str(report)


def test_dora_counts_a_length_for_each_output() -> None:
    with torch.device("meta"):
        model = classifier(vocab_size=30522, d_model=768, num_layers=12, num_heads=12, d_ff=3072)
        report = inject(model, LoRAConfig(r=8, target_modules="qv", use_dora=True))
    assert report.adapter_parameters == 294_912 + 24 * 768
    assert report.saved_parameters == 2 * 768 + 2
    assert str(report).startswith("DoRA adapts 24 linear maps (query, value) at rank 8:")


@pytest.mark.parametrize(
    ("bias", "count"),
    [
        ("none", 0),
        ("lora_only", 12 * 2 * 768),
        # By hand: the norm of the embeddings, and per block four maps, two norms, two of the MLP.
        ("all", 768 + 12 * (4 * 768 + 2 * 768 + 3072 + 768) + 768),
    ],
)
def test_biases_train_and_are_counted_by_themselves(bias: str, count: int) -> None:
    with torch.device("meta"):
        model = classifier(vocab_size=30522, d_model=768, num_layers=12, num_heads=12, d_ff=3072)
        report = inject(model, LoRAConfig(r=8, target_modules="qv", bias=bias))
    assert report.adapter_parameters == 294_912
    assert report.bias_parameters == count
    assert report.saved_parameters == 2 * 768 + 2
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert sum(p.numel() for n, p in model.named_parameters() if n in trained) == (
        294_912 + count + 1538
    )
    assert (f" {count:,} biases," in str(report)) == (bias != "none")
    assert ("encoder.blocks.3.attention.query.bias" in trained) == (bias != "none")
    assert ("encoder.blocks.3.attention_norm.bias" in trained) == (bias == "all")


def test_patterns_give_modules_a_rank_and_an_alpha_of_their_own() -> None:
    model = classifier()
    report = inject(
        model,
        LoRAConfig(
            r=4,
            lora_alpha=8,
            target_modules="qv",
            rank_pattern={"blocks.0.attention.query": 2, "query": 6},
            alpha_pattern={"value": 2},
        ),
    )
    blocks = [model.get_submodule(f"encoder.blocks.{i}.attention") for i in (0, 1)]
    found = [(b.query.rank, b.query.scaling, b.value.rank, b.value.scaling) for b in blocks]
    assert found == [(2, 4, 4, 0.5), (6, 8 / 6, 4, 0.5)]
    assert report.adapter_parameters == (2 + 6 + 4 + 4) * (16 + 16)
    assert "(query, value) at ranks 2 to 6:" in str(report)


@pytest.mark.parametrize(("layers", "found"), [(1, {1}), ([0], {0}), ([1, 0], {0, 1})])
def test_only_the_layers_that_are_named_are_adapted(layers: int | list[int], found: set) -> None:
    report = inject(classifier(), LoRAConfig(layers_to_transform=layers, target_modules="qv"))
    assert set(report.ranks) == {
        f"encoder.blocks.{layer}.attention.{name}" for layer in found for name in ("query", "value")
    }


def test_presets_take_the_gate_along_where_there_is_one() -> None:
    sizes = {"d_model": 8, "num_heads": 2, "d_ff": 12, "gated": True}
    counts = {"num_encoder_layers": 1, "num_decoder_layers": 1}
    vocabularies = {"source_vocab_size": 9, "target_vocab_size": 9}
    model = Transformer(TransformerConfig(**sizes, **counts, **vocabularies))
    linear = {name for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    report = inject(model, LoRAConfig(target_modules="all-linear", modules_to_save=[]))
    assert set(report.modules) == linear
    assert "decoder_blocks.0.feed_forward.gate" in linear
    # Who names a gate where there is none is told so.
    with pytest.raises(ConfigError, match="'gate' matches no module"):
        inject(classifier(), LoRAConfig(target_modules=["up", "gate"]))
    with pytest.raises(ConfigError, match="'gate' matches no module"):
        inject(classifier(), LoRAConfig(target_modules="gate"))


def test_a_fresh_adapter_changes_nothing_and_base_names_stay() -> None:
    model = classifier().eval()
    layout, ids = SequenceLayout([3, 6]), torch.randint(0, 30, (9,))
    before, names = model(ids, layout), set(model.state_dict())
    inject(model, LoRAConfig(r=2))
    torch.testing.assert_close(model(ids, layout), before)
    assert names < set(model.state_dict())


def test_plain_equals_merged_equals_unmerged_and_differs_from_the_base() -> None:
    model = classifier().eval()
    layout, ids = SequenceLayout([3, 6]), torch.randint(0, 30, (9,))
    base = model(ids, layout)
    inject(model, LoRAConfig(r=2))
    for module in adapters(model).values():
        nn.init.normal_(module.lora_B.weight, std=0.3)
    plain = model(ids, layout)
    weights = {n: p.clone() for n, p in model.named_parameters()}
    merge_all(model)
    torch.testing.assert_close(model(ids, layout), plain, atol=1e-5, rtol=0)
    assert (plain - base).abs().max() > 1e-3
    unmerge_all(model)
    assert all(torch.equal(p, weights[n]) for n, p in model.named_parameters())
    assert torch.equal(model(ids, layout), plain)


def test_only_the_adapter_and_the_head_get_gradients() -> None:
    model = classifier()
    inject(model, LoRAConfig(r=2, target_modules="qv"))
    model(torch.randint(0, 30, (9,)), SequenceLayout([3, 6])).sum().backward()
    trained = {n for n, p in model.named_parameters() if p.grad is not None}
    assert all("lora_" in name or name.startswith("classifier") for name in trained)
    assert len(trained) == 2 * 2 * 2 + 2


def test_the_same_generator_gives_the_same_adapter() -> None:
    models = [classifier() for _ in range(2)]
    for model in models:
        inject(model, LoRAConfig(r=2), torch.Generator().manual_seed(4))
    a, b = (m.state_dict() for m in models)
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_it_adapts_the_transformer_half_too() -> None:
    model = Transformer(
        TransformerConfig(
            source_vocab_size=9,
            target_vocab_size=7,
            d_model=8,
            num_heads=2,
            d_ff=16,
            num_encoder_layers=1,
            num_decoder_layers=1,
        )
    )
    report = inject(model, LoRAConfig(r=2, target_modules="attention", modules_to_save=[]))
    assert len(report.modules) == 3 * 4
    assert "decoder_blocks.0.cross_attention.query" in report.modules


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_modules": ["query", "valeu"]}, "'valeu' matches no module.*did you mean value"),
        ({"target_modules": "al-linear"}, "did you mean all-linear"),
        ({"modules_to_save": ["classifer"]}, "modules_to_save.*did you mean classifier"),
        ({"rank_pattern": {"qurey": 4}}, "rank_pattern: 'qurey' matches no adapted.*mean query"),
        ({"target_modules": "qv", "alpha_pattern": {"key": 4}}, "there are query, value"),
        ({"rank_pattern": {".*query": 4}}, "'.*query' matches no adapted module"),
        ({"layers_to_transform": [0, 2]}, "layers_to_transform: .* no layer 2 — there are 0 to 1"),
        ({"target_modules": ["blocks.0.attention.query"], "layers_to_transform": 1}, "the layers"),
        ({"target_modules": ["uery"]}, "'uery' matches no module"),  # the end of a word is no name
    ],
)
def test_a_target_that_matches_nothing_is_refused_with_near_names(options, message) -> None:
    model = classifier()
    with pytest.raises(ConfigError, match=message):
        inject(model, LoRAConfig(**options))
    assert not adapters(model)
    assert all(p.requires_grad for p in model.parameters())
