"""Names of tensors in PEFT's files; test_against_peft.py shows that PEFT has the same."""

import pytest

from lowkey.hf.adapter_families import BERT
from lowkey.hf.adapter_keys import AdapterKeys
from lowkey.hf.masked import masked_names

QUERY, KEY = (f"encoder.blocks.0.attention.{name}" for name in ("query", "key"))
THEIRS = "base_model.model.bert.encoder.layer.0.attention.self"
KEYS = AdapterKeys(BERT, {QUERY})


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (f"{QUERY}.lora_A.weight", f"{THEIRS}.query.lora_A.weight"),
        (f"{QUERY}.lora_magnitude_vector", f"{THEIRS}.query.lora_magnitude_vector"),
        (f"{QUERY}.bias", f"{THEIRS}.query.base_layer.bias"),
        (f"{KEY}.bias", f"{THEIRS}.key.bias"),
        ("encoder.embeddings.norm.bias", "base_model.model.bert.embeddings.LayerNorm.bias"),
        ("classifier.bias", "base_model.model.classifier.bias"),
    ],
)
def test_a_name_goes_there_and_back(ours, theirs):
    assert KEYS.theirs(ours) == theirs
    assert KEYS.ours(theirs) == ours


@pytest.mark.parametrize(
    "key",
    [
        f"{THEIRS}.query.bias",  # peft looks one floor down, and would pass over this one
        f"{THEIRS}.key.base_layer.bias",
        "bert.encoder.layer.0.attention.self.query.lora_A.weight",
        f"{THEIRS.replace('bert', 'elsewhere')}.query.lora_A.weight",
    ],
)
def test_a_key_that_peft_would_pass_over_is_none_of_ours(key):
    with pytest.raises(KeyError):
        KEYS.ours(key)


def test_copies_are_left_out_where_peft_writes_them():
    copies = AdapterKeys(BERT, {QUERY}, copies=True)
    for holder in ("original_module", "modules_to_save.default", "modules_to_save"):
        assert copies.ours(f"base_model.model.classifier.{holder}.bias") is None
    assert copies.ours("base_model.model.classifier.bias") == "classifier.bias"


def test_a_bias_that_two_modules_of_theirs_share_is_read_once():
    family = masked_names("bert").adapters
    copies = AdapterKeys(family, {QUERY}, copies=True)
    assert copies.ours("base_model.model.cls.predictions.bias") == "prediction.bias"
    assert copies.ours("base_model.model.cls.predictions.decoder.bias") is None
    with pytest.raises(KeyError):
        AdapterKeys(family, {QUERY}).ours("base_model.model.cls.predictions.decoder.bias")
