import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification
from transformers.modeling_outputs import BaseModelOutputWithPooling

from lowkey.experiments.text_losses import binary_cross_entropy, cross_entropy, squared_error

RANDOM = torch.Generator().manual_seed(0)
LOGITS = torch.randn(6, 4, generator=RANDOM)
CLASSES = torch.tensor([0, 3, 1, 1, 2, 0])
HOLDS = (torch.randn(6, 4, generator=RANDOM) > 0).float()


def theirs(problem_type, logits, truth):
    """The loss that transformers computes from given logits."""
    config = BertConfig(
        vocab_size=8,
        hidden_size=4,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=4,
        num_labels=logits.shape[1],
        problem_type=problem_type,
    )
    model = BertForSequenceClassification(config).eval()
    model.dropout = torch.nn.Identity()
    model.classifier = torch.nn.Identity()
    model.bert.forward = lambda *_, **__: BaseModelOutputWithPooling(logits, logits)
    return model(input_ids=torch.ones(len(logits), 1, dtype=torch.long), labels=truth).loss


@pytest.mark.parametrize(
    ("problem_type", "loss", "logits", "truth"),
    [
        ("single_label_classification", cross_entropy(smoothing=0.0), LOGITS, CLASSES),
        ("multi_label_classification", binary_cross_entropy(smoothing=0.0), LOGITS, HOLDS),
        ("regression", squared_error, LOGITS[:, :1], LOGITS[:, 1]),
    ],
)
def test_the_mean_is_the_loss_of_transformers(problem_type, loss, logits, truth):
    expected = theirs(problem_type, logits, truth[:, None] if loss is squared_error else truth)
    total, _ = loss(logits, truth)
    assert float(total) / len(logits) == pytest.approx(float(expected), abs=1e-6)
    wrong, _ = loss(logits, truth.flip(0))
    assert float(wrong) != pytest.approx(float(total))


def test_texts_with_everything_right_are_counted():
    assert cross_entropy(smoothing=0.0)(LOGITS, LOGITS.argmax(1))[1] == {"accuracy": 6.0}
    right = (LOGITS > 0).float()
    right[2, 0] = 1 - right[2, 0]
    assert binary_cross_entropy(smoothing=0.0)(LOGITS, right)[1] == {"exact_match": 5.0}


def test_smoothing_spreads_the_target():
    """By hand: a share s of the target is spread evenly, whatever the truth."""
    s = 0.2
    yes, no = torch.nn.functional.logsigmoid(LOGITS), torch.nn.functional.logsigmoid(-LOGITS)
    by_hand = -((1 - s) * (HOLDS * yes + (1 - HOLDS) * no) + s * (yes + no) / 2).mean(1).sum()
    total, _ = binary_cross_entropy(smoothing=s)(LOGITS, HOLDS)
    assert float(total) == pytest.approx(float(by_hand), abs=1e-5)


def test_weights_are_those_of_torch():
    weights = np.array([0.5, 2.0, 1.0, 3.0], dtype=np.float32)
    found, _ = cross_entropy(smoothing=0.0, weights=weights)(LOGITS, CLASSES)
    expected = torch.nn.CrossEntropyLoss(torch.from_numpy(weights), reduction="sum")(
        LOGITS, CLASSES
    )
    assert float(found) == pytest.approx(float(expected), abs=1e-5)
    # For labels that hold or not, torch weighs a yes against a no: pos_weight.
    both = np.stack([np.ones(4, dtype=np.float32), weights])
    found, _ = binary_cross_entropy(smoothing=0.0, weights=both)(LOGITS, HOLDS)
    expected = torch.nn.BCEWithLogitsLoss(pos_weight=torch.from_numpy(weights), reduction="sum")
    assert float(found) == pytest.approx(float(expected(LOGITS, HOLDS)) / 4, abs=1e-5)
    plain, _ = binary_cross_entropy(smoothing=0.0)(LOGITS, HOLDS)
    assert float(plain) != pytest.approx(float(found))


def test_a_text_weighs_what_its_class_does_whatever_smoothing_gives_to_others():
    """By hand; torch's weights would make the class without a row the best answer to all."""
    s, weights = 0.1, np.array([0.5, 1.0, 300.0, 2.0], dtype=np.float32)
    log_p = LOGITS.log_softmax(1)
    each = -((1 - s) * log_p[torch.arange(6), CLASSES] + s * log_p.mean(1))
    expected = (each * torch.from_numpy(weights)[CLASSES]).sum()
    found, _ = cross_entropy(smoothing=s, weights=weights)(LOGITS, CLASSES)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
    rows = torch.tensor([0, 0, 1])
    loss = cross_entropy(smoothing=s, weights=weights)
    honest, absent = torch.tensor([2.0, 1.0, -2, -2]), torch.tensor([-2.0, -2.0, 2, -2])
    assert loss(honest.repeat(3, 1), rows)[0] < loss(absent.repeat(3, 1), rows)[0]
