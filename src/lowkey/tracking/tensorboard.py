"""A tracker that writes TensorBoard's event files."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lowkey.errors import UnavailableError
from lowkey.tracking.scrub import scrub

FLUSH_SECONDS = 10


class TensorBoardTracker:
    """Writes scalars, texts, pictures and hyper-parameters as event files.

    Args:
        folder: Where the event files go. If there are some, this is a resumed run: from the
            first step recorded on, TensorBoard shows the new values and not the old ones.

    Raises:
        UnavailableError: If the tensorboard package is not installed.
    """

    def __init__(self, folder: Path):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            fix = "pip install tensorboard, or leave it out of track"
            what = "the package tensorboard is not installed"
            raise UnavailableError(what, where="track: tensorboard", fix=fix) from None
        self._replaces_old = any(folder.glob("events.out.tfevents.*"))
        self._writer = SummaryWriter(str(folder), flush_secs=FLUSH_SECONDS)

    def log(self, step: int, values: Mapping[str, int | float]) -> None:
        """Writes one scalar a value.

        Args:
            step: Updates made.
            values: Numbers by name.
        """
        self._begin(step)
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def config(self, config: Mapping[str, Any]) -> None:
        """Writes the settings for the HPARAMS page, without their secrets.

        Args:
            config: Settings by name; nested names are joined by dots.
        """
        from torch.utils.tensorboard.summary import hparams

        for summary in hparams(_flat(scrub(config)), {}):
            self._files.add_summary(summary)

    def text(self, step: int, name: str, text: str) -> None:
        """Writes a text.

        Args:
            step: Updates made.
            name: What the text shows.
            text: Markdown.
        """
        self._begin(step)
        self._writer.add_text(name, text, step)

    def image(self, step: int, name: str, png: bytes) -> None:
        """Writes a picture.

        Args:
            step: Updates made.
            name: What the picture shows.
            png: A PNG file, written as it is.
        """
        from tensorboard.compat.proto import summary_pb2

        proto: Any = summary_pb2  # its classes are made at import, unseen by type checkers
        self._begin(step)
        # The first chunk of a PNG gives its size.
        width, height = struct.unpack(">II", png[16:24])
        picture = proto.Summary.Image(width=width, height=height, encoded_image_string=png)
        value = proto.Summary.Value(tag=name, image=picture)
        self._files.add_summary(proto.Summary(value=[value]), step)

    def close(self) -> None:
        """Writes what is still held back."""
        self._writer.close()

    @property
    def _files(self) -> Any:
        return self._writer.file_writer

    def _begin(self, step: int) -> None:
        """Tells TensorBoard to forget what an earlier process recorded from this step on."""
        if self._replaces_old:
            from tensorboard.compat.proto import event_pb2

            proto: Any = event_pb2  # its classes are made at import, unseen by type checkers
            start = proto.SessionLog(status=proto.SessionLog.START)
            self._files.add_event(proto.Event(session_log=start), step)
            self._replaces_old = False


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, bool | int | float | str]:
    """Joins nested names by dots; what is no number or boolean becomes text."""
    flat: dict[str, bool | int | float | str] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value if isinstance(value, int | float) else str(value)
    return flat
