"""The verbs to begin with: demo, init, convert, env."""

import os
import platform
import shutil
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import typer

from lowkey.errors import ConfigError

_FINETUNED = ("classify", "tag", "answer", "mlm", "sentiment")
_LIBRARIES = ("torch", "tokenizers", "datasets", "safetensors", "tensorboard", "wandb")


class RecipeName(Enum):
    """The recipes that come with lowkey."""

    CLASSIFY = "classify"
    TAG = "tag"
    ANSWER = "answer"
    MLM = "mlm"
    TRANSLATE = "translate"
    PRONOUNCE = "pronounce"
    SENTIMENT = "sentiment"
    COMPARE = "compare"
    REVERSE = "reverse"
    COPY = "copy"
    DATES = "dates"

    @property
    def verb(self) -> str:
        """The verb that reads the recipe."""
        if self is RecipeName.COMPARE:
            return "compare"
        return "finetune" if self.value in _FINETUNED else "train"


def demo(
    out: Annotated[
        Path, typer.Option(metavar="RUN", help="Folder for the runs and the report.")
    ] = Path("runs/demo"),
    budget: Annotated[
        Literal["full", "quick"],
        typer.Option(help="full: at most 10 minutes on 2 cores; quick: 2."),
    ] = "full",
    track: Annotated[
        Literal["wandb"] | None, typer.Option(help="Log to Weights & Biases too, offline.")
    ] = None,
) -> None:
    """Watch a Transformer learn to pronounce, and BERT learn sentiment with LoRA.

    Everything it needs is on board; nothing is downloaded.
    """
    from lowkey.experiments.demo import run_demo

    run_demo(out, budget=budget, track=[track] if track else [])


def init(
    name: Annotated[
        RecipeName,
        typer.Argument(
            metavar="NAME",
            help="classify, tag, answer, mlm, compare, translate, pronounce, sentiment;"
            " or a toy: reverse, copy, dates.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write it; NAME.yaml.")
    ] = None,
) -> None:
    """Write a recipe in which every key is explained."""
    from lowkey.files import write_text

    path = out or Path(f"{name.value}.yaml")
    _refuse_to_overwrite(path)
    write_text(path, recipe_text(name))
    print(f"{path} is written. Change what is yours, then: lowkey {name.verb} --config {path}")


def convert(
    folder: Annotated[
        Path, typer.Argument(metavar="IN", help="A model's folder with pytorch_model.bin.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to make.")],
) -> None:
    """Turn a published pytorch_model.bin into model.safetensors.

    The pickle is opened in a process that is shut off; OUT gets the weights and the files of
    config and tokenizer, and no code.
    """
    from lowkey.hf.convert import convert as write

    print(write(folder, out))


def env() -> None:
    """Say what this machine and this installation are: for reports of problems."""
    import lowkey
    from lowkey import runtime

    device = runtime.resolve_device()
    bf16 = str(runtime.resolve_precision("auto", device)) == "torch.bfloat16"
    facts = {
        "lowkey": lowkey.__version__,
        "python": platform.python_version(),
        **{name: _version_of(name) for name in _LIBRARIES},
        **runtime.fingerprint(device, runtime.resolve_precision("auto", device)),
        "native bf16": "yes" if bf16 else "no",
        "processors": str(os.cpu_count()),
        "free disk": f"{shutil.disk_usage(Path.cwd()).free / 2**30:.1f} GiB here",
    }
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:{width}}  {value}")


def recipe_text(name: RecipeName) -> str:
    """Reads a recipe that comes with lowkey.

    Args:
        name: Which one.

    Returns:
        Its YAML.
    """
    return (files("lowkey") / "recipes" / f"{name.value}.yaml").read_text(encoding="utf-8")


def _refuse_to_overwrite(path: Path) -> None:
    if path.exists() or path.is_symlink():
        fix = "give another name with --out, or delete it"
        raise ConfigError(f"{path} exists already and is kept", where="--out", fix=fix)


def _version_of(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"
