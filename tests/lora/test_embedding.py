"""LoRA of tables of embeddings: the layer, putting it into models, and what is refused."""

import pytest
import tiny
import torch
from torch import nn

from lowkey.errors import ConfigError
from lowkey.lora.config import TARGET_PRESETS, LoRAConfig
from lowkey.lora.embedding import LoRAEmbedding
from lowkey.lora.inject import adapters, inject, merge_all, unmerge_all
from lowkey.models.config import EncoderConfig, TransformerConfig
from lowkey.models.encoder import Encoder
from lowkey.models.heads import SequenceClassifier
from lowkey.models.masked import MaskedLanguageModel
from lowkey.models.transformer import Transformer
from lowkey.nn.layout import SequenceLayout

TABLES = ["encoder.embeddings.token", "encoder.embeddings.position", "encoder.embeddings.segment"]
IDS = torch.tensor([3, 1, 4, 1, 8])


def make(**options) -> LoRAEmbedding:
    torch.manual_seed(0)
    layer = LoRAEmbedding(nn.Embedding(9, 7), LoRAConfig(r=3, lora_alpha=6, **options))
    nn.init.normal_(layer.lora_embedding_A)  # with A = 0 every equality below would be free
    return layer


def transformer(**options) -> Transformer:
    sizes = {"d_model": 8, "num_heads": 2, "d_ff": 12, "source_vocab_size": 9}
    layers = {"num_encoder_layers": 1, "num_decoder_layers": 1, "target_vocab_size": 9}
    model = Transformer(TransformerConfig(**sizes, **layers, dropout=0.0, **options)).eval()
    tiny.randomise(model)
    return model


@pytest.mark.parametrize("use_rslora", [False, True])
def test_is_the_one_of_peft_in_value_and_gradient(use_rslora: bool) -> None:
    from peft import LoraConfig, get_peft_model

    ours = make(use_rslora=use_rslora, lora_dropout=0.5)
    plain = nn.Embedding(9, 7)
    plain.weight = nn.Parameter(ours.weight.detach().clone())
    settings = LoraConfig(
        r=3, lora_alpha=6, target_modules=["0"], use_rslora=use_rslora, lora_dropout=0.5
    )
    theirs = get_peft_model(nn.Sequential(plain), settings).base_model.model[0]
    pairs = [
        (ours.lora_embedding_A, theirs.lora_embedding_A["default"]),
        (ours.lora_embedding_B, theirs.lora_embedding_B["default"]),
    ]
    with torch.no_grad():
        for our, their in pairs:
            their.copy_(our)
    outputs = [layer(IDS) for layer in (ours, theirs)]
    torch.testing.assert_close(*outputs, atol=1e-5, rtol=1e-5)
    assert (outputs[0] - plain(IDS)).abs().max() > 0.1
    for output in outputs:
        output.sin().sum().backward()
    for our, their in pairs:
        torch.testing.assert_close(our.grad, their.grad, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.delta_weight(), theirs.get_delta_weight("default"))


def test_merging_keeps_the_output_and_unmerging_gives_every_bit_back() -> None:
    layer = make()
    plain, original = layer(IDS), layer.weight.clone()
    layer.merge()
    torch.testing.assert_close(layer(IDS), plain, atol=1e-5, rtol=0)
    torch.testing.assert_close(layer.weight, original + layer.delta_weight())
    merged = layer.weight.clone()
    layer.merge()  # twice is once
    assert torch.equal(layer.weight, merged)
    layer.unmerge()
    assert torch.equal(layer.weight, original)
    assert torch.equal(layer(IDS), plain)
    # The control: subtracting instead is not exact.
    assert not torch.equal(merged - layer.delta_weight(), original)


@pytest.mark.parametrize("init", [True, "gaussian", "orthogonal"])
def test_a_fresh_one_changes_nothing_and_the_generator_decides(init) -> None:
    table = nn.Embedding(9, 7)
    config = LoRAConfig(r=2, init_lora_weights=init)
    one, two, other = (
        LoRAEmbedding(table, config, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert one.weight is table.weight
    assert torch.equal(one(IDS), table(IDS))
    assert torch.equal(one.lora_embedding_B, two.lora_embedding_B)
    assert not torch.equal(one.lora_embedding_B, other.lora_embedding_B)


def test_a_frozen_table_in_bf16_keeps_its_update_in_fp32() -> None:
    layer = make()
    expected = layer(IDS)
    layer.weight.data = layer.weight.data.bfloat16()
    found = layer(IDS)
    assert (layer.lora_embedding_A.dtype, found.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0.01)


def test_tables_are_adapted_counted_and_named_in_the_report() -> None:
    model = tiny.classifier()
    options = {"target_modules": ["query", "embeddings.token", "position", "segment"]}
    report = inject(model, LoRAConfig(r=4, rank_pattern={"segment": 2}, **options))
    assert set(report.tables) == set(TABLES)
    vocabulary = model.encoder.config.vocab_size
    tables = 4 * (vocabulary + 16) + 4 * (32 + 16) + 2 * (2 + 16)
    assert report.adapter_parameters == tables + 2 * 4 * (16 + 16)
    assert str(report).startswith(
        "LoRA adapts 2 linear maps (query) and 3 tables of embeddings (position, segment, token)"
        " at ranks 2 to 4:"
    )
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert "encoder.embeddings.token.lora_embedding_A" in trained
    assert "encoder.embeddings.token.weight" not in trained
    alone = inject(tiny.classifier(), LoRAConfig(r=1, target_modules=["token"]))
    assert str(alone).startswith("LoRA adapts 1 table of embeddings (token) at rank 1:")


def test_the_table_of_a_bert_base_counts_what_the_guide_says() -> None:
    sizes = {"vocab_size": 30522, "d_model": 768, "num_layers": 1, "num_heads": 12, "d_ff": 3072}
    with torch.device("meta"):
        model = SequenceClassifier(Encoder(EncoderConfig(**sizes)), 2)
        report = inject(model, LoRAConfig(r=8, target_modules=["token"]))
    assert report.adapter_parameters == 250_320 == 8 * (30_522 + 768)


@pytest.mark.parametrize("preset", list(TARGET_PRESETS))
def test_no_preset_takes_a_table(preset: str) -> None:
    for model, saved in ((tiny.classifier(), ["classifier"]), (transformer(), [])):
        assert inject(model, LoRAConfig(target_modules=preset, modules_to_save=saved)).tables == ()


def test_plain_equals_merged_equals_unmerged_in_a_model() -> None:
    model = tiny.classifier()
    layout = SequenceLayout([3, 6])
    ids, segments = torch.arange(9) % 7, torch.tensor([0, 0, 1, 0, 0, 0, 1, 1, 1])
    with torch.no_grad():
        base = [model(ids, layout, s) for s in (None, segments)]
        inject(model, LoRAConfig(target_modules=[*TABLES, "query"]))
        fresh = [model(ids, layout, s) for s in (None, segments)]
        torch.testing.assert_close(fresh, base)
        for module in adapters(model).values():
            for parameter in module.parameters():
                if parameter.requires_grad:
                    parameter.normal_(std=0.3)
        plain = [model(ids, layout, s) for s in (None, segments)]
        assert all((a - b).abs().max() > 1e-2 for a, b in zip(plain, base, strict=True))
        weights = {name: p.clone() for name, p in model.named_parameters()}
        merge_all(model)
        merged = [model(ids, layout, s) for s in (None, segments)]
        torch.testing.assert_close(merged, plain, atol=1e-5, rtol=1e-5)
        unmerge_all(model)
        assert all(torch.equal(p, weights[name]) for name, p in model.named_parameters())


def test_tables_of_the_transformer_that_are_not_tied() -> None:
    options = {"tie_embeddings": False, "share_embeddings": False, "positions": "learned"}
    model = transformer(**options)
    targets = ["source_embeddings.token", "target_embeddings.token", "position"]
    report = inject(model, LoRAConfig(target_modules=targets, modules_to_save=[]))
    assert len(report.tables) == 4
    layout = SequenceLayout([2, 3])
    inputs = (torch.tensor([1, 2, 3, 4, 5]), layout, torch.tensor([5, 4, 3, 2, 1]), layout)
    with torch.no_grad():
        for module in adapters(model).values():
            module.lora_embedding_A.normal_(std=0.3)
        plain = model(*inputs)
        assert (plain - transformer(**options)(*inputs)).abs().max() > 1e-2
        merge_all(model)
        torch.testing.assert_close(model(*inputs), plain, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("tying", "table"),
    [
        ({"share_embeddings": True, "tie_embeddings": True}, "source_embeddings.token"),
        ({"share_embeddings": True, "tie_embeddings": False}, "source_embeddings.token"),
        ({"share_embeddings": False, "tie_embeddings": True}, "target_embeddings.token"),
    ],
)
def test_a_tied_table_is_refused_by_name(tying: dict, table: str) -> None:
    model = transformer(**tying)
    with pytest.raises(ConfigError, match=f"the table {table} is tied: other parts"):
        inject(model, LoRAConfig(target_modules=["token"], modules_to_save=[]))
    assert not adapters(model)
    assert all(p.requires_grad for p in model.parameters())


def test_a_source_table_of_its_own_is_not_tied() -> None:
    model = transformer(share_embeddings=False, tie_embeddings=True)
    config = LoRAConfig(target_modules=["source_embeddings.token"], modules_to_save=[])
    assert inject(model, config).tables == ("source_embeddings.token",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"use_dora": True}, "use_dora is for linear maps, and encoder.embeddings.token is a"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights pissa is for linear maps"),
        ({"layers_to_transform": 0}, "'token' matches no module of the layers to transform"),
    ],
)
def test_what_tables_do_not_have_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        inject(tiny.classifier(), LoRAConfig(r=1, target_modules=["query", "token"], **options))


def test_the_table_that_a_head_for_masks_shares_is_tied() -> None:
    model = MaskedLanguageModel(Encoder(tiny.encoder_config()))
    with pytest.raises(ConfigError, match=r"the table encoder\.embeddings\.token is tied"):
        inject(model, LoRAConfig(target_modules=["token"], modules_to_save=[]))
