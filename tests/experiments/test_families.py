"""Every family of encoders fine-tunes by every method, and its bundle says the same elsewhere."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_families
import tiny_tasks
import torch
from experiments.tasks import finetuning, record_learners
from safetensors.torch import load_file, save_file

from lowkey.errors import ConfigError, DataError
from lowkey.experiments import finetune as room
from lowkey.experiments.export import export
from lowkey.experiments.extract import extract
from lowkey.experiments.finetune import finetune
from lowkey.experiments.rerank import rerank
from lowkey.experiments.spectrum import spectrum as look_at
from lowkey.lora.inject import adapters, merge_all
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


FAMILIES = ["roberta", "distilbert", "electra", "albert", "mpnet", "modernbert"]
EACH = pytest.mark.parametrize("family", FAMILIES)


def each_with(*methods: str) -> pytest.MarkDecorator:
    """Every family with every method; where an MPNet is as a RoBERTa, one of them is enough."""
    pairs = [(f, m) for f in FAMILIES for m in methods if f != "mpnet" or m == "lora"]
    pairs = [pair for pair in pairs if pair != ("modernbert", "bitfit")]  # it has no biases
    return pytest.mark.parametrize(("family", "method"), pairs)


@each_with("lora", "full", "head", "bitfit")
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
    assert {f"classifier.{part}" for part in ("weight", "bias")} <= trained
    if model.transform is not None:
        assert {f"transform.{n}" for n, _ in model.transform.named_parameters()} <= trained
    head = sum(p.numel() for module in model.head for p in module.parameters())
    counts = facts.counts
    assert counts["trainable_parameters"] - counts["trainable_parameters_without_head"] == head
    again = load(RUN, device="cpu").predict(TEXTS)
    for saved, live in zip(again, learners[0].classifier.predict(TEXTS), strict=True):
        assert saved["scores"] == pytest.approx(live["scores"], abs=1e-5)


@EACH
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


@each_with("lora", "full")
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


@pytest.mark.parametrize("task", ["classify", "tag"])
def test_the_head_that_modernbert_learned_before_is_kept_and_not_saved_again(folder, task):
    from transformers import AutoConfig, AutoModelForMaskedLM

    shutil.rmtree(folder / "bert")
    sizes = tiny_families.SIZES["modernbert"] | {"max_position_embeddings": 66}
    pretrained = AutoModelForMaskedLM.from_config(AutoConfig.for_model("modernbert", **sizes))
    pretrained.save_pretrained(folder / "bert")
    tiny.write_tokenizer(folder / "bert")
    if task == "tag":
        for name, seed in (("train", 1), ("dev", 2)):
            rows = tiny_tasks.tagged_rows(32, seed)
            tiny_tasks.write_jsonl(folder / "data" / f"{name}.jsonl", rows)
    finetune(finetuning("train.max_steps=2", "train.learning_rate=0.01", f"task={task}"), RUN)
    saved = load_file(RUN / "best" / "adapter_model.safetensors")
    assert not [name for name in saved if ".head." in name]
    transform = load(RUN, device="cpu").model.transform
    assert transform.dense.weight.equal(pretrained.head.dense.weight)


def test_a_rank_that_cannot_be_saved_is_refused_before_training(folder):
    shutil.rmtree(folder / "bert")
    tiny_families.write(folder / "bert", "modernbert", max_position_embeddings=66)
    message = "lora.r 400 is too large: adapters of ModernBERT .* set it to 341 or less"
    with pytest.raises(ConfigError, match=message):
        finetune(finetuning("lora.r=400"), RUN)


def test_a_base_in_shards_is_tuned_and_noticed_when_it_changes(folder):
    network = tiny_families.model("bert", max_position_embeddings=66)
    shutil.rmtree(folder / "bert")
    network.save_pretrained(folder / "bert", max_shard_size=4096)
    tiny.write_tokenizer(folder / "bert")
    assert not (folder / "bert" / "model.safetensors").exists()
    finetune(finetuning("train.max_steps=2"), RUN)
    assert load(RUN, device="cpu").predict(TEXTS)
    shard = sorted((folder / "bert").glob("model-*.safetensors"))[0]
    changed = {name: tensor + 1 for name, tensor in load_file(shard).items()}
    save_file(changed, shard, {"format": "pt"})
    with pytest.raises(DataError, match="was trained on other weights"):
        load(RUN, device="cpu")


@pytest.mark.parametrize("family", ["albert", "modernbert"])
def test_updates_are_looked_at_reranked_and_extracted(folder, family):
    shutil.rmtree(folder / "bert")
    tiny_families.write(folder / "bert", family, max_position_embeddings=66)
    settings = ("train.max_steps=2", "train.learning_rate=0.01", "lora.target_modules=qv")
    finetune(finetuning(*settings, "lora.r=2"), RUN)
    model = load(RUN, device="cpu").model
    assert {name.rpartition(".")[2] for name in adapters(model)} == {"query", "value"}
    rows = look_at(RUN)["modules"]
    assert [row["rank"] for row in rows] == [2] * 2 * len(model.encoder.blocks)
    rerank(RUN, rank=1, out=Path("small"), device="cpu")
    small = load(Path("small"), device="cpu")
    assert {module.rank for module in adapters(small.model).values()} == {1}
    whole = Path("full")
    finetune(finetuning(*settings[:2], "method=full"), whole)
    extract(str(folder / "bert"), whole, rank=16, out=Path("adapter"), device="cpu")
    tuned, adapted = (load(path, device="cpu").model for path in (whole, Path("adapter")))
    merge_all(adapted)
    for name, weight in tuned.state_dict().items():
        if name in (f"{n}.weight" for n in adapters(adapted)):
            torch.testing.assert_close(adapted.state_dict()[name], weight, atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("family", ["roberta", "distilbert", "electra"])
def test_a_family_finds_answers_and_transformers_does_the_same(folder, family, method):
    from peft import PeftModel
    from transformers import AutoModelForQuestionAnswering

    shutil.rmtree(folder / "bert")
    tiny_families.write(folder / "bert", family, max_position_embeddings=66)
    if family == "roberta":
        roberta_tokenizer(folder / "bert")
    for name, seed in (("train", 1), ("dev", 2)):
        rows = tiny_tasks.asked_rows(32, seed, impossible=0.3)
        tiny_tasks.write_jsonl(folder / "data" / f"{name}.jsonl", rows)
    settings = ("train.max_steps=2", "train.learning_rate=0.01", "task=answer")
    finetune(finetuning(*settings, f"method={method}", "data.max_length=40"), RUN)
    ours = load(RUN, device="cpu")
    opened = AutoModelForQuestionAnswering.from_pretrained
    if method == "lora":
        theirs = PeftModel.from_pretrained(opened(folder / "bert"), RUN / "best").base_model.eval()
    else:
        theirs = opened(RUN / "best").eval()
    examples = ours.examples_of(["is it", "a"], ["the film was great " * 3, "b"])
    assert (len(examples.tokens) > 2) is (family == "roberta")
    for i, expected in enumerate(np.split(ours.logits(examples), np.cumsum(examples.lengths)[:-1])):
        batch = examples.batch([i])
        kinds = {} if family == "distilbert" else {"token_type_ids": batch.segment_ids[None]}
        with torch.no_grad():
            out = theirs(input_ids=batch.input_ids[None], **kinds)
        found = torch.stack([out.start_logits[0], out.end_logits[0]], dim=1).numpy()
        assert found == pytest.approx(expected, abs=1e-5)
