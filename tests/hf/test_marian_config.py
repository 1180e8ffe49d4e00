"""``config.json`` of Marian folders, read strictly."""

import pytest
import tiny_marian

from lowkey.errors import DataError
from lowkey.hf.marian import load_marian
from lowkey.hf.marian_generation import read_generation


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normalize_before": True}, "normalize_before must be False"),
        ({"normalize_embedding": True}, "normalize_embedding must be False"),
        ({"add_final_layer_norm": True}, "add_final_layer_norm must be False"),
        ({"static_position_embeddings": False}, "static_position_embeddings must be True"),
        ({"encoder_layerdrop": 0.1}, "encoder_layerdrop"),
        ({"activation_function": "tanh"}, "activation_function must be"),
        ({"encoder_attention_heads": 3}, "not divisible"),
        ({"decoder_vocab_size": 38}, "needs one vocabulary"),
        ({"decoder_start_token_id": 37}, "decoder_start_token_id 37 has no row"),
        ({"d_model": 20}, "the model needs"),
        ({"d_model": 10**9}, "d_model must be"),
        ({"decoder_layers": 3}, "says 3 decoder layers, the weights hold 2"),
        ({"model_type": "bart"}, "no translation model known here"),
        ({"quantum": 1}, 'unknown key "quantum"'),
    ],
)
def test_a_config_that_is_not_what_we_compute_is_refused(tmp_path, changes, message):
    tiny_marian.write_marian(tmp_path)
    tiny_marian.reconfigure(tmp_path, **changes)
    with pytest.raises(DataError, match=message) as caught:
        load_marian(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_published_config_with_all_its_old_keys_is_read(tmp_path):
    tiny_marian.write_marian(tmp_path)
    old = {
        "_num_labels": 3,
        "add_bias_logits": False,
        "add_final_layer_norm": False,
        "bad_words_ids": [[36]],
        "classif_dropout": 0.0,
        "extra_pos_embeddings": 37,
        "force_bos_token_to_be_generated": False,
        "gradient_checkpointing": False,
        "id2label": {"0": "LABEL_0"},
        "label2id": {"LABEL_0": 0},
        "max_length": 512,
        "normalize_before": False,
        "normalize_embedding": False,
        "num_beams": 6,
        "num_hidden_layers": 2,
        "static_position_embeddings": True,
        "torch_dtype": "float16",
    }
    tiny_marian.reconfigure(tmp_path, **old)
    (tmp_path / "generation_config.json").unlink()
    assert load_marian(tmp_path).config.activation == "silu"
    found = read_generation(tmp_path)
    assert (found.num_beams, found.banned_ids, found.longest(64)) == (6, [36], 64)
