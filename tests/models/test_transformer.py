"""The Transformer against torch.nn, causality, and the options that torch does not have."""

import math

import pytest
import torch
from models.examples import MARIAN, MODERN, batch, make
from torch import nn

from lowkey.models.config import TransformerConfig
from lowkey.models.transformer import Transformer
from lowkey.nn.positions import sinusoidal_table


def copy_block(ours: nn.Module, theirs: nn.Module) -> None:
    pairs = [(ours.attention, theirs.self_attn)]
    norms = [ours.attention_norm, ours.feed_forward_norm]
    if hasattr(ours, "cross_attention"):
        pairs.append((ours.cross_attention, theirs.multihead_attn))
        norms.insert(1, ours.cross_attention_norm)
    for mine, other in pairs:
        maps = [mine.query, mine.key, mine.value]
        other.in_proj_weight.data = torch.cat([m.weight.data for m in maps])
        other.in_proj_bias.data = torch.cat([m.bias.data for m in maps])
        other.out_proj.load_state_dict(mine.out.state_dict())
    for number, norm in enumerate(norms, 1):
        getattr(theirs, f"norm{number}").load_state_dict(norm.state_dict())
    theirs.linear1.load_state_dict(ours.feed_forward.up.state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward.down.state_dict())


def compare_stacks(
    ours: nn.ModuleList, theirs: nn.ModuleList, found: torch.Tensor, expected: torch.Tensor
) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    weights = torch.sin(torch.arange(found.numel())).view_as(found)
    for output in (found, expected):
        (output * weights).sum().backward()
    for mine, other in zip(ours, theirs, strict=True):
        compare_gradients(mine, other)


def compare_gradients(ours: nn.Module, theirs: nn.Module) -> None:
    for mine, other in (("attention", "self_attn"), ("cross_attention", "multihead_attn")):
        if hasattr(ours, mine):
            maps = [getattr(getattr(ours, mine), part) for part in ("query", "key", "value")]
            fused = getattr(theirs, other)
            for kind in ("weight", "bias"):
                gradient = torch.cat([getattr(m, kind).grad for m in maps])
                expected = getattr(fused, f"in_proj_{kind}").grad
                torch.testing.assert_close(gradient, expected, atol=1e-4, rtol=1e-4)
    for mine, other in ((ours.feed_forward.up, "linear1"), (ours.feed_forward.down, "linear2")):
        gradient = getattr(theirs, other).weight.grad
        torch.testing.assert_close(mine.weight.grad, gradient, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_equals_torch_transformer(norm: str) -> None:
    ours = make(norm=norm)
    theirs = nn.Transformer(8, 2, 2, 2, 16, 0.0, batch_first=True, norm_first=norm == "pre").eval()
    if norm == "pre":
        theirs.encoder.norm.load_state_dict(ours.encoder_norm.state_dict())
        theirs.decoder.norm.load_state_dict(ours.decoder_norm.state_dict())
    else:  # torch adds a norm at the end of each stack that the paper does not have
        theirs.encoder.norm = theirs.decoder.norm = None
    for mine, other in zip(ours.encoder_blocks, theirs.encoder.layers, strict=True):
        copy_block(mine, other)
    for mine, other in zip(ours.decoder_blocks, theirs.decoder.layers, strict=True):
        copy_block(mine, other)
    source_ids, source, target_ids, target = batch()
    table = sinusoidal_table(10, 8)

    def embed(layout, ids, embeddings):
        return layout.pad(embeddings.token.weight[ids] * math.sqrt(8) + table[layout.positions])

    hidden = theirs(
        embed(source, source_ids, ours.source_embeddings),
        embed(target, target_ids, ours.target_embeddings),
        tgt_mask=torch.ones(6, 6, dtype=torch.bool).triu(1),
        src_key_padding_mask=~source.mask(),
        memory_key_padding_mask=~source.mask(),
    )
    expected = target.unpad(hidden) @ ours.target_embeddings.token.weight.T
    found = ours(source_ids, source, target_ids, target)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_the_encoder_stack_equals_torch_in_value_and_gradient(norm: str, training: bool) -> None:
    ours = make(norm=norm, num_encoder_layers=3, dropout=0.0, attention_dropout=0.0).train(training)
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True, norm_first=norm == "pre")
    last = nn.LayerNorm(8) if norm == "pre" else None
    theirs = nn.TransformerEncoder(layer, 3, last, enable_nested_tensor=False).train(training)
    if last is not None:
        theirs.norm.load_state_dict(ours.encoder_norm.state_dict())
    for mine, other in zip(ours.encoder_blocks, theirs.layers, strict=True):
        copy_block(mine, other)
    source_ids, source, _, _ = batch()
    embedded = ours.source_embeddings(source_ids, source.positions).detach()
    expected = source.unpad(theirs(source.pad(embedded), src_key_padding_mask=~source.mask()))
    found = ours.encode(source_ids, source)
    compare_stacks(ours.encoder_blocks, theirs.layers, found, expected)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_the_decoder_stack_equals_torch_in_value_and_gradient(norm: str, training: bool) -> None:
    ours = make(norm=norm, num_decoder_layers=3, dropout=0.0, attention_dropout=0.0).train(training)
    layer = nn.TransformerDecoderLayer(8, 2, 16, 0.0, batch_first=True, norm_first=norm == "pre")
    theirs = nn.TransformerDecoder(layer, 3, nn.LayerNorm(8) if norm == "pre" else None)
    theirs.train(training)
    if norm == "pre":
        theirs.norm.load_state_dict(ours.decoder_norm.state_dict())
    for mine, other in zip(ours.decoder_blocks, theirs.layers, strict=True):
        copy_block(mine, other)
    source_ids, source, target_ids, target = batch()
    memory = ours.encode(source_ids, source).detach()
    embedded = ours.target_embeddings(target_ids, target.positions).detach()
    hidden = theirs(
        target.pad(embedded),
        source.pad(memory),
        tgt_mask=torch.ones(6, 6, dtype=torch.bool).triu(1),
        memory_key_padding_mask=~source.mask(),
    )
    expected = target.unpad(hidden) @ ours.target_embeddings.token.weight.detach().T
    found = ours(source_ids, source, target_ids, target)
    compare_stacks(ours.decoder_blocks, theirs.layers, found, expected)


def test_the_decoder_may_have_other_heads_and_another_inner_width() -> None:
    model = make(**MODERN)
    for blocks, heads, width in ((model.encoder_blocks, 2, 16), (model.decoder_blocks, 4, 12)):
        for block in blocks:
            inner = block.feed_forward
            assert (inner.up.out_features, inner.gate.out_features) == (width, width)
            attentions = [m for n, m in block.named_modules() if n.endswith("attention")]
            assert [attention.num_heads for attention in attentions] == [heads] * len(attentions)


def test_the_output_bias_is_added_to_the_logits_and_starts_at_nothing() -> None:
    torch.manual_seed(0)
    model, inputs = make(output_bias=True), batch()
    added = model.output_bias.detach().clone()
    with_bias = model(*inputs)
    model.output_bias.data.zero_()
    torch.testing.assert_close(with_bias, model(*inputs) + added)
    assert not Transformer(model.config).output_bias.any()
    assert make().output_bias is None


@pytest.mark.parametrize("changes", [MODERN, MARIAN], ids=["modern", "marian"])
def test_every_parameter_learns(changes: dict) -> None:
    model, inputs = make(**changes).train(), batch()
    model(inputs[0] % 11, *inputs[1:]).square().sum().backward()
    # The bias of a key moves all scores of a query alike, unless the key is turned by its place.
    idle = () if changes is MODERN else ("attention.key.bias",)
    for name, parameter in model.named_parameters():
        moved = parameter.grad is not None and parameter.grad.abs().max() > 1e-4
        assert moved != name.endswith(("cross_attention.key.bias", *idle)), name


def test_embedding_dropout_is_its_own_and_else_as_dropout() -> None:
    def rates(**changes) -> set[float]:
        model = make(**changes)
        return {e.dropout.p for e in (model.source_embeddings, model.target_embeddings)}

    assert rates(dropout=0.3) == {0.3}
    assert rates(dropout=0.3, embedding_dropout=0.0) == {0.0}
    model = make(dropout=0.0, attention_dropout=0.0, embedding_dropout=0.5).train()
    assert {m.p for n, m in model.named_modules() if n.endswith(".dropout")} == {0.0, 0.5}
    inputs = batch()
    assert not torch.equal(model(*inputs), model(*inputs))
    quiet = make(dropout=0.0, attention_dropout=0.0, embedding_dropout=0.0).train()
    assert torch.equal(quiet(*inputs), quiet(*inputs))


@pytest.mark.parametrize("changes", [{}, MODERN], ids=["paper", "modern"])
def test_no_target_token_knows_a_later_one(changes: dict) -> None:
    model = make(**changes)
    source_ids, source, target_ids, target = batch()
    changed = target_ids.clone()
    changed[2] = (changed[2] + 1) % 11
    difference = (
        (model(source_ids, source, target_ids, target) - model(source_ids, source, changed, target))
        .abs()
        .amax(1)
    )
    assert not difference[:2].any()
    assert difference[2:4].min() > 0
    assert not difference[4:].any()  # nor do the other sentences


def test_tied_and_shared_tables_are_one_parameter() -> None:
    def count(**changes) -> int:
        return sum(p.numel() for p in make(source_vocab_size=11, **changes).parameters())

    tied = count()
    assert count(tie_embeddings=False) == tied + 11 * 8
    assert count(share_embeddings=True) == tied - 11 * 8


def test_a_new_model_is_drawn_as_documented() -> None:
    torch.manual_seed(0)
    sizes = {"d_model": 64, "num_heads": 2, "d_ff": 256, "source_vocab_size": 500}
    layers = {"num_encoder_layers": 1, "num_decoder_layers": 1}
    options = {"norm": "pre", "positions": "learned", "gated": True, "output_bias": True}
    config = TransformerConfig(
        target_vocab_size=400, tie_embeddings=False, **sizes, **layers, **options
    )
    model, seen = Transformer(config), set()
    for name, module in model.named_modules():
        weight, bias = (getattr(module, part, None) for part in ("weight", "bias"))
        if isinstance(module, nn.Linear):
            bound = math.sqrt(6 / (module.in_features + module.out_features))
            assert 0.97 * bound < weight.abs().max() <= bound, name
            assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.03), name
        elif isinstance(module, nn.Embedding):
            std = math.sqrt(0.5) if name.endswith("position") else 64**-0.5
            assert weight.std().item() == pytest.approx(std, rel=0.03), name
            assert weight.abs().max() > 3 * std  # normal, where a uniform draw ends at 1.7
        elif isinstance(module, nn.LayerNorm):
            assert (weight == 1).all()
        else:
            continue
        seen |= {name}
        assert bias is None or not bias.any(), name
    assert {"output", "source_embeddings.token", "encoder_blocks.0.feed_forward.gate"} <= seen
    drawn = sum(p.numel() for name in seen for p in model.get_submodule(name).parameters())
    assert drawn + model.output_bias.numel() == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("changes", [{}, MODERN], ids=["paper", "modern"])
def test_a_forward_pass_asks_no_tensor_for_a_number(
    changes: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs = make(**changes), batch()
    expected = model(*inputs)

    def refuse(tensor: torch.Tensor) -> int:
        raise AssertionError("on a GPU this would wait for all that is under way")

    for name in ("__int__", "__bool__", "item"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    with pytest.raises(AssertionError, match="wait"):
        int(inputs[0].max())
    found = model(*inputs)
    monkeypatch.undo()
    assert torch.equal(found, expected)
