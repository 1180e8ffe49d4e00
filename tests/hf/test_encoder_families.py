"""Every family of encoders against transformers and peft: states, logits, files, adapters."""

import pytest
import tiny
import tiny_families
import torch
from safetensors.torch import load_file, save_file

from lowkey.errors import DataError
from lowkey.hf.adapter import load_adapter, save_adapter
from lowkey.hf.bert import load_classifier, load_encoder, save_classifier, save_encoder
from lowkey.hf.config import read_config
from lowkey.hf.encoder_families import FAMILIES
from lowkey.hf.parts import joined
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import adapters, inject, merge_all
from lowkey.nn.layout import SequenceLayout

OTHERS = [family for family in FAMILIES if family != "bert"]
LENGTHS = [5, 1, 32, 17, 2, 9]


def batch_for(theirs, seed: int = 0):
    """Random ids, padded as the family pads; and the same as our models take them."""
    generator = torch.Generator().manual_seed(seed)
    pad = theirs.config.pad_token_id
    shape = (len(LENGTHS), max(LENGTHS))
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS).unsqueeze(1)
    # RoBERTa numbers positions by where the padding token is not.
    ids = torch.randint(5, theirs.config.vocab_size, shape, generator=generator)
    ids = torch.where(mask, ids, pad)
    theirs_batch = {"input_ids": ids, "attention_mask": mask.long()}
    segments = None
    if getattr(theirs.config, "type_vocab_size", 0) > 1:
        theirs_batch["token_type_ids"] = torch.randint(2, shape, generator=generator) * mask
        segments = theirs_batch["token_type_ids"][mask]
    flat, layout = SequenceLayout.from_padded(ids, mask)
    return theirs_batch, mask, (flat, layout, segments)


@torch.no_grad()
@pytest.mark.parametrize("family", OTHERS)
def test_every_hidden_state_and_the_pooler_equal_transformers(tmp_path, family):
    theirs = tiny_families.write(tmp_path, family)
    encoder = load_encoder(tmp_path).eval()
    batch, real, ours = batch_for(theirs)
    expected = theirs(**batch, output_hidden_states=True)
    seen = []
    for module in [encoder.embeddings, *encoder.blocks]:
        module.register_forward_hook(lambda _m, _i, out: seen.append(out))
    last = encoder(*ours)
    seen[-1] = last  # with the normalisation behind the last block, where there is one
    assert len(seen) == len(expected.hidden_states)
    for mine, other in zip(seen, expected.hidden_states, strict=True):
        torch.testing.assert_close(mine, other[real], atol=1e-5, rtol=0)
    pooled = getattr(expected, "pooler_output", None)
    assert (pooled is None) == (encoder.pooler is None)
    if pooled is not None:
        torch.testing.assert_close(encoder.pool(last, ours[1]), pooled, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", OTHERS)
def test_logits_and_gradients_equal_transformers_in_training_without_dropout(tmp_path, family):
    rates = {k: 0.0 for k in tiny_families.NO_DROPOUT if _has(family, k)}
    theirs = tiny_families.write(tmp_path, family, num_labels=3, **rates).train()
    ours = load_classifier(tmp_path).train()
    batch, _, inputs = batch_for(theirs)
    expected, logits = theirs(**batch).logits, ours(*inputs)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)
    labels = torch.tensor([0, 2, 1, 1, 0, 2])
    for values in (expected, logits):
        torch.nn.functional.cross_entropy(values, labels).backward()
    names = FAMILIES[read_config(tmp_path).model_type]
    gradients = joined({names.theirs(n): p.grad for n, p in ours.named_parameters()})
    assert gradients.keys() == dict(theirs.named_parameters()).keys()
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-5, rtol=1e-4, msg=name)


def _has(family: str, rate: str) -> bool:
    from transformers import AutoConfig

    return hasattr(AutoConfig.for_model(family, **tiny_families.SIZES[family]), rate)


@pytest.mark.parametrize("family", OTHERS)
def test_load_then_save_gives_the_same_tensors_and_transformers_reads_them(tmp_path, family):
    from transformers import AutoModel, AutoModelForSequenceClassification

    theirs = tiny_families.write(tmp_path / "classifier", family, num_labels=3)
    bare = tiny_families.write(tmp_path / "encoder", family, seed=1)
    classifier = load_classifier(tmp_path / "classifier")
    save_classifier(classifier, tmp_path / "classifier_again", labels=["a", "b", "c"])
    save_encoder(load_encoder(tmp_path / "encoder"), tmp_path / "encoder_again")
    for kind in ("classifier", "encoder"):
        first = (tmp_path / kind / "model.safetensors").read_bytes()
        assert (tmp_path / f"{kind}_again" / "model.safetensors").read_bytes() == first
        assert (
            read_config(tmp_path / f"{kind}_again").encoder == read_config(tmp_path / kind).encoder
        )
    pairs = [(AutoModelForSequenceClassification, theirs), (AutoModel, bare)]
    for (auto, original), kind in zip(pairs, ("classifier", "encoder"), strict=True):
        again = auto.from_pretrained(tmp_path / f"{kind}_again").eval()
        assert type(again) is type(original)
        batch, _, _ = batch_for(original)
        with torch.no_grad():
            torch.testing.assert_close(again(**batch)[0], original(**batch)[0], atol=0, rtol=0)


@pytest.mark.parametrize("family", OTHERS)
def test_every_key_is_needed_and_named_when_missing(tmp_path, family):
    tiny_families.write(tmp_path, family, num_labels=2)
    state = load_file(tmp_path / "model.safetensors")
    for key in state:
        rest = {k: v for k, v in state.items() if k != key}
        save_file(rest, tmp_path / "model.safetensors", {"format": "pt"})
        with pytest.raises(DataError, match="lacks the tensor") as error:
            load_classifier(tmp_path)
        assert key in str(error.value)


@pytest.mark.parametrize("family", OTHERS)
def test_pre_training_heads_are_left_out_and_a_new_head_is_drawn(tmp_path, family):
    from transformers import AutoConfig, AutoModelForMaskedLM, AutoModelForPreTraining

    auto = AutoModelForPreTraining if family == "electra" else AutoModelForMaskedLM
    network = auto.from_config(AutoConfig.for_model(family, **tiny_families.SIZES[family]))
    network.save_pretrained(tmp_path)
    model = load_classifier(tmp_path, 2, generator=torch.Generator().manual_seed(1))
    assert all(not p.is_meta for p in model.parameters())
    drawn = [m for m in (model.encoder.pooler, *model.head) if m is not None]
    if FAMILIES[family].pretrained_transform:
        drawn.remove(model.transform)
        assert model.transform.dense.weight.equal(network.head.dense.weight)
        assert model.transform.norm.weight.equal(network.head.norm.weight)
    for weight in (p for module in drawn for p in module.parameters() if p.ndim == 2):
        assert 0.01 < weight.std() < 0.03
    saved = network.get_input_embeddings().weight
    assert model.encoder.embeddings.token.weight.equal(saved)


@pytest.mark.parametrize("family", OTHERS)
@pytest.mark.parametrize("targets", ["qv", "all-linear"])
def test_our_adapter_loads_in_peft_with_equal_logits(tmp_path, family, targets):
    from peft import PeftModel

    theirs = tiny_families.write(tmp_path / "base", family, num_labels=2)
    model = load_classifier(tmp_path / "base").eval()
    whole = tiny_families.head_modules(model)
    config = LoRAConfig(r=3, target_modules=targets, modules_to_save=whole)
    inject(model, config)
    tiny.randomise(
        torch.nn.ModuleList(
            m
            for m in model.modules()
            if not list(m.children()) and any(p.requires_grad for p in m.parameters())
        ),
        seed=3,
    )
    names = FAMILIES[family].adapters
    save_adapter(model, tmp_path / "adapter", lora_config=config, base_name="base", family=names)
    wrapped = PeftModel.from_pretrained(theirs, tmp_path / "adapter").eval()
    batch, _, inputs = batch_for(theirs)
    with torch.no_grad():
        expected, logits = wrapped(**batch).logits, model(*inputs)
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)
        again = load_classifier(tmp_path / "base").eval()
        assert not torch.allclose(again(*inputs), logits, atol=1e-3)
        load_adapter(again, tmp_path / "adapter", names)
        assert again.eval()(*inputs).equal(logits)
        merge_all(again)
        # The sum of weight and update is rounded once more, and logits are larger than 1 here.
        torch.testing.assert_close(again(*inputs), logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", OTHERS)
def test_an_adapter_of_peft_loads_with_equal_logits(tmp_path, family):
    modules = tiny_families.peft_targets(family)
    theirs = tiny_families.write(tmp_path / "base", family, num_labels=2)
    wrapped = tiny.write_adapter(tmp_path / "adapter", theirs, target_modules=modules)
    model = load_classifier(tmp_path / "base")
    load_adapter(model, tmp_path / "adapter", FAMILIES[family].adapters)
    each = 3 if modules == ["Wqkv"] else 2
    assert len(adapters(model)) == each * len(model.encoder.blocks)
    batch, _, inputs = batch_for(theirs)
    with torch.no_grad():
        expected = wrapped.eval()(**batch).logits
        torch.testing.assert_close(model.eval()(*inputs), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", OTHERS)
def test_the_head_drops_where_that_of_transformers_does(tmp_path, family):
    rate = {"classifier_dropout": 0.2} if family == "modernbert" else {}
    theirs = tiny_families.write(tmp_path, family, num_labels=2, **rate).train()
    head = next(
        m for m in (theirs, theirs.classifier) if hasattr(m, "dropout") or hasattr(m, "drop")
    )
    passed = []
    getattr(head, "dropout", getattr(head, "drop", None)).register_forward_hook(
        lambda module, _i, _o: passed.append(module.p)
    )
    theirs(**batch_for(theirs)[0])
    ours = load_classifier(tmp_path)
    rates = [] if ours.transform is None else [ours.transform.dropout.p]
    rates.append(ours.dropout.p)
    assert [rate for rate in rates if rate] == passed
    assert passed[-1] > 0


def test_albert_is_one_block_and_one_adapter_for_all_layers(tmp_path):
    tiny_families.write(tmp_path, "albert", num_labels=2)
    model = load_classifier(tmp_path)
    inject(model, LoRAConfig(target_modules="all-linear"))
    assert list(adapters(model)) == [
        *(f"encoder.blocks.0.attention.{name}" for name in ("query", "key", "value", "out")),
        *(f"encoder.blocks.0.feed_forward.{name}" for name in ("up", "down")),
    ]
    passed = []
    for block in model.encoder.blocks:
        block.register_forward_hook(lambda *_: passed.append(1))
    model(torch.arange(5, 9), SequenceLayout([4]))
    assert len(passed) == model.encoder.config.num_layers == 3


def test_albert_maps_its_embeddings_even_where_they_are_as_wide(tmp_path):
    theirs = tiny_families.write(tmp_path, "albert", embedding_size=16)
    batch, real, ours = batch_for(theirs)
    with torch.no_grad():
        expected = theirs(**batch).last_hidden_state[real]
        torch.testing.assert_close(
            load_encoder(tmp_path).eval()(*ours), expected, atol=1e-5, rtol=0
        )
