"""Adapters that peft made, of options drawn at random, compute the same here."""

import random
from collections import Counter

import pytest
import tiny
import tiny_families
import torch

from lowkey.hf.adapter import load_adapter
from lowkey.hf.answerer import answerer_names, load_answerer
from lowkey.hf.bert import load_classifier
from lowkey.hf.encoder_families import FAMILIES as NAMES
from lowkey.hf.masked import load_masked, masked_names
from lowkey.hf.tagger import load_tagger, tagger_names
from lowkey.nn.layout import SequenceLayout

# transformers warns of a method that peft still calls.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")

FAMILIES = ("bert", "roberta", "distilbert", "electra", "albert", "mpnet", "modernbert")
# peft's tasks: the class of transformers, how the base is opened here, and the names.
TASKS = {
    "SEQ_CLS": ("AutoModelForSequenceClassification", load_classifier, NAMES.__getitem__),
    "TOKEN_CLS": ("AutoModelForTokenClassification", load_tagger, tagger_names),
    "QUESTION_ANS": ("AutoModelForQuestionAnswering", load_answerer, answerer_names),
    None: ("AutoModelForMaskedLM", load_masked, masked_names),
}
MASKED = ("bert", "roberta", "distilbert", "electra")
"""Families whose head for masked tokens is known here."""
SAVED_TOO = {"bert": "pooler", "albert": "pooler", "distilbert": "pre_classifier"}
"""What an adapter of texts may hold whole beside the classifier."""
BLOCKS = {"electra": 3, "albert": 1, "modernbert": 4}
MAPS = {
    "bert": ["query", "key", "value", "dense", "intermediate.dense"],
    "roberta": ["query", "key", "value", "attention.output.dense", "intermediate.dense"],
    "distilbert": ["q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"],
    "electra": ["query", "key", "value", "dense", "embeddings_project"],
    "albert": ["query", "key", "value", "ffn", "ffn_output", "embedding_hidden_mapping_in"],
    "mpnet": ["q", "k", "v", "o", "intermediate.dense"],
    "modernbert": ["Wqkv", "Wo", "Wi"],
}
"""Linear maps by the names that users of peft give."""
COUNT, SEED = 20, 2


def draw(family, chance):
    """A family, a task and the options of a LoraConfig; not what is refused by design."""
    task = chance.choice([name for name in TASKS if name or family in MASKED])
    maps = chance.sample(MAPS[family], chance.randint(1, 3))
    start = chance.choice((True, "gaussian", "orthogonal", "pissa"))
    r = 2 * chance.randint(1, 3) if start == "orthogonal" else chance.randint(1, 6)
    # Of other tasks peft takes the head for one of all linear maps, and cannot save it whole then.
    all_linear = (None,) if family == "distilbert" else ("SEQ_CLS", None)
    options = {
        "task_type": task,
        "r": r,
        "lora_alpha": chance.choice((3, 8, 16)),
        "lora_dropout": chance.choice((0.0, 0.3)),
        "target_modules": "all-linear" if task in all_linear and chance.random() < 0.3 else maps,
        "use_rslora": chance.random() < 0.4,
        "use_dora": chance.random() < 0.3,
        "init_lora_weights": start,
        "bias": chance.choice(("none", "lora_only", "all")),
    }
    listed = options["target_modules"] is maps
    if listed and chance.random() < 0.4:
        options["rank_pattern"] = {chance.choice(maps): chance.choice((2, 4))}
    if listed and chance.random() < 0.4:
        options["alpha_pattern"] = {chance.choice(maps): chance.choice((2, 12))}
    inside = [name for name in maps if not name.startswith("embedding")]
    if listed and inside == maps and chance.random() < 0.4:
        blocks = BLOCKS.get(family, 2)
        options["layers_to_transform"] = chance.choice((blocks - 1, list(range(blocks))))
    # A table is in no layer; DoRA and PiSSA are for linear maps; a head for masks uses the table.
    plain = not options["use_dora"] and start != "pissa" and task is not None
    if listed and plain and "layers_to_transform" not in options and chance.random() < 0.5:
        table = "tok_embeddings" if family == "modernbert" else "word_embeddings"
        options["target_modules"] = [*maps, table]
    if task == "SEQ_CLS" and chance.random() < 0.5:
        whole = SAVED_TOO.get(family, "head" if family == "modernbert" else "classifier")
        options["modules_to_save"] = [whole]
    return family, task, options


def drawn():
    chance = random.Random(SEED)
    families = chance.sample(FAMILIES, k=COUNT, counts=[3] * len(FAMILIES))
    return [draw(family, chance) for family in families]


@pytest.mark.filterwarnings("ignore:Using Rank-Stabilized LoRA with")
@pytest.mark.filterwarnings("ignore:The following (rank|alpha)_pattern keys did not")
@pytest.mark.parametrize(("family", "task", "options"), drawn(), ids=map(str, range(COUNT)))
def test_an_adapter_of_peft_computes_the_same_here(tmp_path, family, task, options):
    import transformers

    auto, opened, names = TASKS[task]
    labels = {"num_labels": 3} if task in ("SEQ_CLS", "TOKEN_CLS") else {}
    config = transformers.AutoConfig.for_model(family, **tiny_families.SIZES[family] | labels)
    base = getattr(transformers, auto).from_config(config).eval()
    tiny.randomise(base)
    base.save_pretrained(tmp_path / "base")
    theirs = tiny.write_adapter(tmp_path / "adapter", base, **options)
    ids = torch.tensor([7, 9, 30, 12, 5, 8, 21, 40])

    @torch.no_grad()
    def ours():
        return model.eval()(ids, SequenceLayout([len(ids)]))

    model = opened(tmp_path / "base")
    plain = ours()
    load_adapter(model, tmp_path / "adapter", names(family).adapters)
    with torch.no_grad():
        out = theirs.base_model(input_ids=ids[None])
    if task == "QUESTION_ANS":
        expected = torch.stack([out.start_logits[0], out.end_logits[0]], dim=1)
    else:
        expected = out.logits if task == "SEQ_CLS" else out.logits[0]
    print(f"largest difference {float((ours() - expected).abs().max()):.1e}")
    torch.testing.assert_close(ours(), expected, rtol=1e-4, atol=1e-5)
    # The control: without the adapter it is another model.
    assert (plain - expected).abs().max() > 1e-2


def test_the_adapters_are_of_every_kind():
    cases = drawn()
    assert {family for family, _, _ in cases} == set(FAMILIES)
    assert {task for _, task, _ in cases} == set(TASKS)
    seen = {key: Counter(str(o.get(key)) for _, _, o in cases) for _, _, o in cases for key in o}
    for key in ("use_rslora", "use_dora"):
        assert seen[key].keys() == {"True", "False"}
    assert seen["bias"].keys() == {"none", "lora_only", "all"}
    assert seen["init_lora_weights"].keys() == {"True", "gaussian", "orthogonal", "pissa"}
    for key in ("rank_pattern", "alpha_pattern", "layers_to_transform", "modules_to_save"):
        assert len(seen[key]) > 1, key
    assert any("_embeddings'" in str(o["target_modules"]) for _, _, o in cases)
    assert "all-linear" in seen["target_modules"]
    # Where a matrix is several of ours, and where peft writes a bias twice.
    assert any(f == "modernbert" and o["init_lora_weights"] == "pissa" for f, _, o in cases)
    assert any(task is None and o["bias"] == "all" for _, task, o in cases)
