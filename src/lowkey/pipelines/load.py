"""Opens any trained model: ``lowkey.load(RUN).predict([...])``."""

from pathlib import Path

from lowkey import runtime
from lowkey.errors import ConfigError
from lowkey.pipelines.answerer import Answerer
from lowkey.pipelines.classifier import TextClassifier
from lowkey.pipelines.mask_filler import MaskFiller
from lowkey.pipelines.published import read_facts
from lowkey.pipelines.tagger import Tagger
from lowkey.pipelines.translator import Translator
from lowkey.run_folder import resolve_bundle

AnyPipeline = TextClassifier | Tagger | Answerer | MaskFiller | Translator


def load(
    path: str | Path, *, base: str | None = None, device: str = "auto", precision: str = "fp32"
) -> AnyPipeline:
    """Opens the model of a run.

    Args:
        path: A run folder, a bundle such as its ``best``, or a published Marian folder.
        base: Where the base model is, if not where it was in training.
        device: "auto", "cpu", "cuda" ...
        precision: "fp32" (the reference), "bf16" or "auto".

    Returns:
        A pipeline; ``predict`` takes a list of texts, for a tagger also lists of words, for
        questions a list of them and one of contexts, and returns one dictionary for each.

    Raises:
        MissingInputError: If there is no such run, or its base model is not there.
        DataError: If a file is damaged, or the base is not the one of the training.
        ConfigError: If the device is not there, or a base is given to a model that has none.
    """
    folder = resolve_bundle(Path(path))
    facts = read_facts(folder)
    where = runtime.resolve_device(device)
    dtype = runtime.resolve_precision(precision, where)
    if facts.base_model is None and base is not None:
        raise ConfigError(f"{path} builds on no base model", where="--base", fix="leave it out")
    if facts.kind == "translation":
        return Translator.load(folder, base=base, device=where, dtype=dtype)
    if facts.kind == "tagging":
        return Tagger.load(folder, base=base, device=where, dtype=dtype)
    if facts.kind == "answering":
        return Answerer.load(folder, base=base, device=where, dtype=dtype)
    if facts.kind == "fill-mask":
        return MaskFiller.load(folder, base=base, device=where, dtype=dtype)
    return TextClassifier.load(folder, base=base, device=where, dtype=dtype)
