"""What rank the updates of a run really use; of a full fine-tune, its differences from the base."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lowkey.errors import ConfigError
from lowkey.experiments.tuned import open_pair
from lowkey.lora.embedding import LoRAEmbedding
from lowkey.lora.inject import Adapted, adapters
from lowkey.lora.spectrum import Spectrum, decompose_update, difference_spectrum
from lowkey.pipelines.base_model import find_base
from lowkey.pipelines.bundle import Facts
from lowkey.pipelines.load import load
from lowkey.pipelines.published import read_facts
from lowkey.run_folder import resolve_bundle

SHARES = (0.9, 0.95, 0.99)


def spectrum(run: Path, *, base: str | None = None) -> dict[str, Any]:
    """Takes the updates of a run apart.

    Args:
        run: The run folder, or a bundle, trained by LoRA or in full from a base.
        base: Where the base model is, if not where it was in training.

    Returns:
        ``method``; ``modules``: see :func:`told`, each with its ``name`` and ``of_weight``, its
        norm as a share of that of the weight; ``ranks``: see :func:`by_rank`.

    Raises:
        ConfigError: If the run has neither an adapter nor a base that it differs from.
        LowkeyError: If the model or its base is not usable.
    """
    folder = resolve_bundle(run)
    facts = read_facts(folder)
    if facts.method == "lora":
        modules = adapters(load(run, base=base, device="cpu").model)
        spectra = {name: _of_update(module) for name, module in modules.items()}
        weights = {name: module.weight for name, module in modules.items()}
    else:
        refuse_without_base(run, facts)
        pair = open_pair(find_base(facts, folder, base), folder, facts)
        names = {name: f"{name}.weight" for name in pair.linear_maps}
        weights = {name: pair.base.get_parameter(key) for name, key in names.items()}
        spectra = {
            name: difference_spectrum(pair.tuned.get_parameter(key), weights[name])
            for name, key in names.items()
        }
    rows = []
    for name, found in spectra.items():
        size = float(weights[name].detach().double().norm())
        rows.append({"name": name, **told(found), "of_weight": found.norm / size if size else None})
    return {"method": facts.method, "modules": rows, "ranks": by_rank(spectra)}


def _of_update(module: Adapted) -> Spectrum:
    """The spectrum of what an adapted map changes; with DoRA that is more than its factors."""
    if isinstance(module, LoRAEmbedding) or module.lora_magnitude_vector is None:
        return decompose_update(module).spectrum
    return difference_spectrum(module.adapted_weight(), module.weight)


def told(found: Spectrum) -> dict[str, Any]:
    """Writes a spectrum as plain values.

    Args:
        found: The spectrum.

    Returns:
        ``rank`` (how many singular values there are), ``norm``, ``effective_rank``, ``needed``
        (the rank that keeps each of some shares) and ``singular_values``.
    """
    return {
        "rank": len(found.values),
        "norm": found.norm,
        "effective_rank": found.effective_rank,
        "needed": {str(share): found.rank_for(share) for share in SHARES},
        "singular_values": found.values.tolist(),
    }


def by_rank(spectra: Mapping[str, Spectrum]) -> list[dict[str, Any]]:
    """Says what one rank for all modules would keep.

    Args:
        spectra: The spectra by module.

    Returns:
        For 1, 2, 4 and so on up to the largest rank: ``kept``, the share of all squared norms
        together, and ``least``, that of the module which loses most.
    """
    largest = max(len(found.values) for found in spectra.values())
    ranks = [2**i for i in range(largest.bit_length()) if 2**i < largest]
    return [{"rank": rank, **kept_by(spectra, rank)} for rank in [*ranks, largest]]


def kept_by(spectra: Mapping[str, Spectrum], rank: int) -> dict[str, float]:
    """Says what one rank keeps.

    Args:
        spectra: The spectra by module.
        rank: The rank.

    Returns:
        ``kept``, the share of all squared norms together, and ``least``, that of the module
        which loses most.
    """
    shares = {name: found.kept(rank) for name, found in spectra.items()}
    squares = {name: found.norm**2 for name, found in spectra.items()}
    total = sum(squares.values())
    whole = sum(shares[name] * squares[name] for name in spectra) / total if total else 1.0
    return {"kept": whole, "least": min(shares.values())}


def refuse_without_base(run: Path, facts: Facts) -> None:
    """Refuses a model that is no full fine-tune of another.

    Args:
        run: The run, for messages.
        facts: What the model says of itself.

    Raises:
        ConfigError: If its linear maps are those of its base, or if it has no base.
    """
    if facts.method in ("head", "bitfit"):
        trained = "head" if facts.method == "head" else "biases and its head"
        raise ConfigError(
            f"{run} trained its {trained} alone: its linear maps are those of the base",
            fix="look at a run of the method lora or full",
        )
    if facts.base_model is None:
        raise ConfigError(
            f"{run} was trained from random weights: there is no base that it differs from",
            fix="look at a run that began with a trained model",
        )
