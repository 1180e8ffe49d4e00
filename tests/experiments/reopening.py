"""Opens bundles in a process that knows nothing but their files, and writes what they compute.

python reopening.py ASKED ANSWERED     asks each {"bundle", "texts", "pairs"}
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lowkey
from lowkey.pipelines.answerer import Answerer
from lowkey.pipelines.mask_filler import MaskFiller


def spoken(pipeline: Any, texts: Sequence[str], pairs: Sequence[str] | None) -> dict[str, Any]:
    """What a model computes for texts, and what it says of them."""
    inputs = (texts,) if pairs is None else (texts, pairs)
    examples = pipeline.examples_of(*inputs)
    if isinstance(pipeline, MaskFiller):
        mask = "<mask>" if pipeline.tokenizer.library.token_to_id("<mask>") else "[MASK]"
        inputs = ([f"a {mask}", f"{mask} b"],)
    said = pipeline.predict(*inputs)
    if not isinstance(pipeline, Answerer | MaskFiller):
        said = [*said, pipeline.facts.labels]
    return json.loads(json.dumps({"logits": pipeline.logits(examples).tolist(), "said": said}))


def reopened(asked: Sequence[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Lets one new process open all bundles; ``folder`` is a place for what they say."""
    question, answer = folder / "asked.json", folder / "answered.json"
    question.write_text(json.dumps(asked), encoding="utf-8")
    command = [sys.executable, "-P", __file__, str(question), str(answer)]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return json.loads(answer.read_text(encoding="utf-8"))


def main(question: str, answer: str) -> None:
    asked = json.loads(Path(question).read_text(encoding="utf-8"))
    found = []
    for each in asked:
        pipeline = lowkey.load(each["bundle"], device="cpu")
        found.append(spoken(pipeline, each["texts"], each["pairs"]))
    Path(answer).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
