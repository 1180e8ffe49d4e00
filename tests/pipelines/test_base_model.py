import json

import numpy as np
import pytest
from pipelines.bundles import TEXTS, classifier, saved, write_base

from lowkey.data.labelled import LabelledExamples
from lowkey.errors import DataError, MissingInputError
from lowkey.pipelines.classifier import TextClassifier


@pytest.fixture
def base(tmp_path):
    return write_base(tmp_path / "base")


def logits(pipeline):
    return pipeline.logits(LabelledExamples.from_texts(TEXTS, None, pipeline.tokenizer))


@pytest.mark.parametrize("method", ["lora", "head", "bitfit"])
def test_other_base_weights_are_refused_by_name(method, base, tmp_path):
    folder = saved(classifier(base, method), tmp_path / "best")
    other = write_base(tmp_path / "other", seed=9)
    with pytest.raises(DataError) as caught:
        TextClassifier.load(folder, base=str(other))
    facts = json.loads((folder / "lowkey.json").read_text())
    message = str(caught.value)
    assert message.startswith(f"{folder} was trained on other weights ({facts['base_sha256'][:8]}…")
    assert str(base) in message
    assert f"than {other} holds (" in message
    assert message.endswith("— give the base model of the training with --base")


@pytest.mark.parametrize("method", ["lora", "head", "bitfit"])
def test_a_base_that_moved_is_found_where_the_user_says(method, base, tmp_path):
    ours = classifier(base, method)
    folder = saved(ours, tmp_path / "best")
    moved = base.rename(tmp_path / "elsewhere")
    with pytest.raises(MissingInputError, match=r"base model of .*best: .*base does not exist"):
        TextClassifier.load(folder)
    loaded = TextClassifier.load(folder, base=str(moved))
    assert np.array_equal(logits(ours), logits(loaded))


def test_a_bundle_that_names_no_base_is_refused(base, tmp_path):
    folder = saved(classifier(base, "head", base_model=None), tmp_path / "best")
    with pytest.raises(DataError, match="does not say which base model it builds on"):
        TextClassifier.load(folder)
