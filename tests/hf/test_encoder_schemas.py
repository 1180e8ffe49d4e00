"""What the files of the families may say, and what of it lowkey does not compute."""

import json

import pytest
import tiny_families

from lowkey.errors import DataError
from lowkey.hf.bert import load_classifier, load_encoder


@pytest.mark.parametrize("key", ["num_hidden_groups", "inner_group_num"])
def test_an_albert_of_several_blocks_is_refused(tmp_path, key):
    tiny_families.write(tmp_path, "albert", **{key: 2})
    with pytest.raises(DataError, match=f"{key} must be 1, got 2"):
        load_encoder(tmp_path)


def test_roberta_numbers_no_more_sentences_than_its_table_has_rows(tmp_path):
    tiny_families.write(tmp_path, "roberta")
    encoder = load_encoder(tmp_path)
    assert encoder.config.max_positions == 32
    assert len(encoder.embeddings.position.weight) == 34


def test_a_position_table_without_a_place_is_refused(tmp_path):
    tiny_families.write(tmp_path, "roberta")
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"max_position_embeddings": 2}))
    with pytest.raises(DataError, match="leaves no position"):
        load_encoder(tmp_path)


def test_an_mpnet_with_other_distances_is_refused(tmp_path):
    tiny_families.write(tmp_path, "mpnet", relative_attention_num_buckets=64)
    with pytest.raises(DataError, match="relative_attention_num_buckets must be 32, got 64"):
        load_encoder(tmp_path)


def test_the_head_of_an_mpnet_drops_as_its_blocks_do(tmp_path):
    """transformers gives it no rate of its own, whatever a config says."""
    from transformers import AutoModelForSequenceClassification

    tiny_families.write(tmp_path, "mpnet", hidden_dropout_prob=0.3, classifier_dropout=0.7)
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    ours = load_classifier(tmp_path, 2)
    assert ours.dropout.p == theirs.classifier.dropout.p == 0.3
