"""Every family of encoders fine-tunes by every method, and its bundle says the same elsewhere."""

import shutil
from pathlib import Path

import pytest
import tiny_families
import tiny_tasks
import torch
from experiments.tasks import finetuning, record_learners

from lowkey.experiments import finetune as room
from lowkey.experiments.export import export
from lowkey.experiments.finetune import finetune
from lowkey.pipelines.load import load

TEXTS = ["the film is great", "b dull a", "not very good", "a"]
RUN = Path("run")


def roberta_tokenizer(folder: Path) -> None:
    """A tokenizer of bytes beside a RoBERTa, in place of BERT's; small enough for its table."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    (folder / "vocab.txt").unlink()
    (folder / "tokenizer_config.json").unlink()
    letters = ["Ġ", *"abcdefghijklmnopqrstuvwxyz"]
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    vocabulary = {token: i for i, token in enumerate([*specials, *letters])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.mark.parametrize("method", ["lora", "full", "head", "bitfit"])
@pytest.mark.parametrize("family", ["roberta", "distilbert", "electra"])
def test_a_family_is_tuned_saved_and_says_the_same_again(folder, monkeypatch, family, method):
    shutil.rmtree(folder / "bert")
    tiny_families.write(folder / "bert", family, max_position_embeddings=66)
    if family == "roberta":
        roberta_tokenizer(folder / "bert")
    learners = record_learners(monkeypatch, room)
    settings = (f"method={method}", "train.max_steps=2", "train.learning_rate=0.01")
    facts = finetune(finetuning(*settings), RUN)  # one evaluation: the last step is the best
    model = learners[0].classifier.model
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    # The head that no base brings is trained by every method, all of it.
    assert {"transform.dense.weight", "transform.dense.bias", "classifier.weight"} <= trained
    head = sum(p.numel() for module in model.head for p in module.parameters())
    counts = facts.counts
    assert counts["trainable_parameters"] - counts["trainable_parameters_without_head"] == head
    again = load(RUN, device="cpu").predict(TEXTS)
    for saved, live in zip(again, learners[0].classifier.predict(TEXTS), strict=True):
        assert saved["scores"] == pytest.approx(live["scores"], abs=1e-5)


@pytest.mark.parametrize("family", ["roberta", "distilbert", "electra"])
def test_peft_and_transformers_open_the_bundle_and_what_is_exported_from_it(folder, family):
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast

    shutil.rmtree(folder / "bert")
    tiny_families.write(folder / "bert", family, max_position_embeddings=66)
    if family == "roberta":
        roberta_tokenizer(folder / "bert")
    finetune(finetuning("train.max_steps=2", "train.learning_rate=0.01"), RUN)
    auto = AutoModelForSequenceClassification
    opened = {}
    export(RUN, format="peft", out=Path("adapter"))
    for adapter in (RUN / "best", Path("adapter")):
        base = auto.from_pretrained(folder / "bert", num_labels=2)
        opened[adapter] = PeftModel.from_pretrained(base, adapter)
    export(RUN, format="merged", out=Path("whole"))
    opened[Path("whole")] = auto.from_pretrained("whole")
    for place, theirs in opened.items():
        tokenizer = PreTrainedTokenizerFast.from_pretrained(place)
        for text, ours in zip(TEXTS, load(RUN, device="cpu").predict(TEXTS), strict=True):
            ids = torch.tensor([tokenizer(text)["input_ids"]])
            with torch.no_grad():
                scores = theirs.eval()(input_ids=ids).logits.softmax(-1)[0].tolist()
            assert list(ours["scores"].values()) == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("family", ["roberta", "distilbert", "electra"])
def test_a_family_tags_words_and_transformers_does_the_same(folder, family, method):
    from peft import PeftModel
    from transformers import AutoModelForTokenClassification

    shutil.rmtree(folder / "bert")
    tiny_families.write(folder / "bert", family, max_position_embeddings=66)
    if family == "roberta":
        roberta_tokenizer(folder / "bert")
    for name, seed in (("train", 1), ("dev", 2)):
        rows = tiny_tasks.tagged_rows(32, seed)
        tiny_tasks.write_jsonl(folder / "data" / f"{name}.jsonl", rows)
    settings = ("train.max_steps=2", "train.learning_rate=0.01", "task=tag")
    facts = finetune(finetuning(*settings, f"method={method}"), RUN)
    ours = load(RUN, device="cpu")
    opened = AutoModelForTokenClassification.from_pretrained
    if method == "lora":
        base = opened(folder / "bert", num_labels=len(facts.labels))
        theirs = PeftModel.from_pretrained(base, RUN / "best").eval()
    else:
        theirs = opened(RUN / "best").eval()
    for text in TEXTS:
        examples = ours.examples_of([text])
        batch = examples.batch([0])
        with torch.no_grad():
            logits = theirs(input_ids=batch.input_ids[None]).logits[0, batch.first]
        expected = ours.logits(examples)
        assert logits.numpy() == pytest.approx(expected, abs=1e-5)
