"""Our Transformer against transformers' MarianMTModel, on random tiny models."""

import random
import shutil

import pytest
import tiny_marian
import torch

from lowkey.errors import DataError, MissingInputError
from lowkey.files import read_tensors, write_tensors
from lowkey.hf.marian import load_marian, save_marian
from lowkey.hf.marian_generation import read_generation
from lowkey.hf.marian_names import MARIAN_NAMES
from lowkey.hf.names import NameMap
from lowkey.models.transformer import Transformer
from lowkey.nn.layout import SequenceLayout

NO_DROPOUT = {"dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0}


def random_config(seed: int) -> dict:
    """One of many shapes that Marian models can have."""
    draw = random.Random(seed)
    d_model = draw.choice([8, 16, 24])
    shared = draw.random() < 0.5
    vocab_size = draw.randint(20, 50)
    decoder_vocab_size = vocab_size if shared else draw.randint(20, 50)
    start = min(vocab_size, decoder_vocab_size) - 1
    return {
        "d_model": d_model,
        "vocab_size": vocab_size,
        "decoder_vocab_size": decoder_vocab_size,
        "encoder_layers": draw.randint(1, 3),
        "decoder_layers": draw.randint(1, 3),
        "encoder_attention_heads": draw.choice([1, 2, 4]),
        "decoder_attention_heads": draw.choice([1, 2, 4]),
        "encoder_ffn_dim": draw.choice([12, 20]),
        "decoder_ffn_dim": draw.choice([12, 28]),
        "activation_function": ["relu", "gelu", "swish", "gelu_new"][seed % 4],
        "scale_embedding": draw.random() < 0.5,
        "share_encoder_decoder_embeddings": shared,
        "tie_word_embeddings": draw.random() < 0.5,
        "pad_token_id": start,
        "decoder_start_token_id": start,
        "eos_token_id": draw.randint(0, 3),
    }


RANDOM = [random_config(seed) for seed in range(24)]
RANDOM = [config | {"forced_eos_token_id": config["eos_token_id"]} for config in RANDOM]


def padded(vocab_size: int, lengths: list[int], pad: int, seed: int):
    """Random ids padded on the right, and their mask."""
    generator = torch.Generator().manual_seed(seed)
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)).long()
    ids = torch.randint(4, vocab_size - 1, mask.shape, generator=generator)
    return ids * mask + pad * (1 - mask), mask


def batch_for(config) -> dict[str, torch.Tensor]:
    """Sources and targets of several lengths, as transformers takes them."""
    pad = config.pad_token_id
    sources, mask = padded(config.vocab_size, [5, 1, 13, 8], pad, seed=1)
    targets, target_mask = padded(config.decoder_vocab_size, [3, 9, 1, 6], pad, seed=2)
    targets[:, 0] = config.decoder_start_token_id
    return {
        "input_ids": sources,
        "attention_mask": mask,
        "decoder_input_ids": targets,
        "decoder_attention_mask": target_mask,
    }


def our_logits(model: Transformer, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The same batch as our model takes it."""
    sources = SequenceLayout.from_padded(batch["input_ids"], batch["attention_mask"])
    targets = SequenceLayout.from_padded(
        batch["decoder_input_ids"], batch["decoder_attention_mask"]
    )
    return model(*sources, *targets)


def largest_difference(theirs, ours: Transformer) -> float:
    batch = batch_for(theirs.config)
    with torch.no_grad():
        expected = theirs(**batch).logits[batch["decoder_attention_mask"].bool()]
        return float((our_logits(ours, batch) - expected).abs().max())


def save(ours: Transformer, folder, config) -> None:
    save_marian(
        ours,
        folder,
        generation=read_generation(folder.parent / "theirs"),
        begin_id=config.decoder_start_token_id,
        end_id=config.eos_token_id,
        pad_id=config.pad_token_id,
    )


@pytest.mark.parametrize("seed", range(len(RANDOM)))
def test_logits_gradients_and_saved_model_equal_transformers(tmp_path, seed):
    from transformers import MarianMTModel

    theirs = tiny_marian.write_marian(tmp_path / "theirs", seed=seed, **RANDOM[seed] | NO_DROPOUT)
    ours = load_marian(tmp_path / "theirs")
    assert largest_difference(theirs, ours.eval()) < 1e-5
    assert largest_difference(theirs.train(), ours.train()) < 1e-5
    save(ours, tmp_path / "ours", theirs.config)
    again, info = MarianMTModel.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(info.values())
    batch = batch_for(theirs.config)
    with torch.no_grad():
        assert torch.equal(again(**batch).logits, theirs.eval()(**batch).logits)
    assert again.generation_config.num_beams == 3
    assert again.generation_config.bad_words_ids == [[theirs.config.pad_token_id]]


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_gradients_equal_transformers(tmp_path, seed):
    theirs = tiny_marian.write_marian(tmp_path, seed=seed, **RANDOM[seed] | NO_DROPOUT).train()
    ours = load_marian(tmp_path).train()
    batch = batch_for(theirs.config)
    real = batch["decoder_attention_mask"].bool()
    labels = torch.arange(int(real.sum())) % 19
    for logits in (theirs(**batch).logits[real], our_logits(ours, batch)):
        torch.nn.functional.cross_entropy(logits, labels).backward()
    compared = 0
    for name, parameter in ours.named_parameters():
        # The padding token's row is frozen there where it is looked up, and trains here.
        if "embeddings" in name or name in ("output.weight", "output_bias"):
            continue
        expected = theirs.get_parameter(MARIAN_NAMES.theirs(name)).grad
        torch.testing.assert_close(parameter.grad, expected, atol=1e-5, rtol=1e-4, msg=name)
        compared += 1
    assert compared > 30


def test_loading_is_a_function_of_the_file_alone_and_leaves_the_global_generator(tmp_path):
    tiny_marian.write_marian(tmp_path)
    torch.manual_seed(0)
    state = torch.random.get_rng_state()
    load_marian(tmp_path)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("encoder_blocks.{}.attention.query", "encoder_blocks.{}.attention.key"),
        ("decoder_blocks.{}.attention.value", "decoder_blocks.{}.cross_attention.value"),
        ("decoder_blocks.{}.attention_norm", "decoder_blocks.{}.cross_attention_norm"),
    ],
)
def test_two_swapped_rows_of_the_table_are_noticed(tmp_path, monkeypatch, first, second):
    theirs = tiny_marian.write_marian(tmp_path)
    rows = dict(MARIAN_NAMES.rows)
    rows[first], rows[second] = rows[second], rows[first]
    monkeypatch.setattr("lowkey.hf.marian.MARIAN_NAMES", NameMap(list(rows.items())))
    assert largest_difference(theirs, load_marian(tmp_path).eval()) > 1e-2


def test_sinusoids_in_the_other_order_are_noticed(tmp_path):
    theirs = tiny_marian.write_marian(tmp_path)
    ours = load_marian(tmp_path).eval()
    config = ours.config.model_copy(update={"sinusoids": "interleaved"})
    other = Transformer(config).eval()
    other.load_state_dict(ours.state_dict())
    assert largest_difference(theirs, other) > 1e-2


def rewrite(folder, *, drop=(), **tensors) -> None:
    """Changes the weights of a folder."""
    state = read_tensors(folder / "model.safetensors")
    state = {name: tensor for name, tensor in state.items() if name not in drop}
    write_tensors(folder / "model.safetensors", state | tensors, {"format": "pt"})


def test_old_files_hold_copies_and_sinusoids_which_are_compared(tmp_path):
    theirs = tiny_marian.write_marian(tmp_path)
    table = theirs.model.shared.weight.detach()
    half = theirs.model.encoder.embed_positions.weight.detach().half()
    copies = ("model.encoder.embed_tokens", "model.decoder.embed_tokens", "lm_head")
    old = {f"{name}.weight": table.clone() for name in copies}
    old |= {f"model.{side}.embed_positions.weight": half.clone() for side in ("encoder", "decoder")}
    rewrite(tmp_path, **old)
    assert largest_difference(theirs, load_marian(tmp_path).eval()) < 1e-5
    rewrite(tmp_path, **{"lm_head.weight": table + 1e-3})
    with pytest.raises(DataError, match=r"lm_head.weight.*differ.*says they are one"):
        load_marian(tmp_path)
    interleaved = half.view(64, 2, 8).transpose(1, 2).reshape(64, 16)
    rewrite(
        tmp_path,
        drop=["lm_head.weight"],
        **{"model.encoder.embed_positions.weight": interleaved},
    )
    with pytest.raises(DataError, match=r"embed_positions.weight.* is no table of 64 sinusoids"):
        load_marian(tmp_path)


def test_a_file_of_the_older_transformers_with_one_table_and_an_output_of_its_own(tmp_path):
    # Then sources and targets shared one table even where the output had its own.
    theirs = tiny_marian.write_marian(tmp_path / "new")
    shutil.copytree(tmp_path / "new", tmp_path / "old")
    tiny_marian.reconfigure(tmp_path / "old", tie_word_embeddings=False)
    output = theirs.model.shared.weight.detach().clone() + 0.5
    rewrite(tmp_path / "old", **{"lm_head.weight": output})
    ours = load_marian(tmp_path / "old").eval()
    assert ours.source_embeddings.token is ours.target_embeddings.token
    theirs.lm_head.weight = torch.nn.Parameter(output)
    assert largest_difference(theirs, ours) < 1e-5


def test_a_file_without_a_bias_has_none(tmp_path):
    theirs = tiny_marian.write_marian(tmp_path)
    rewrite(tmp_path, drop=["final_logits_bias"])
    theirs.final_logits_bias.zero_()
    assert largest_difference(theirs, load_marian(tmp_path).eval()) < 1e-5


def test_weights_with_a_tensor_too_many_or_too_few_are_refused(tmp_path):
    tiny_marian.write_marian(tmp_path)
    rewrite(tmp_path, **{"model.encoder.layernorm_embedding.weight": torch.ones(16)})
    with pytest.raises(DataError, match=r"layernorm_embedding.weight.* no place here"):
        load_marian(tmp_path)
    gone = "model.decoder.layers.1.encoder_attn.k_proj.bias"
    rewrite(tmp_path, drop=[gone, "model.encoder.layernorm_embedding.weight"])
    with pytest.raises(DataError, match=gone):
        load_marian(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(MissingInputError):
        load_marian(tmp_path)


def test_what_marian_cannot_be_is_not_saved(tmp_path):
    tiny_marian.write_marian(tmp_path / "theirs")
    ours = load_marian(tmp_path / "theirs")
    ours.config = ours.config.model_copy(update={"norm": "pre"})
    with pytest.raises(ValueError, match='norm "pre"'):
        save(ours, tmp_path / "ours", tiny_marian.marian().config)
    assert not (tmp_path / "ours").exists()
