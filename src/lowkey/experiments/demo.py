"""``lowkey demo``: both halves on real data, and one page that shows what came of it.

Every training is the command that a user would type, in a process of its own: so its memory is
measured alone, and an interrupted demo goes on where it stopped.
"""

import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib.resources import files as package_files
from pathlib import Path

from lowkey import runtime
from lowkey.config import load_recipe
from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.errors import ConfigError, LowkeyError, StoppedError
from lowkey.experiments.baseline import Baseline, tfidf_logistic
from lowkey.experiments.child_runs import KINDS, is_finished
from lowkey.experiments.config import FinetuneRecipe, TranslationRecipe
from lowkey.experiments.demo_page import demo_report
from lowkey.reports.page import write_report
from lowkey.run_folder import RunFolder

METHODS = ("lora", "full", "head")

# Seconds of training for the Transformer, passes over the sentences for the encoders.
_BUDGETS = {"full": (300, 3), "quick": (20, 1)}

# The recipe trains for an hour and more; in minutes a smaller model learns more than its own.
_SMALLER = (
    "model.d_model=128",
    "model.d_ff=344",
    "model.dropout=0.1",
    "train.learning_rate=3e-3",
    "decoded_rows=200",
)


def run_demo(out: Path, *, budget: str = "full", track: Sequence[str] = ()) -> None:
    """Trains a Transformer to pronounce and a BERT to judge sentiment, and reports on both.

    Args:
        out: Where the runs and the report go.
        budget: "full" (at most ten minutes on two cores) or "quick" (at most two).
        track: Trackers beside JSON Lines and TensorBoard.

    Raises:
        LowkeyError: If a part fails or is stopped; finished parts are kept and not repeated.
    """
    seconds, epochs = _BUDGETS[budget]
    trackers = ", ".join(["jsonl", "tensorboard", *track])
    common = [f"track=[{trackers}]"]
    _say("1. A Transformer from scratch learns to pronounce English words")
    pronounce = out / "pronounce"
    settings = [f"train.time_budget={seconds}", *_SMALLER, *common]
    _train("train", "pronounce", pronounce, settings)
    _say("2. A pretrained BERT learns sentiment: by LoRA, in full, and by its head alone")
    encoders = {method: out / f"sentiment-{method}" for method in METHODS}
    for method, run in encoders.items():
        settings = [f"method={method}", f"train.num_train_epochs={epochs}", *common]
        _train("finetune", "sentiment", run, settings)
    baseline, memory = _baseline()
    report = demo_report(pronounce, encoders, baseline, memory)
    write_report(report, out / "report.html")
    _say_what_next(out)


def _train(verb: str, recipe: str, run: Path, settings: Sequence[str]) -> None:
    """Runs one training, or takes up what an earlier demo left of it."""
    config = Path(str(package_files("lowkey") / "recipes" / f"{recipe}.yaml"))
    command = ["lowkey", verb, "--config", str(config), "--out", str(run)]
    command += [part for setting in settings for part in ("--set", setting)]
    if RunFolder(run).config_file.exists():
        _refuse_another_budget(verb, config, settings, run)
        if is_finished(run):
            print(f"{run} is finished already", flush=True)
            return
        command.append("--resume")
    print(f"$ {shlex.join(command)}", flush=True)
    # -P: a file of the user's, such as random.py, must not take the place of a library.
    code = _wait_for(subprocess.Popen([sys.executable, "-P", "-m", *command]))
    if code == StoppedError.exit_code:
        raise StoppedError("the demo was stopped", fix="repeat the command to go on")
    if code:
        # The training has said why; its code becomes the demo's.
        kinds = {kind.exit_code: kind for kind in KINDS}
        raise kinds.get(code, LowkeyError)(f"the demo cannot go on without {run}")


def _wait_for(process: subprocess.Popen[bytes]) -> int:
    """Waits for a training through Ctrl-C and SIGTERM, on which it saves and stops by itself."""
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue  # the terminal has sent it to the training too
    finally:
        signal.signal(signal.SIGTERM, before)


def _refuse_another_budget(verb: str, config: Path, settings: Sequence[str], run: Path) -> None:
    """Refuses to show what another demo left as the result of this one."""
    schema = TranslationRecipe if verb == "train" else FinetuneRecipe
    if load_recipe(schema, config, settings) != load_recipe(schema, RunFolder(run).config_file):
        raise ConfigError(
            f"{run} is of a demo with another budget, trackers or version of lowkey",
            fix="give this one its own folder with --out",
        )


def _baseline() -> tuple[Baseline, float]:
    """Fits the baseline here, where nothing large was loaded, and measures this process."""
    data = "package:lowkey/recipes/data/sentiment"
    train, test = (
        read_rows(f"{data}/{split}.jsonl.gz", DataConfig(), ("text", "label"), key=f"data.{split}")
        for split in ("train", "test")
    )
    return tfidf_logistic(train, test), runtime.peak_memory_mib()


def _say(text: str) -> None:
    print(f"\n{text}\n", flush=True)


def _say_what_next(out: Path) -> None:
    _say("Look at")
    print(f"  {out / 'report.html'}   both halves on one page")
    print(f"  tensorboard --logdir {out}   the curves, live")
    _say("Type next")
    print(f'  lowkey predict {out / "pronounce"} "a t t e n t i o n"')
    print(f'  lowkey predict {out / "sentiment-lora"} "I would watch it again tonight."')
    print(f'  lowkey attention {out / "pronounce"} "a t t e n t i o n" --out attention.html')
    print("  lowkey init classify   a recipe for texts of your own")
