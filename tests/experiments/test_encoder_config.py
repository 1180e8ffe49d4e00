import pytest

from lowkey.errors import ConfigError
from lowkey.experiments.encoder_config import EncoderTraining, refuse_calibration, refuse_unbalanced


@pytest.mark.parametrize(
    ("task", "train", "message"),
    [
        (
            "regress",
            {"class_weight": "balanced"},
            "train.class_weight weighs classes, and task regress has none",
        ),
        ("regress", {"sampling": "balanced"}, "and task regress has none — set it to uniform"),
        ("multilabel", {"sampling": "balanced"}, "set it to uniform, and train.class_weight: bal"),
        (
            "classify",
            {"class_weight": "balanced", "sampling": "balanced"},
            "are both balanced, and rare classes would weigh twice",
        ),
        ("mlm", {"class_weight": "balanced"}, "weighs classes, and task mlm has none"),
        ("mlm", {"sampling": "balanced"}, "and task mlm has none — set it to uniform"),
        ("answer", {"class_weight": "balanced"}, "weighs classes, and task answer has none"),
        ("answer", {"sampling": "balanced"}, "and task answer has none — set it to uniform"),
        ("tag", {"sampling": "balanced"}, "train.sampling: balanced draws rows by their one class"),
    ],
)
def test_what_has_no_classes_is_not_balanced(task, train, message):
    with pytest.raises(ConfigError) as caught:
        refuse_unbalanced(task, EncoderTraining(**train))
    assert message in str(caught.value)
    for key in train:
        refuse_unbalanced("classify", EncoderTraining(**{key: "balanced"}))


@pytest.mark.parametrize("task", ["regress", "tag", "answer", "mlm"])
def test_what_has_no_probabilities_of_texts_is_not_calibrated(task):
    refuse_calibration(task, False)
    refuse_calibration("classify", True)
    with pytest.raises(ConfigError, match=f"and task {task} has none"):
        refuse_calibration(task, True)
