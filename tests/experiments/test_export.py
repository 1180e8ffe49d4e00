import re

import numpy as np
import pytest
import tiny
import torch
from pipelines.bundles import LABELS, TEXTS, classifier, saved, translator, write_base

from lowkey.data.labelled import LabelledExamples
from lowkey.errors import ConfigError, MissingInputError
from lowkey.experiments.export import export

# transformers warns of a method that peft still calls.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")


@pytest.fixture
def base(tmp_path):
    return write_base(tmp_path / "base")


def logits(pipeline):
    return pipeline.logits(LabelledExamples.from_texts(TEXTS, None, pipeline.tokenizer))


def their_logits(model, folder):
    """Logits of a transformers model with the tokenizer that was exported, padded."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return model.eval()(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits.numpy()


def test_an_adapter_for_peft(base, tmp_path):
    from peft import PeftModel
    from transformers import BertForSequenceClassification

    ours = classifier(base, "lora")
    run, out = saved(ours, tmp_path / "run"), tmp_path / "out"
    said = export(run, format="peft", out=out)
    assert said == f"{out}: a PEFT adapter of 12 modules for {base}"
    plain = BertForSequenceClassification.from_pretrained(base, num_labels=3)
    before = their_logits(plain, out)
    theirs = their_logits(PeftModel.from_pretrained(plain, out), out)
    np.testing.assert_allclose(theirs, logits(ours), atol=1e-5)
    assert np.abs(before - logits(ours)).max() > 0.01
    assert {path.name for path in out.iterdir()} == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert (out / "README.md").read_text().startswith("---\nlibrary_name: peft\n")


def test_a_merged_model_for_transformers(base, tmp_path):
    from transformers import AutoModelForSequenceClassification

    samples = [{"source": t, "target": "good", "prediction": "bad"} for t in TEXTS[:4]]
    ours = classifier(base, "lora", samples=samples)
    run, out = saved(ours, tmp_path / "run"), tmp_path / "out"
    said = export(run, format="merged", out=out)
    found = re.fullmatch(
        f"{re.escape(str(out))}: a whole model for transformers; merging moved the logits of"
        r" 4 texts by at most (\d\.\de-\d\d)",
        said,
    )
    assert found
    assert float(found[1]) < 1e-5
    model = AutoModelForSequenceClassification.from_pretrained(out)
    np.testing.assert_allclose(their_logits(model, out), logits(ours), atol=1e-5)
    assert list(model.config.id2label.values()) == LABELS
    assert (out / "README.md").read_text().startswith("---\nlibrary_name: transformers\n")


@pytest.mark.parametrize("format", ["peft", "merged"])
def test_capital_letters_stay_what_they_are(format, base, tmp_path):
    from transformers import AutoTokenizer

    vocabulary = [word.upper() if word in "abc" else word for word in tiny.VOCABULARY]
    tiny.write_tokenizer(base, vocabulary)
    (base / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    ours = classifier(base, "lora")
    export(saved(ours, tmp_path / "run"), format=format, out=tmp_path / "out")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "out")(["A B the", "d"], padding=True)
    assert theirs["input_ids"] == [[2, 5, 6, 31, 3], [2, 8, 3, 0, 0]]
    assert ours.tokenizer.encode(["A B the"]).tokens.values.tolist() == [2, 5, 6, 31, 3]


@pytest.mark.parametrize("method", ["head", "full", "bitfit"])
def test_models_without_an_adapter_are_whole_already(method, base, tmp_path):
    from transformers import AutoModelForSequenceClassification

    ours = classifier(base, method)
    run, out = saved(ours, tmp_path / "run"), tmp_path / "out"
    export(run, format="merged", out=out)
    model = AutoModelForSequenceClassification.from_pretrained(out)
    np.testing.assert_allclose(their_logits(model, out), logits(ours), atol=1e-5)
    with pytest.raises(ConfigError, match=f"trained by the method {method} and has no adapter"):
        export(run, format="peft", out=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_pairs_and_numbers_are_exported(base, tmp_path):
    from transformers import AutoModelForSequenceClassification

    paired = classifier(base, "lora", pairs=True, task="pair")
    export(saved(paired, tmp_path / "pair"), format="merged", out=tmp_path / "out-pair")
    number = classifier(base, "lora", kind="regression", task="regress", labels=[])
    out = tmp_path / "out-number"
    export(saved(number, tmp_path / "number"), format="merged", out=out)
    model = AutoModelForSequenceClassification.from_pretrained(out)
    assert model.config.problem_type == "regression"
    np.testing.assert_allclose(their_logits(model, out), logits(number), atol=1e-5)


@pytest.mark.parametrize("long_texts", ["error", "window"])
def test_a_pair_in_a_sample_is_taken_apart(base, tmp_path, long_texts):
    """Each text by itself fits; the two of a sample in one, twice, would not."""
    sample = {"source": "the film was ‖ very good", "target": "bad", "prediction": "bad"}
    paired = classifier(
        base,
        "lora",
        pairs=True,
        task="pair",
        max_length=9,
        long_texts=long_texts,
        samples=[sample],
    )
    said = export(saved(paired, tmp_path / "pair"), format="merged", out=tmp_path / "out")
    assert "the logits of 1 texts by at most" in said


def test_a_folder_that_holds_something_is_left_alone(base, tmp_path):
    run, out = saved(classifier(base, "lora"), tmp_path / "run"), tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"--out: .*out is not empty — name a new folder"):
        export(run, format="merged", out=out)
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]
    with pytest.raises(ConfigError, match="is not empty"):
        export(run, format="merged", out=out / "thesis.txt")
    (out / "thesis.txt").unlink()
    export(run, format="peft", out=out)  # an empty one is as good as none
    assert (out / "adapter_model.safetensors").exists()


@pytest.mark.parametrize("format", ["peft", "merged"])
def test_a_transformer_from_scratch_has_no_adapter(format, tmp_path):
    run = saved(translator(), tmp_path / "run")
    with pytest.raises(ConfigError) as caught:
        export(run, format=format, out=tmp_path / "out")
    said = "--format: a model of the method scratch has no adapter, it is whole already"
    assert str(caught.value) == f"{said} — use --format marian"
    assert not (tmp_path / "out").exists()


def test_an_adapter_without_its_base_is_told(base, tmp_path):
    run = saved(classifier(base, "lora"), tmp_path / "run")
    moved = base.rename(tmp_path / "moved")
    with pytest.raises(MissingInputError, match="base model of"):
        export(run, format="merged", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    export(run, format="merged", out=tmp_path / "out", base=str(moved))
