"""Which runs can share a base in memory, found before anything is loaded. Knows no torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lowkey.errors import ConfigError, DataError
from lowkey.pipelines.bundle import Facts
from lowkey.pipelines.published import read_facts
from lowkey.run_folder import resolve_bundle


def find_runs(
    runs: Sequence[str | Path] | Mapping[str, str | Path],
) -> dict[str, tuple[Path, Facts]]:
    """Finds runs, and makes sure that they can share a base.

    Args:
        runs: Their folders, by the names to give them; in a list each has that of its folder.

    Returns:
        The bundle of each, and what it says about itself.

    Raises:
        MissingInputError: If there is no such run.
        DataError: If a file is damaged, if a run is no adapter for whole texts, or if its base has
            other weights than that of the first.
        ConfigError: If two runs have one name, or there is none.
    """
    paths = _by_name(runs)
    if not paths:
        raise ConfigError("there is no run to open")
    found: dict[str, tuple[Path, Facts]] = {}
    for name, path in paths.items():
        folder = resolve_bundle(path)
        facts = read_facts(folder)
        refuse_loner(name, facts)
        for first, (_, other) in list(found.items())[:1]:
            if facts.base_sha256 != other.base_sha256:
                raise DataError(
                    f"{name} builds on other weights ({facts.base_model}) than {first}"
                    f" ({other.base_model})",
                    fix="open runs of one base together",
                )
        found[name] = (folder, facts)
    return found


def refuse_loner(name: str, facts: Facts) -> None:
    """Refuses what is no adapter of a model of whole texts.

    Args:
        name: What messages call it.
        facts: What it was trained for.

    Raises:
        DataError: If it is another kind of model, or was trained by another method.
    """
    if facts.kind not in ("classification", "multilabel", "regression"):
        raise DataError(
            f"{name} is a model for {facts.kind}",
            fix="classifiers and regressors of texts share a base; use it alone",
        )
    if facts.pooling != "auto":
        raise DataError(
            f"{name} was trained with model.pooling {facts.pooling}, whose head reads other rows",
            fix="runs with pooling auto share a base; use it alone",
        )
    if facts.method != "lora":
        raise DataError(
            f"{name} was trained by method {facts.method}, which leaves no adapter",
            fix="only adapters share a base; use it alone",
        )


def run_name(path: Path) -> str:
    """Says what a run is called among others.

    Args:
        path: A run, or its ``best``.

    Returns:
        The name of the run's folder.

    Example:
        >>> run_name(Path("runs/topics")), run_name(Path("runs/topics/best"))
        ('topics', 'topics')
    """
    path = path.absolute()
    return path.parent.name if path.name == "best" else path.name


def _by_name(runs: Sequence[str | Path] | Mapping[str, str | Path]) -> dict[str, Path]:
    if isinstance(runs, Mapping):
        return {name: Path(path) for name, path in runs.items()}
    found: dict[str, Path] = {}
    for path in map(Path, runs):
        name = run_name(path)
        if name in found:
            raise ConfigError(
                f"{found[name]} and {path} are both called {name}", fix="rename one of the folders"
            )
        found[name] = path
    return found
