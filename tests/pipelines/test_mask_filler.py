import json

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from pipelines.bundles import saved
from safetensors.torch import load_file

from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.data.tokenizer import TextTokenizer
from lowkey.errors import DataError
from lowkey.hf.masked import load_masked
from lowkey.hf.model_folder import base_identity
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import inject
from lowkey.pipelines.bundle import Facts
from lowkey.pipelines.load import load
from lowkey.pipelines.mask_filler import MaskFiller

# transformers warns of a method that peft still calls.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
METHODS = pytest.mark.parametrize("method", ["lora", "full", "head", "bitfit"])
TEXTS = ["the film was very good", "a b c d e f g h i j k l m n o p", "dull", "x y z . !"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A random BERT with the head of its pre-training, as transformers saves it."""
    from transformers import BertConfig, BertForMaskedLM

    folder = tmp_path_factory.mktemp("filler") / "base"
    model = BertForMaskedLM(BertConfig(**tiny.BERT_SIZES))
    tiny.randomise(model, seed=1)
    model.save_pretrained(folder)
    tiny.write_tokenizer(folder)
    return folder


def filler(base, method="full", *, seed=5, **changes):
    """A model as a training leaves it: all that the method trains is random."""
    facts = {
        "kind": "fill-mask",
        "task": "mlm",
        "method": method,
        "max_length": 12,
        "base_model": str(base.resolve()),
        "base_sha256": base_identity(base)["sha256"],
    }
    model = load_masked(base)
    config = LoRAConfig(r=2, lora_alpha=6, modules_to_save=[]) if method == "lora" else None
    if config:
        inject(model, config)
    for name, parameter in model.named_parameters():
        if method in ("head", "bitfit"):
            trained = name.startswith("prediction.") or (method == "bitfit" and "bias" in name)
            parameter.requires_grad_(trained)
        if parameter.requires_grad:
            parameter.data.normal_(std=0.3, generator=torch.Generator().manual_seed(seed))
    facts = Facts(**facts | changes)
    return MaskFiller(model.eval(), TextTokenizer.load(base), facts, lora_config=config)


def logits(pipeline):
    return pipeline.logits(pipeline.examples_of(TEXTS))


@METHODS
def test_what_was_saved_computes_the_same_bits_and_holds_no_more(method, base, tmp_path):
    ours = filler(base, method)
    folder = saved(ours, tmp_path / "best")
    loaded = load(folder, device="cpu")
    assert isinstance(loaded, MaskFiller)
    assert np.array_equal(logits(ours), logits(loaded))
    again = MaskFiller.load(saved(loaded, tmp_path / "again"))
    assert np.array_equal(logits(ours), logits(again))
    assert np.abs(logits(ours) - logits(filler(base, method, seed=6))).max() > 0.01
    held = [load_file(path) for path in folder.glob("*.safetensors")]
    trained = sum(p.numel() for p in ours.model.parameters() if p.requires_grad)
    assert sum(t.numel() for tensors in held for t in tensors.values()) == trained


def test_a_lora_bundle_is_an_adapter_of_peft(base, tmp_path):
    from peft import PeftModel
    from transformers import BertForMaskedLM

    ours = filler(base, "lora")
    plain = BertForMaskedLM.from_pretrained(base)
    theirs = PeftModel.from_pretrained(plain, saved(ours, tmp_path / "best")).eval()
    examples = ours.examples_of(TEXTS)
    found = []
    for i in range(len(examples)):
        batch = examples.batch([i], None)
        with torch.no_grad():
            found.append(theirs(input_ids=batch.input_ids[None]).logits[0, batch.rows])
    np.testing.assert_allclose(torch.cat(found).numpy(), logits(ours), atol=1e-5)


def test_the_scores_are_those_of_the_masks_counted_one_by_one(base, tmp_path):
    ours = filler(base)
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS))
    rows = read_rows(str(path), DataConfig(), ("text",), key="--data")
    examples = ours.examples(rows)
    assert len(examples) == 5  # the second text has 16 tokens, and 10 fit
    nll, hits, count = 0.0, 0, 0
    for i in range(len(examples)):
        batch = examples.batch([i], None)
        scored = torch.from_numpy(ours.logits(examples)[count : count + len(batch.targets)])
        nll += float(F.cross_entropy(scored, batch.targets, reduction="sum"))
        hits += int((scored.argmax(1) == batch.targets).sum())
        count += len(batch.targets)
    scores = ours.score_rows(rows)
    assert scores["nll"].value == pytest.approx(nll / count, abs=1e-5)
    assert scores["perplexity"].value == pytest.approx(np.exp(nll / count), rel=1e-5)
    assert scores["accuracy"].value == pytest.approx(hits / count)
    assert scores["nll"].n == 4


def test_masks_are_filled_as_transformers_fills_them(base):
    from transformers import BertForMaskedLM

    ours = filler(base, seed=9)
    text = "the [MASK] was [MASK] good"
    (answer,) = ours.predict([text])
    ids = ours.tokenizer.encode([text]).tokens.values.tolist()
    assert ids[2] == ids[4] == 4
    theirs = BertForMaskedLM.from_pretrained(base).eval()
    # The base with the weights of ours, under transformers' names.
    from lowkey.hf.checkpoint import their_state
    from lowkey.hf.masked import masked_names

    theirs.load_state_dict(their_state(ours.model, masked_names("bert")), strict=False)
    with torch.no_grad():
        best = theirs(input_ids=torch.tensor([ids])).logits[0, [2, 4]].softmax(1).topk(5)
    expected = [ours.tokenizer.tokens(row) for row in best.indices.tolist()]
    assert [[guess["token"] for guess in mask] for mask in answer["masks"]] == expected
    found = [[guess["score"] for guess in mask] for mask in answer["masks"]]
    np.testing.assert_allclose(found, best.values.numpy(), atol=1e-5)
    ids[2], ids[4] = best.indices[:, 0].tolist()
    assert answer["text"] == ours.tokenizer.decode(ids)
    json.dumps(answer)


def test_a_text_that_asks_nothing_or_too_much_is_refused(base):
    ours = filler(base)
    with pytest.raises(DataError, match=r"text 2: there is nothing to guess — write \[MASK\] som"):
        ours.predict(["[MASK]", "good"])
    with pytest.raises(DataError, match=r"a\.txt:9: there is nothing to guess"):
        ours.predict(["[MASK]", "good"], places=["a.txt:4", "a.txt:9"])
    with pytest.raises(DataError, match="this text has 13 tokens, the model reads 12 at most"):
        ours.predict(["[MASK] a b c d e f g h i j"])
    with pytest.raises(DataError, match="reads single texts"):
        ours.predict(["[MASK]"], ["[MASK]"])


def test_samples_show_what_was_hidden_and_what_was_guessed(base):
    ours = filler(base)
    examples = ours.examples_of(TEXTS)
    samples = ours.samples(examples)
    assert len(samples) == 4
    assert samples[2]["target"] == "dull"
    hidden = examples.batch([0], None)
    assert samples[0]["target"] == " ".join(ours.tokenizer.tokens(hidden.targets.tolist()))
    assert samples[0].keys() == {"source", "target", "prediction", "correct"}
    assert any("[MASK]" in sample["source"] for sample in samples)
