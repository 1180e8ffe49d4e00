"""Many adapters on one base: a mixed batch computes what each computes alone."""

import random
from typing import Any

import pytest
import tiny
import torch
from lora.banks import KINDS, adapted, bank_of, batch, mixed

from lowkey.lora.bank import AdapterBank
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import adapters, inject
from lowkey.lora.rows import Rows
from lowkey.models.config import TransformerConfig
from lowkey.models.transformer import Transformer
from lowkey.nn.layout import SequenceLayout


def random_options(draw: random.Random) -> dict[str, Any]:
    maps = ["query", "key", "value", "out", "up", "1.feed_forward.down"]
    dora, start = draw.random() < 0.3, draw.choice([True, "pissa"])
    if not dora and start is True:  # tables of embeddings have neither
        maps += ["embeddings.token", "position", "segment"]
    return {
        "seed": draw.randrange(100),
        "num_labels": draw.randint(1, 5),
        "r": draw.randint(1, 5),
        "lora_alpha": draw.uniform(0.5, 8),
        "target_modules": draw.sample(maps, draw.randint(1, 6)),
        "modules_to_save": draw.choice([["classifier"], ["classifier", "pooler"]]),
        "use_rslora": draw.random() < 0.5,
        "use_dora": dora,
        "init_lora_weights": start,
        "lora_dropout": draw.choice([0.0, 0.3]),
    }


@pytest.mark.parametrize("seed", range(20))
def test_a_mixed_batch_computes_what_each_adapter_computes_alone(seed: int) -> None:
    draw = random.Random(seed)
    models = {f"a{i}": adapted(**random_options(draw)) for i in range(draw.randint(1, 4))}
    bank = bank_of(**models)
    names = draw.choices([None, *models], k=draw.randint(1, 8))
    lengths = [draw.randint(1, 6) for _ in names]
    found = mixed(bank, names, lengths)
    for name, (model, _) in [*models.items(), (None, (tiny.classifier(), None))]:
        own = [i for i, each in enumerate(names) if each == name]
        with torch.no_grad():
            expected = model(*batch(lengths))
        labels = expected.shape[1]
        if own:
            torch.testing.assert_close(found[own, :labels], expected[own], atol=1e-5, rtol=1e-5)
            assert (found[own, labels:] == -torch.inf).all()
        # Switched to it, every row is its own, and nothing has to say whose rows are whose.
        bank.switch(name)
        with torch.no_grad():
            torch.testing.assert_close(bank.model(*batch(lengths)), expected, atol=1e-5, rtol=1e-5)


def test_the_adapters_of_a_batch_differ_and_rows_that_are_swapped_are_noticed() -> None:
    bank = bank_of(a=adapted(1, 2), b=adapted(2, 2))
    found = mixed(bank, ["a", "b", None], [3, 3, 3])
    swapped = mixed(bank, ["b", "a", None], [3, 3, 3])
    assert (found[:2] - swapped[:2]).abs().amin(1).max() > 1e-2
    assert torch.equal(found[2], swapped[2])


def test_rows_without_an_adapter_have_the_bits_of_the_base() -> None:
    bank, lengths = bank_of(a=adapted(), b=adapted(2, r=3)), [4, 2, 5]
    with torch.no_grad():
        expected = tiny.classifier()(*batch(lengths))
    assert torch.equal(mixed(bank, [None] * 3, lengths), expected)


def test_removal_leaves_the_base_as_it_was() -> None:
    base = tiny.classifier()
    modules, state = dict(base.named_modules()), {n: p.clone() for n, p in base.named_parameters()}
    objects = dict(base.named_parameters())
    bank = AdapterBank(base, KINDS, base="tiny")
    bank.add("a", *adapted(target_modules="qv"), base="tiny")
    bank.add("b", *adapted(use_dora=True), base="tiny")
    # While it is there, checkpoints of the base are what they were, too.
    assert base.state_dict().keys() == state.keys()
    mixed(bank, ["a", "b"], [3, 4])
    bank.switch("b")
    bank.remove("b")
    with torch.no_grad():  # nobody answers in the place of the adapter that is gone
        assert torch.equal(base(*batch([3, 4])), tiny.classifier()(*batch([3, 4])))
    bank.add("b", *adapted(2, r=3), base="tiny")
    with torch.no_grad():
        assert torch.equal(base(*batch([3, 4])), tiny.classifier()(*batch([3, 4])))
    bank.remove("b")
    one = mixed(bank, ["a", None], [3, 4])
    torch.testing.assert_close(one[0], adapted(target_modules="qv")[0](*batch([3, 4]))[0])
    assert type(base.get_submodule("encoder.blocks.0.feed_forward.up")).__name__ == "Linear"
    bank.remove("a")
    assert bank.names == []
    assert dict(base.named_modules()) == modules
    assert dict(base.named_parameters()) == objects
    assert all(torch.equal(p, state[n]) for n, p in base.named_parameters())
    with torch.no_grad():
        assert torch.equal(base(*batch([3, 4])), tiny.classifier()(*batch([3, 4])))


def test_taking_in_an_adapter_leaves_its_model_alone_and_keeps_nothing_of_it() -> None:
    model, config = adapted()
    before = {name: p.clone() for name, p in model.named_parameters()}
    bank = bank_of(a=(model, config))
    expected = mixed(bank, ["a"], [5])
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    tiny.randomise(model, seed=9)
    assert torch.equal(mixed(bank, ["a"], [5]), expected)


@pytest.mark.parametrize("weights", [{"a": 0.7, "b": 0.3}, {"a": 2.0, "b": -1.0}, {"b": 0.5}])
def test_a_combination_is_the_sum_of_the_updates(weights) -> None:
    models = {"a": adapted(1, 3, r=3, target_modules="qv"), "b": adapted(2, 2, use_rslora=True)}
    bank = bank_of(**models)
    bank.combine("c", weights, head="b")
    # By hand: the base with the sum in its weights, and the head of b.
    expected = tiny.classifier()
    expected.classifier = models["b"][0].classifier
    with torch.no_grad():
        for name, weight in weights.items():
            for path, module in adapters(models[name][0]).items():
                expected.get_submodule(path).weight += weight * module.delta_weight()
        alone = expected(*batch([4, 3]))
    found = mixed(bank, ["c", "c"], [4, 3])
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-5)
    query = bank.model.get_submodule("encoder.blocks.0.attention.query")
    assert len(query.entries["c"].a) == sum({"a": 3, "b": 2}[name] for name in weights)
    assert (found - mixed(bank, ["b", "b"], [4, 3])).abs().max() > 1e-2
    # It stands by itself.
    bank.remove("a")
    bank.remove("b")
    torch.testing.assert_close(mixed(bank, ["c", "c"], [4, 3]), found)


def test_tables_of_embeddings_serve_many_adapters_too() -> None:
    models = {
        "a": adapted(1, 3, target_modules=["embeddings.token", "segment"]),
        "b": adapted(2, 3, target_modules=["embeddings.token", "query"]),
    }
    bank = bank_of(**models)
    bank.combine("c", {"a": 0.5, "b": -1.5}, head="a")
    lengths = [3, 5, 2, 4]
    names = ["a", "b", None, "a"]
    found, base = mixed(bank, names, lengths), tiny.classifier()
    with torch.no_grad():
        for name, (model, _) in models.items():
            own = [i for i, each in enumerate(names) if each == name]
            expected = model(*batch(lengths))[own]
            torch.testing.assert_close(found[own], expected, atol=1e-5, rtol=1e-5)
        base.classifier = models["a"][0].classifier
        for name, weight in (("a", 0.5), ("b", -1.5)):
            for path, module in adapters(models[name][0]).items():
                base.get_submodule(path).weight += weight * module.delta_weight()
        summed = base(*batch(lengths))
    torch.testing.assert_close(mixed(bank, ["c"] * 4, lengths), summed, atol=1e-5, rtol=1e-5)
    table = bank.model.encoder.embeddings.token
    for name in ("a", "b", "c"):
        bank.remove(name)
    assert type(table).__name__ == "BankedEmbedding"
    assert type(bank.model.encoder.embeddings.token).__name__ == "Embedding"


def test_queries_and_keys_of_a_cross_attention_see_other_rows() -> None:
    sizes = {"d_model": 8, "num_heads": 2, "d_ff": 12, "dropout": 0.0}
    counts = {"num_encoder_layers": 1, "num_decoder_layers": 2}
    vocabularies = {"source_vocab_size": 9, "target_vocab_size": 7}

    def transformer() -> Transformer:
        model = Transformer(TransformerConfig(**sizes, **counts, **vocabularies)).eval()
        tiny.randomise(model)
        return model

    config = LoRAConfig(r=2, modules_to_save=[])
    models = {}
    bank = AdapterBank(transformer(), Transformer.row_kinds, base="t")
    for seed, name in enumerate(["a", "b"]):
        models[name] = transformer()
        inject(models[name], config)
        for module in adapters(models[name]).values():
            generator = torch.Generator().manual_seed(seed)
            module.lora_B.weight.data.normal_(generator=generator)
        bank.add(name, models[name], config, base="t")
    source, target = SequenceLayout([3, 5, 2]), SequenceLayout([4, 1, 2])
    generator = torch.Generator().manual_seed(0)
    inputs = (
        torch.randint(0, 9, (10,), generator=generator),
        source,
        torch.randint(0, 7, (7,), generator=generator),
        target,
    )
    names = ["a", "b", "a"]
    rows = {"source": Rows(names, source.lengths), "target": Rows(names, target.lengths)}
    with torch.no_grad(), bank.route(**rows):
        found = bank.model(*inputs)
    for name in models:
        own = torch.tensor([names[i] == name for i in target.sentence_ids.tolist()])
        torch.testing.assert_close(found[own], models[name](*inputs)[own], atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="rows of source"), bank.route(target=rows["target"]):
        bank.model(*inputs)


def test_it_computes_in_the_precision_of_its_input() -> None:
    bank = bank_of(a=adapted(1, 3), b=adapted(2, 4, use_dora=True))
    names, lengths = ["a", "b", "a"], [4, 6, 3]
    expected = mixed(bank, names, lengths)
    bank.model.compute_in(torch.bfloat16)
    found = mixed(bank, names, lengths)
    known = expected.isfinite()
    assert torch.equal(found.isfinite(), known)
    scale = expected[known].abs().max()
    torch.testing.assert_close(found[known] / scale, expected[known] / scale, atol=0.05, rtol=0)


def test_it_says_what_is_in_it() -> None:
    bank = bank_of(a=adapted(target_modules="qv"), b=adapted(rank_pattern={"up": 7}))
    said = "2 adapters on one base: a (4 modules at rank 2), b (12 modules at ranks 2 to 7)"
    assert str(bank) == said
    assert str(bank_of()) == "0 adapters on one base"
