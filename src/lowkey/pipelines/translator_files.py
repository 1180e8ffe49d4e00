"""The files of a translation model: a bundle's own, a published Marian folder, or an adapter."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lowkey.data.existing_tokenizer import load_tokenizer
from lowkey.data.marian_tokenizers import SOURCE_PIECES, TARGET_PIECES, load_marian_tokenizers
from lowkey.data.pair_tokenizer import PairTokenizer, refuse_other_size
from lowkey.data.sentencepiece_tokenizer import SentencePieceTokenizer
from lowkey.errors import DataError, shown
from lowkey.files import write_json, write_tensors
from lowkey.hf.adapter import load_adapter, save_adapter
from lowkey.hf.adapter_families import MARIAN, TRANSFORMER, Family
from lowkey.hf.marian import load_marian
from lowkey.hf.marian_config import is_marian, read_marian_config
from lowkey.hf.model_folder import CONFIG, WEIGHTS
from lowkey.lora.config import LoRAConfig
from lowkey.models.transformer import Transformer
from lowkey.pipelines.base_model import find_base
from lowkey.pipelines.bundle import FACTS_FILE, Facts
from lowkey.pipelines.published import read_facts
from lowkey.pipelines.transformer_files import load_model, refuse_misfit


@dataclass(frozen=True)
class Adaptation:
    """How a model is adapted by LoRA.

    Attributes:
        config: Rank, scale and targets.
        family: What the base calls its modules.
    """

    config: LoRAConfig
    family: Family


@dataclass(frozen=True)
class TranslatorParts:
    """What a folder of a translation model holds.

    Attributes:
        model: The network, in training mode.
        source_tokenizer: Tokenizer of the sources.
        target_tokenizer: Tokenizer of the targets.
        facts: What it was trained for, and how it decodes.
        adaptation: How it is adapted; None if it is not.
    """

    model: Transformer
    source_tokenizer: PairTokenizer
    target_tokenizer: PairTokenizer
    facts: Facts
    adaptation: Adaptation | None = None

    @classmethod
    def open(cls, folder: Path, base: str | None = None) -> "TranslatorParts":
        """Opens a folder of a translation model.

        Args:
            folder: A bundle, or a Marian folder.
            base: Where the base model of an adapter is, if not where it was in training.

        Returns:
            What it holds.

        Raises:
            MissingInputError: If a file, or the base model, is not there.
            UnavailableError: If the Hub is needed and cannot be reached.
            DataError: If a file is damaged, or the files do not fit each other.
        """
        facts, adaptation = read_facts(folder), None
        places = folder / "source", folder / "target"
        if not (folder / FACTS_FILE).is_file():
            model = load_marian(folder)
            places = folder / SOURCE_PIECES, folder / TARGET_PIECES
            source, target = load_marian_tokenizers(folder)
            _refuse_other_ids(folder, target)
        else:
            if facts.method == "lora":
                model, adaptation = _open_adapted(facts, folder, base)
            else:
                model = load_model(folder)
            source, target = map(load_tokenizer, places)
        refuse_misfit(model.config, facts, folder)
        rows = model.config.source_vocab_size, model.config.target_vocab_size
        for tokenizer, count, place in zip((source, target), rows, places, strict=True):
            # Published tables may have rows to spare.
            spare = isinstance(tokenizer, SentencePieceTokenizer)
            refuse_other_size(tokenizer, count, str(place), spare=spare)
        return cls(model, source, target, facts, adaptation)

    def save(self, folder: Path) -> None:
        """Writes a bundle: the model or its adapter, both tokenizers and the facts.

        A model whose adapters are merged is whole, and written without them.

        Args:
            folder: An existing folder.

        Raises:
            CannotWriteError: If a file cannot be written.
        """
        model, adaptation = self.model, self.adaptation
        if adaptation is None:
            write_json(folder / CONFIG, model.config.model_dump(mode="json"))
            # A shared table is one parameter under two names; it is written once.
            named = model.named_parameters()
            write_tensors(folder / WEIGHTS, {n: p for n, p in named if ".lora_" not in n})
        else:
            name = self.facts.base_model or ""
            config, family = adaptation.config, adaptation.family
            save_adapter(model, folder, lora_config=config, base_name=name, family=family)
        sides: Mapping[str, PairTokenizer] = {
            "source": self.source_tokenizer,
            "target": self.target_tokenizer,
        }
        for side, tokenizer in sides.items():
            (folder / side).mkdir(exist_ok=True)
            tokenizer.save(folder / side)
        self.facts.write(folder)


def _open_adapted(facts: Facts, folder: Path, base: str | None) -> tuple[Transformer, Adaptation]:
    """Opens the base that the adapter was trained on, and adapts it."""
    found = find_base(facts, folder, base)
    family = family_of(found)
    model = load_marian(found) if family is MARIAN else load_model(found)
    return model, Adaptation(load_adapter(model, folder, family), family)


def family_of(base: Path) -> Family:
    """Tells whose names the modules of a base have.

    Args:
        base: A folder with a whole model.

    Returns:
        The family that adapters of it are of.
    """
    return MARIAN if is_marian(base) else TRANSFORMER


def _refuse_other_ids(folder: Path, target: SentencePieceTokenizer) -> None:
    """Refuses a config and a vocabulary that disagree about where outputs begin and end."""
    config = read_marian_config(folder)
    for key, number, found, token in (
        ("eos_token_id", config.end_id, target.end_id, "eos_token"),
        ("decoder_start_token_id", config.decoder_start_token_id, target.begin_id, "pad_token"),
    ):
        if number != found:
            raise DataError(
                f"{key} is {number}, but {shown(target.specials[token])} has the id {found}",
                where=str(folder / CONFIG),
                fix="use the tokenizer files that came with the model",
            )
