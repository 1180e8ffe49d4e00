from dataclasses import replace

import pytest
import yaml
from reports.inert_page import PAYLOADS

from lowkey.metrics.intervals import Score
from lowkey.reports.facts import Calibration, Facts
from lowkey.reports.model_card import model_card

FACTS = Facts(
    kind="classification",
    method="lora",
    base_model="bert-base-uncased",
    labels=["negative", "positive"],
    metrics={"accuracy": Score(0.942, 0.927, 0.954, 1000)},
)


def parts(card: str) -> tuple[dict, str]:
    _, header, body = card.split("---\n", 2)
    return yaml.safe_load(header), body


def test_the_header_is_what_the_hub_reads() -> None:
    header, body = parts(model_card(FACTS, name="sentiment-lora"))
    assert header == {
        "library_name": "lowkey",
        "pipeline_tag": "text-classification",
        "base_model": "bert-base-uncased",
        "base_model_relation": "adapter",
        "metrics": ["accuracy"],
        "model-index": [
            {
                "name": "sentiment-lora",
                "results": [
                    {
                        "task": {"type": "text-classification"},
                        "dataset": {"name": "held-out examples", "type": "custom"},
                        "metrics": [{"type": "accuracy", "value": 0.942}],
                    }
                ],
            }
        ],
    }
    assert "| Accuracy | 94.2\u00a0% | 92.7\u201395.4 | 1,000 |" in body


def test_the_hub_library_accepts_the_header() -> None:
    from huggingface_hub import ModelCard

    data = ModelCard(model_card(FACTS, name="sentiment-lora")).data
    [result] = data.eval_results
    assert (result.metric_type, result.metric_value) == ("accuracy", 0.942)


def test_the_card_says_how_long_a_text_may_be_and_what_the_training_took() -> None:
    counts = {
        "train_rows": 2082.0,
        "trainable_parameters": 480386.0,
        "training_seconds": 95.0,
        "peak_memory_mib": 600.0,
        "disk_bytes": 1_900_000.0,
    }
    told = replace(FACTS, counts=counts, max_length=512.0, long_texts="window")
    _, body = parts(model_card(told, name="x"))
    body = body.replace("\u00a0", " ").replace("\\", "")
    assert (
        "Reads at most 512 tokens at a time; longer texts are read in windows that overlap." in body
    )
    assert (
        "Learned from 2,082 rows: 480,386 parameters trained, 1 min 35 s of training, 600 MiB of"
        " memory at most."
    ) in body
    assert "Reads at most" not in parts(model_card(FACTS, name="x"))[1]
    assert "Learned" not in parts(model_card(FACTS, name="x"))[1]
    other = replace(told, long_texts="", counts={})
    assert "Reads at most 512 tokens at a time." in parts(model_card(other, name="x"))[1]


def test_a_merged_model_is_no_adapter() -> None:
    header, body = parts(model_card(FACTS, name="x", library="transformers", merged=True))
    assert (header["library_name"], header["base_model_relation"]) == ("transformers", "finetune")
    assert "Tuned from" in body


def test_what_the_weights_do_not_say_stands_in_the_card() -> None:
    facts = replace(
        FACTS,
        pooling="mean",
        notes=["the model has collapsed"],
        calibration=Calibration(1.5, 0.2, 0.1, 300, [0.25]),
    )
    _, body = parts(model_card(facts, name="x"))
    assert "The model has collapsed" in body
    assert "The classifier reads the mean of the last hidden states of a text" in body
    assert "Divide the logits by 1.5 for probabilities" in body
    assert "labels hold\\: positive from 0.25 on. Fitted on 300 validation rows." in body
    for plain in (FACTS, replace(FACTS, pooling="auto")):
        _, body = parts(model_card(plain, name="x"))
        assert not any(word in body for word in ("Divide", "classifier reads", "collapsed"))


def test_a_bundle_without_facts_has_a_card_too() -> None:
    header, body = parts(model_card(Facts(), name="x"))
    assert header == {"library_name": "lowkey"}
    assert body.strip().startswith("# x")


@pytest.mark.parametrize("payload", [*PAYLOADS, "a|b\n---\nlibrary_name: evil", "![x](http://a)"])
def test_foreign_text_stays_text(payload: str) -> None:
    facts = Facts(
        kind="classification",
        base_model=payload,
        labels=[payload, payload],
        notes=[payload],
        pooling=payload,
        calibration=Calibration(1.5, 0.2, 0.1, 300, [0.25, 0.5]),
        metrics={payload: Score(0.5, 0.4, 0.6, 9)},
    )
    card = model_card(facts, name=payload)
    header, body = parts(card)
    assert header["library_name"] == "lowkey"
    assert set(header) == set(parts(model_card(FACTS, name="x"))[0])
    assert "<" not in body
    assert "](" not in body
    assert body.count("\n|") == 3
    assert all(char.isprintable() or char in "\n\u00a0" for char in card)
