import pytest
import tiny

from lowkey.hf.bert_names import BERT_NAMES
from lowkey.hf.encoder_families import FAMILIES
from lowkey.hf.names import NameMap


def test_every_name_of_a_real_bert_goes_over_and_comes_back():
    theirs = list(tiny.bert(num_labels=2, num_hidden_layers=12).state_dict())
    ours = [BERT_NAMES.ours(name) for name in theirs]
    assert len(set(ours)) == len(theirs) == 201
    assert [BERT_NAMES.theirs(name) for name in ours] == theirs


def test_what_follows_the_row_is_carried_across():
    name = "encoder.blocks.11.feed_forward.down.lora_A.weight"
    assert BERT_NAMES.theirs(name) == "bert.encoder.layer.11.output.dense.lora_A.weight"
    assert BERT_NAMES.ours("classifier") == "classifier"


@pytest.mark.parametrize(
    "name",
    [
        "bert.encoder.layer.x.output.dense.weight",
        "bert.encoder.layer.01.output.dense.weight",
        "bert.encoder.layer.٣.output.dense.weight",
        "bert.encoder.layer." + "9" * 5000 + ".output.dense.weight",
        "bert.encoder.layer.0.output",
        "bert.encoder.layer.0.output.densely.weight",
        "classifiers.weight",
        "",
    ],
)
def test_a_name_without_a_row_is_refused(name):
    with pytest.raises(KeyError):
        BERT_NAMES.ours(name)


@pytest.mark.parametrize(
    "rows",
    [
        [("a.{}", "b")],
        [("a.{}.{}", "b.{}.{}")],
        [("a", "x"), ("a.b", "y")],
        [("a", "x.y"), ("b", "x")],
        [("a", "x"), ("b", "x")],
    ],
)
def test_an_ambiguous_table_is_refused(rows):
    with pytest.raises(ValueError, match="row"):
        NameMap(rows)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("embeddings.word_embeddings.weight", "encoder.embeddings.token.weight"),
        ("bert.embeddings.LayerNorm.gamma", "encoder.embeddings.norm.weight"),
        ("encoder.layer.3.output.LayerNorm.beta", "encoder.blocks.3.feed_forward_norm.bias"),
        ("embeddings.position_ids", None),
        ("cls.predictions.decoder.weight", None),
        ("qa_outputs.bias", None),
        ("classifier.bias", "classifier.bias"),
    ],
)
def test_declared_exceptions_of_bert(key, name):
    assert FAMILIES["bert"].ours(key) == name
