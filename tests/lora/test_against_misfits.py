"""What does not get into a bank of adapters, and what it is told."""

import pytest
import tiny
from lora.banks import KINDS, adapted, bank_of

from lowkey.errors import ConfigError, DataError
from lowkey.lora.bank import AdapterBank
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import adapters, inject
from lowkey.lora.rows import Rows


@pytest.mark.parametrize(
    ("options", "base", "message"),
    [
        ({"bias": "lora_only"}, "tiny", "adapter x trained biases of its base .bias: lora_only."),
        ({"bias": "all"}, "tiny", "use it alone, or train it with lora.bias none"),
        ({}, "other weights", "adapter x was trained on other weights .other we…. than"),
    ],
)
def test_adapters_that_cannot_share_a_base_are_refused(options, base, message) -> None:
    bank = bank_of(a=adapted())
    with pytest.raises(DataError, match=message):
        bank.add("x", *adapted(**options), base=base)
    assert bank.names == ["a"]


def test_an_adapter_of_another_model_leaves_no_trace() -> None:
    bank = bank_of()
    small = tiny.classifier(num_layers=1)
    deep = AdapterBank(small, KINDS, base="tiny")
    with pytest.raises(DataError, match=r"adapter x changes encoder.blocks.1.attention.query"):
        deep.add("x", *adapted(), base="tiny")
    assert not any(type(module).__name__ == "BankedLinear" for module in small.modules())
    wide = tiny.classifier(d_ff=20)
    inject(wide, config := LoRAConfig())
    with pytest.raises(DataError, match=r"blocks.0.feed_forward.up, which is not such a module"):
        bank.add("x", wide, config, base="tiny")
    assert bank.names == []


def test_names_are_told_apart() -> None:
    bank = bank_of(topics=adapted(), moods=adapted(2))
    for call in (
        lambda: bank.add("topics", *adapted(), base="tiny"),
        lambda: bank.combine("moods", {"topics": 1}, head="topics"),
    ):
        with pytest.raises(ConfigError, match=r"there is an adapter (topics|moods) already"):
            call()
    for call in (
        lambda: bank.switch("topcs"),
        lambda: bank.remove("topcs"),
        lambda: bank.route(tokens=Rows(["topcs"], [3])),
        lambda: bank.combine("x", {"topcs": 1}),
        lambda: bank.combine("x", {"topics": 1}, head="topcs"),
    ):
        with pytest.raises(ConfigError, match=r"no adapter topcs — did you mean topics\?"):
            call()


def test_what_is_no_sum_is_not_combined() -> None:
    bank = bank_of(a=adapted(), d=adapted(use_dora=True))
    with pytest.raises(ConfigError, match="adapter d is a DoRA"):
        bank.combine("x", {"a": 1, "d": 1}, head="a")
    with pytest.raises(ConfigError, match="say whose to take: head='a'"):
        bank.combine("x", {"a": 1})
    with pytest.raises(ConfigError, match="at least one adapter"):
        bank.combine("x", {})
    assert bank.names == ["a", "d"]


def test_a_base_with_adapters_and_a_model_without_are_refused() -> None:
    with pytest.raises(ValueError, match="a bank takes it without"):
        AdapterBank(adapted()[0], KINDS, base="tiny")
    with pytest.raises(ValueError, match="adapters that are not merged"):
        bank_of().add("x", tiny.classifier(), LoRAConfig(), base="tiny")
    model, config = adapted()
    next(iter(adapters(model).values())).merge()
    with pytest.raises(ValueError, match="adapters that are not merged"):
        bank_of().add("x", model, config, base="tiny")
    with pytest.raises(ValueError, match=r"which rows encoder.blocks.0.attention.query sees"):
        AdapterBank(tiny.classifier(), {"classifier": "sentences"}, base="tiny").add(
            "x", *adapted(), base="tiny"
        )


def test_a_head_for_another_width_is_refused() -> None:
    model, config = adapted()
    model.classifier = tiny.classifier(d_model=8, num_heads=2).classifier
    with pytest.raises(DataError, match=r"adapter x changes classifier, which is not such a"):
        bank_of().add("x", model, config, base="tiny")
