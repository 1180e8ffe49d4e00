"""Adapters of tables of embeddings in PEFT's files, both ways."""

import pytest
import tiny
import tiny_families
import tiny_marian
import torch
from hf.adapted import IDS, MASK, adapted, our_logits, their_base, their_logits, write_base
from safetensors.torch import load_file

from lowkey.errors import DataError
from lowkey.hf.adapter import load_adapter, save_adapter
from lowkey.hf.adapter_families import MARIAN
from lowkey.hf.bert import load_classifier
from lowkey.hf.encoder_families import FAMILIES
from lowkey.hf.marian import load_marian
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import adapters, merge_all
from lowkey.nn.layout import SequenceLayout

# transformers warns of a method that peft still calls.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")


@pytest.fixture
def base(tmp_path):
    return write_base(tmp_path / "base")


@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": ["word_embeddings"]},
        {"target_modules": ["word_embeddings", "query"], "use_rslora": True, "lora_dropout": 0.4},
        {"target_modules": ["position_embeddings", "token_type_embeddings", "dense"]},
        {"target_modules": ["word_embeddings", "value"], "rank_pattern": {"word_embeddings": 2}},
        {"target_modules": ["word_embeddings"], "alpha_pattern": {"word_embeddings": 3}},
        {"target_modules": ["word_embeddings", "key"], "init_lora_weights": "gaussian"},
        {"target_modules": ["word_embeddings", "key"], "bias": "all"},
    ],
)
def test_an_adapter_of_peft_computes_the_same_here(base, tmp_path, options):
    theirs = tiny.write_adapter(tmp_path / "adapter", their_base(base), **options)
    model = load_classifier(base)
    plain = our_logits(model)
    config = load_adapter(model, tmp_path / "adapter")
    torch.testing.assert_close(our_logits(model), their_logits(theirs), atol=1e-5, rtol=1e-5)
    assert (our_logits(model) - plain).abs().max() > 1e-2
    save_adapter(model, tmp_path / "out", lora_config=config, base_name="base")
    files = (tmp_path / folder / "adapter_model.safetensors" for folder in ("adapter", "out"))
    found, again = map(load_file, files)
    assert again.keys() <= found.keys()  # peft also writes copies of biases
    assert all(torch.equal(again[name], found[name]) for name in again)
    merge_all(model)
    torch.testing.assert_close(our_logits(model), their_logits(theirs), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "targets",
    [["token"], ["token", "position", "segment", "query"], ["encoder.embeddings.segment", "up"]],
)
def test_peft_computes_the_same_with_our_adapter(base, tmp_path, targets):
    from peft import PeftModel

    config = LoRAConfig(r=4, target_modules=targets, rank_pattern={targets[0]: 3})
    model = adapted(base, config)
    save_adapter(model, tmp_path / "out", lora_config=config, base_name=str(base))
    theirs = PeftModel.from_pretrained(their_base(base), tmp_path / "out").eval()
    torch.testing.assert_close(our_logits(model), their_logits(theirs), atol=1e-5, rtol=1e-5)
    assert (our_logits(model) - our_logits(load_classifier(base))).abs().max() > 1e-2
    again = load_classifier(base)
    load_adapter(again, tmp_path / "out")
    assert torch.equal(our_logits(again), our_logits(model))


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_family_has_its_tables(tmp_path, family):
    (tmp_path / "base").mkdir()
    theirs = tiny_families.write(tmp_path / "base", family, num_labels=3)
    tables = {"token": "word_embeddings", "position": "position_embeddings"}
    if family == "modernbert":  # turns its queries and keys in place of a table of positions
        tables = {"token": "tok_embeddings"}
    wrapped = tiny.write_adapter(tmp_path / "adapter", theirs, target_modules=list(tables.values()))
    model = load_classifier(tmp_path / "base")
    load_adapter(model, tmp_path / "adapter", FAMILIES[family].adapters)
    assert set(adapters(model)) == {f"encoder.embeddings.{name}" for name in tables}
    with torch.no_grad():
        # Rows without padding, which some families number their positions by.
        ids = IDS[:2, :3]
        expected = wrapped(input_ids=ids, attention_mask=MASK[:2, :3]).logits
    found = model.eval()(*SequenceLayout.from_padded(ids))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"use_dora": True},
            "use_dora is for linear maps, and encoder.embeddings.token is a table",
        ),
        ({"init_lora_weights": "pissa"}, "init_lora_weights pissa is for linear maps"),
    ],
)
def test_what_we_do_not_compute_on_tables_is_refused(base, tmp_path, options, message):
    folder = tmp_path / "adapter"
    targets = ["query", "word_embeddings"]
    tiny.write_adapter(folder, their_base(base), target_modules=targets, **options)
    model = load_classifier(base)
    with pytest.raises(DataError, match=message):
        load_adapter(model, folder)
    assert not adapters(model)


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`")
@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`")
def test_the_tied_tables_of_marian_are_refused_by_name(tmp_path):
    theirs = tiny_marian.write_marian(tmp_path / "base")
    tiny.write_adapter(
        tmp_path / "adapter",
        theirs,
        task_type="SEQ_2_SEQ_LM",
        target_modules=["embed_tokens", "q_proj"],
    )
    model = load_marian(tmp_path / "base")
    with pytest.raises(DataError, match=r"the table source_embeddings.token is tied"):
        load_adapter(model, tmp_path / "adapter", MARIAN)


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`")
def test_whole_tables_that_peft_saves_too_are_refused_by_name(tmp_path):
    untied = {"tie_word_embeddings": False, "share_encoder_decoder_embeddings": False}
    theirs = tiny_marian.write_marian(tmp_path / "base", **untied)
    targets = ["embed_tokens", "q_proj"]
    folder = tmp_path / "adapter"
    tiny.write_adapter(folder, theirs, task_type="SEQ_2_SEQ_LM", target_modules=targets)
    model = load_marian(tmp_path / "base")
    with pytest.raises(DataError, match=r"holds the whole table .*embed_tokens — save it with"):
        load_adapter(model, folder, MARIAN)
    assert not adapters(model)
