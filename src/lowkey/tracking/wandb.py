"""A tracker for Weights & Biases, offline unless the user says otherwise."""

import io
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lowkey.errors import UnavailableError
from lowkey.files import read_text, write_text
from lowkey.tracking.scrub import scrub

TIMEOUT_SECONDS = 15
_MODES = ("online", "offline", "shared", "disabled")


class WandbTracker:
    """Records a run with Weights & Biases.

    Everything stays in the run folder (``wandb sync`` sends it later) unless the environment
    sets ``WANDB_MODE=online``. The identity of the run is kept in the file ``wandb-run-id``,
    so that a resumed run is the same run there. The command line, the environment, git and
    the console are not recorded: they may hold secrets.

    Args:
        folder: The run folder.

    Raises:
        UnavailableError: If the wandb package is not installed.
        CannotWriteError: If the identity of the run cannot be kept.
    """

    def __init__(self, folder: Path):
        try:
            import wandb
            from wandb import Settings
        except ImportError:  # also if ``wandb`` is but a folder of earlier offline runs
            fix = "pip install 'lowkey[wandb]', or leave it out of track"
            what = "the package wandb is not installed"
            raise UnavailableError(what, where="track: wandb", fix=fix) from None
        mode = os.environ.get("WANDB_MODE", "offline")
        settings = Settings(
            silent=True,
            console="off",
            disable_git=True,
            save_code=False,
            symlink=False,
            x_disable_meta=True,
            x_disable_machine_info=True,
            x_disable_stats=True,
            x_save_requirements=False,
            init_timeout=TIMEOUT_SECONDS,
            login_timeout=TIMEOUT_SECONDS,
            finish_timeout=TIMEOUT_SECONDS,
            summary_timeout=TIMEOUT_SECONDS,
            x_service_wait=TIMEOUT_SECONDS,
            x_graphql_timeout_seconds=TIMEOUT_SECONDS,
        )
        self._run = wandb.init(
            project="lowkey",
            name=folder.resolve().name,
            dir=folder,
            id=_run_id(folder / "wandb-run-id"),
            resume="allow",
            mode=mode if mode in _MODES else "offline",
            settings=settings,
        )
        # Steps may come back after a resume, so they are an axis and not W&B's own counter.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def log(self, step: int, values: Mapping[str, int | float]) -> None:
        """Records numbers.

        Args:
            step: Updates made.
            values: Numbers by name.
        """
        self._run.log({**values, "step": step})

    def config(self, config: Mapping[str, Any]) -> None:
        """Records the settings, without their secrets.

        Args:
            config: Settings by name; values may be nested.
        """
        self._run.config.update(scrub(config), allow_val_change=True)

    def text(self, step: int, name: str, text: str) -> None:
        """Records a text, as a table of one cell.

        Args:
            step: Updates made.
            name: What the text shows.
            text: The text.
        """
        import wandb

        self._run.log({name: wandb.Table(columns=["text"], data=[[text]]), "step": step})

    def image(self, step: int, name: str, png: bytes) -> None:
        """Records a picture.

        Args:
            step: Updates made.
            name: What the picture shows.
            png: A PNG file.
        """
        import wandb
        from PIL import Image

        self._run.log({name: wandb.Image(Image.open(io.BytesIO(png))), "step": step})

    def close(self) -> None:
        """Ends the run; waits at most 15 seconds for what is not sent yet."""
        self._run.finish()


def _run_id(path: Path) -> str:
    """Returns the identity that is kept in a file, or makes one."""
    if path.exists():
        kept = read_text(path).strip()
        if re.fullmatch(r"[a-z0-9]{8}", kept):
            return kept
    made = os.urandom(4).hex()
    write_text(path, made + "\n")
    return made
