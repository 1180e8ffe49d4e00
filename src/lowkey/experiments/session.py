"""What surrounds every training: its folder, its recipe on disk, its trackers, its last words."""

import platform
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

import lowkey
from lowkey import runtime
from lowkey.config import dump_recipe, load_recipe
from lowkey.errors import DataError
from lowkey.experiments.config import FinetuneRecipe, TranslationRecipe
from lowkey.files import read_json, write_json, write_text
from lowkey.pipelines.bundle import Facts
from lowkey.reports.facts import facts_from
from lowkey.reports.model_card import model_card
from lowkey.reports.page import write_report
from lowkey.reports.run_report import run_report
from lowkey.run_folder import RunFolder
from lowkey.tracking.fanout import Fanout, open_trackers
from lowkey.training.changes import refuse_changes
from lowkey.training.progress import Progress

_INPUTS = "inputs.json"


@dataclass
class Session:
    """A run while it is being made.

    Attributes:
        run: Its folder, locked.
        tracker: Where numbers go.
        progress: Where people look.
    """

    run: RunFolder
    tracker: Fanout
    progress: Progress

    def say(self, text: str) -> None:
        """Shows a line that stays.

        Args:
            text: The line.
        """
        self.progress.note(text)

    def finish(self, facts: Facts) -> None:
        """Writes the report and the card of the model, and says how good it is.

        Args:
            facts: What came of the run.
        """
        readable = facts_from(facts.model_dump(mode="json"))
        card = model_card(readable, name=self.run.path.resolve().name)
        write_text(self.run.best / "README.md", card)
        write_report(run_report(self.run), self.run.report_file)
        for name, metric in facts.metrics.items():
            value, low, high = metric["value"], metric["low"], metric["high"]
            if all(isinstance(number, int | float) for number in (value, low, high)):
                self.say(f"{name} {value:.4f} (95 % interval {low:.4f} to {high:.4f})")
        self.say(f"report: {self.run.report_file}")


@contextmanager
def open_session(
    recipe: FinetuneRecipe | TranslationRecipe,
    out: Path,
    progress: Progress,
    inputs: Mapping[str, str],
    *,
    resume: bool,
) -> Iterator[Session]:
    """Opens a run folder for writing; call it when recipe, data and model are known to be good.

    Args:
        recipe: What is to be done; written to ``config.yaml``.
        out: The folder.
        progress: Where people look.
        inputs: Hash of what the run reads, by the key that names it; written to ``inputs.json``.
        resume: Whether to go on with the run that is there.

    Yields:
        The session; its trackers are closed however it ends.

    Raises:
        ConfigError: If the folder holds a run and this is a new one, if another process writes to
            it, or if the recipe differs from that of the run to resume.
        DataError: If the data or the base model is not that of the run to resume.
        MissingInputError: If there is no run to resume.
        CannotWriteError: If the folder cannot be written.
    """
    run = RunFolder.create(out, resume=resume)
    with ExitStack() as stack:
        stack.enter_context(run.lock())
        if resume and run.config_file.exists():
            before = load_recipe(type(recipe), run.config_file)
            refuse_changes(before, recipe, run=out)
            _refuse_other_inputs(run, inputs)
        tracker = open_trackers(recipe.track, run.path, warn=progress.warn)
        stack.callback(tracker.close)
        tracker.config(recipe.model_dump(mode="json"))
        write_json(run.path / _INPUTS, dict(inputs))
        write_text(run.config_file, dump_recipe(recipe))
        yield Session(run, tracker, progress)


def _refuse_other_inputs(run: RunFolder, inputs: Mapping[str, str]) -> None:
    """Refuses to go on with other data or another base under the same names."""
    path = run.path / _INPUTS
    before = read_json(path) if path.exists() else {}
    for key, found in inputs.items():
        if before.get(key, found) != found:
            raise DataError(
                f"cannot resume {run.path}: what {key} names has changed since the run began",
                fix="put the old content back, or start anew with another --out",
            )


def environment(device: torch.device, dtype: torch.dtype) -> dict[str, str | int]:
    """Records what a model was trained on.

    Args:
        device: Where it computes.
        dtype: Precision of the activations.

    Returns:
        Versions, hardware and precision, by name.
    """
    return {
        "lowkey": lowkey.__version__,
        "python": platform.python_version(),
        **runtime.fingerprint(device, dtype),
    }
