"""ModernBERT's config: both spellings mean one encoder, and what lowkey lacks is one line."""

import json

import pytest
import tiny_families
import torch
from tiny_families import SIZES

from lowkey.errors import DataError
from lowkey.hf.bert import load_encoder
from lowkey.hf.config import config_json, read_config
from lowkey.nn.layout import SequenceLayout

# As its authors published it: keys that no code reads any more, and one without a value.
PUBLISHED = {
    "model_type": "modernbert",
    "architectures": ["ModernBertForMaskedLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 50281,
    "classifier_activation": "gelu",
    "classifier_bias": False,
    "classifier_dropout": 0.0,
    "classifier_pooling": "mean",
    "cls_token_id": 50281,
    "decoder_bias": True,
    "deterministic_flash_attn": False,
    "embedding_dropout": 0.0,
    "eos_token_id": 50282,
    "global_attn_every_n_layers": 3,
    "global_rope_theta": 160000.0,
    "gradient_checkpointing": False,
    "hidden_activation": "gelu",
    "hidden_size": 768,
    "initializer_cutoff_factor": 2.0,
    "initializer_range": 0.02,
    "intermediate_size": 1152,
    "layer_norm_eps": 1e-05,
    "local_attention": 128,
    "local_rope_theta": 10000.0,
    "max_position_embeddings": 8192,
    "mlp_bias": False,
    "mlp_dropout": 0.0,
    "norm_bias": False,
    "norm_eps": 1e-05,
    "num_attention_heads": 12,
    "num_hidden_layers": 22,
    "pad_token_id": 50283,
    "position_embedding_type": "absolute",
    "reference_compile": None,
    "sep_token_id": 50282,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "transformers_version": "4.47.0.dev0",
    "vocab_size": 50368,
}


def read(folder, **changes):
    config = {k: v for k, v in (PUBLISHED | changes).items() if v != "(gone)"}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return read_config(folder).encoder


def test_the_published_config_is_read_and_written_again(tmp_path):
    encoder = read(tmp_path)
    assert (encoder.global_every, encoder.local_window, encoder.pooling) == (3, 64, "mean")
    assert (encoder.rotary_base, encoder.local_rotary_base) == (160_000, 10_000)
    (tmp_path / "config.json").write_text(json.dumps(config_json(encoder)), encoding="utf-8")
    assert read_config(tmp_path).encoder == encoder


def test_transformers_spells_the_same_otherwise(tmp_path):
    from transformers import ModernBertConfig

    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED), encoding="utf-8")
    expected = read_config(tmp_path).encoder
    ModernBertConfig.from_pretrained(tmp_path).save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert "rope_parameters" in written
    assert "global_rope_theta" not in written
    assert read_config(tmp_path).encoder == expected


def test_layers_and_angles_of_the_new_spelling_count(tmp_path):
    kinds = ["full_attention", "sliding_attention"]
    encoder = read(
        tmp_path,
        num_hidden_layers=4,
        layer_types=kinds * 2,
        rope_parameters={
            kind: {"rope_theta": theta, "rope_type": "default"}
            for kind, theta in zip(kinds, (80_000, 5_000.5), strict=True)
        },
    )
    assert (encoder.global_every, encoder.num_layers) == (2, 4)
    assert (encoder.rotary_base, encoder.local_rotary_base) == (80_000, 5_000.5)
    assert read(tmp_path, num_hidden_layers=2, layer_types=[kinds[0]] * 2).global_every == 1
    assert read(tmp_path, num_hidden_layers=1, layer_types=kinds[:1]).global_every == 1
    assert read(tmp_path, local_rope_theta="(gone)").local_rotary_base == 10_000
    assert read(tmp_path, local_rope_theta=None, global_rope_theta=9).local_rotary_base == 9


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"layer_types": ["sliding_attention"] * 22}, "full_attention in every n-th"),
        ({"layer_types": ["full_attention"] * 3}, "full_attention in every n-th"),
        ({"layer_types": ["linear_attention"] * 22}, "layer_types"),
        ({"layer_types": []}, "layer_types"),
        ({"rope_parameters": {"full_attention": {"rope_type": "yarn", "rope_theta": 1e4}}}, "rope"),
        ({"rope_parameters": {"full_attention": {"rope_theta": float("1e999")}}}, "Infinity"),
        ({"global_rope_theta": 0}, "global_rope_theta"),
        ({"attention_bias": True}, "attention_bias must be False, got true"),
        ({"norm_bias": True}, "norm_bias"),
        ({"mlp_dropout": 0.1}, "mlp_dropout must be less than or equal to 0, got 0.1"),
        ({"classifier_activation": "silu"}, "classifier_activation"),
        ({"classifier_pooling": "max"}, "classifier_pooling"),
        ({"num_attention_heads": 7}, "hidden_size 768 is not divisible by num_attention_heads 7"),
        ({"num_attention_heads": 256}, "leaves an odd number to each of 256 heads"),
        ({"local_attention": -2}, "local_attention"),
        ({"rope_scaling": {"type": "linear"}}, 'unknown key "rope_scaling"'),
    ],
)
def test_what_lowkey_does_not_compute_is_refused_in_one_line(tmp_path, changes, match):
    with pytest.raises(DataError, match=match) as error:
        read(tmp_path, **changes)
    assert "\n" not in str(error.value)


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("local", [2, 7, 200])
def test_windows_and_pooling_are_those_of_transformers(tmp_path, local, pooling):
    from lowkey.hf.bert import load_classifier

    changes = {"local_attention": local, "classifier_pooling": pooling}
    theirs = tiny_families.write(tmp_path, "modernbert", num_labels=3, **changes)
    mask = torch.arange(20) < torch.tensor([20, 1, 9, 14]).unsqueeze(1)
    ids = torch.randint(5, SIZES["modernbert"]["vocab_size"], mask.shape)
    ids = torch.where(mask, ids, 0)
    expected = theirs(input_ids=ids, attention_mask=mask.long()).logits
    flat, layout = SequenceLayout.from_padded(ids, mask)
    ours = load_classifier(tmp_path).eval()
    torch.testing.assert_close(ours(flat, layout), expected, atol=1e-5, rtol=0)


def test_positions_beyond_the_first_table_are_turned_too(tmp_path):
    theirs = tiny_families.write(tmp_path, "modernbert", max_position_embeddings=300)
    ids = torch.randint(5, SIZES["modernbert"]["vocab_size"], (1, 300))
    with torch.no_grad():
        expected = theirs(input_ids=ids).last_hidden_state[0]
        found = load_encoder(tmp_path).eval()(ids[0], SequenceLayout([300]))
    # Angles of 300 turns lose digits in transformers, which computes them in fp32.
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
