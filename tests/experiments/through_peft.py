"""What peft and transformers compute with the adapter of a run, text by text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from experiments.drawn import Choices
from safetensors.torch import load_file

AUTO_CLASSES = {
    "tag": "AutoModelForTokenClassification",
    "answer": "AutoModelForQuestionAnswering",
    "mlm": "AutoModelForMaskedLM",
}
"""transformers' classes by task; other tasks have AutoModelForSequenceClassification."""
WITH_SEGMENTS = ("bert", "electra", "albert")


@torch.no_grad()
def their_logits(
    choices: Choices, run: Path, live: Any, texts: Sequence[str], pairs: Sequence[str] | None
) -> np.ndarray:
    """The logits of texts by the adapter in a run's bundle, on the base it was trained on."""
    theirs, task = opened(choices, run, len(live.facts.labels) or 1), choices["task"]
    examples = live.examples_of(texts, pairs)
    windows = examples.apart() if hasattr(examples, "apart") else examples
    found = []
    for i in range(len(windows.lengths)):
        batch = windows.batch([i], None) if task == "mlm" else windows.batch([i])
        inputs = {"input_ids": batch.input_ids[None].long()}
        if choices["family"] in WITH_SEGMENTS and task in ("pair", "answer"):
            inputs["token_type_ids"] = batch.segment_ids[None].long()
        out = theirs(**inputs)
        if task == "answer":
            found.append(torch.stack([out.start_logits[0], out.end_logits[0]], dim=1))
        elif task == "tag":
            found.append(out.logits[0, batch.first])
        elif task == "mlm":
            found.append(out.logits[0, batch.rows])
        elif choices["model.pooling"] == "auto":
            found.append(out.logits)
        else:
            found.append(by_hand(out.last_hidden_state[0], choices["model.pooling"], run))
    logits = torch.cat(found).numpy()
    if windows is not examples:
        owners = examples.owners
        logits = np.stack([logits[owners == i].mean(0) for i in range(len(examples))])
    return logits


def opened(choices: Choices, run: Path, num_labels: int) -> Any:
    """The base with the adapter, as peft loads it."""
    import transformers
    from peft import PeftModel

    name = AUTO_CLASSES.get(choices["task"], "AutoModelForSequenceClassification")
    options = {} if choices["task"] in ("answer", "mlm") else {"num_labels": num_labels}
    if choices["model.pooling"] != "auto":
        name, options = "AutoModel", {}
    base = getattr(transformers, name).from_pretrained(
        f"bases/{choices['family']}-{choices['base']}", **options
    )
    return PeftModel.from_pretrained(base, run / "best").base_model.eval()


def by_hand(hidden: torch.Tensor, pooling: str, run: Path) -> torch.Tensor:
    """The head on a summary of the tokens, for which transformers has no class."""
    head = load_file(run / "best" / "head.safetensors")
    summary = {"first": hidden[0], "mean": hidden.mean(0), "max": hidden.amax(0)}[pooling]
    return (head["classifier.weight"] @ summary + head["classifier.bias"])[None]
