"""What may be asked of a translation: options of ``lowkey predict`` that a classifier lacks."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lowkey.errors import ConfigError
from lowkey.files import parse_yaml

if TYPE_CHECKING:
    from lowkey.cli.counter import Counter
    from lowkey.cli.texts import Input
    from lowkey.pipelines.bundle import Facts
    from lowkey.pipelines.decoding import Decoding
    from lowkey.pipelines.translator import Translator

_PANEL = "Translations"


def _option(help: str, metavar: str | None = None, *names: str) -> Any:
    return typer.Option(*names, metavar=metavar, help=help, rich_help_panel=_PANEL)


NumBeams = Annotated[int | None, _option("Hypotheses kept for each sentence; 1 is greedy.", "N")]
Nbest = Annotated[int | None, _option("Outputs for each text, one a line or a list in JSON.", "N")]
Scores = Annotated[bool, _option("Put the score and a tab in front; in JSON a field.")]
Sample = Annotated[bool, _option("Draw tokens at random.", None, "--sample")]
Temperature = Annotated[float | None, _option("Below 1 samples favour likely tokens.", "X")]
TopK = Annotated[int | None, _option("Samples choose from the K likeliest tokens.", "K")]
TopP = Annotated[float | None, _option("Samples choose from this share of probability.", "P")]
Seed = Annotated[int | None, _option("Where the randomness of samples comes from.", "N")]
Prefix = Annotated[str | None, _option("What every output begins with.", "TEXT")]
MaxLength = Annotated[int | None, _option("Most tokens of an output.", "N")]
LengthPenalty = Annotated[float | None, _option("Exponent of the length in scores.", "X")]
LongTexts = Annotated[
    Literal["error", "truncate", "split"] | None,
    _option("Texts longer than the model reads are refused (error), cut, or split in pieces."),
]
DecodeSettings = Annotated[
    list[str] | None,
    _option("Any other key of decode, as min_length=5; may be repeated.", "KEY=VALUE", "--set"),
]


@dataclass(frozen=True)
class Wishes:
    """What was asked of a translation.

    Attributes:
        nbest: Outputs for each text; None: one.
        scores: Whether each says its score.
        prefix: What every output begins with, where the text itself does not say.
        long: What to do with long texts; None: refuse them.
        changes: Keys of ``decode`` with new values, None where they stay.
        settings: More of them as ``key=value``.
    """

    nbest: int | None = None
    scores: bool = False
    prefix: str | None = None
    long: Literal["error", "truncate", "split"] | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    settings: Sequence[str] = ()

    def refuse_for(self, kind: str) -> None:
        """Refuses wishes that only a translation can fulfil.

        Args:
            kind: What the model does instead.

        Raises:
            ConfigError: If there are any.
        """
        asked = {
            "nbest": self.nbest,
            "scores": self.scores or None,
            "prefix": self.prefix,
            "long": self.long,
            **self.changes,
            "set": self.settings or None,
        }
        for name, value in asked.items():
            if value is not None:
                where = f"--{name.replace('_', '-')}"
                raise ConfigError(f"is for translations, and this model is for {kind}", where=where)

    def decoding(self, facts: "Facts") -> "Decoding":
        """Puts what the bundle says and what the user wants together.

        Args:
            facts: The bundle.

        Returns:
            How to decode.

        Raises:
            ConfigError: If something of it is wrong or does not fit the rest.
        """
        from lowkey.pipelines.decoding import Decoding, refuse_nbest

        changes = {key: value for key, value in self.changes.items() if value is not None}
        for setting in self.settings:
            name, equals, text = setting.partition("=")
            where = f"--set {name.strip()}"
            if not equals:
                raise ConfigError("not of the form key=value", where=where)
            key = name.strip().removeprefix("decode.")
            changes[key] = parse_yaml(text, where=where, lines=False).data
        decoding = (facts.decode or Decoding()).changed(**changes)
        refuse_nbest(decoding, self.nbest or 1, split=self.long == "split")
        return decoding

    def answers(
        self,
        model: "Translator",
        portions: Iterator[list["Input"]],
        decoding: "Decoding",
        counter: "Counter",
    ) -> Iterator[list[dict[str, Any]]]:
        """Translates portion by portion; at the end it tells what was cut or split.

        Args:
            model: The model.
            portions: The texts.
            decoding: How to decode.
            counter: Shows how it goes.

        Yields:
            The answers to a portion.
        """
        from lowkey.pipelines.generation import Request, answer, generate
        from lowkey.pipelines.long_texts import long_note

        done = num_long = 0
        long = self.long or "error"
        for portion in portions:
            given = [self.prefix if one.prefix is None else one.prefix for one in portion]
            numbers = range(done + 1, done + len(portion) + 1)
            request = Request(
                decoding,
                nbest=self.nbest or 1,
                long=long,
                prefixes=[text or "" for text in given] if any(given) else None,
                numbers=numbers,
                places=[o.place or f"text {n}" for o, n in zip(portion, numbers, strict=True)],
                tell=counter.advance,
            )
            generated = generate(model, [one.text for one in portion], request)
            done, num_long = done + len(portion), num_long + generated.num_long
            yield [
                answer(outputs, nbest=request.nbest, scores=self.scores)
                for outputs in generated.outputs
            ]
        counter.stop()
        if note := long_note(num_long, model.longest_source, long):
            print(f"note: {note}", file=sys.stderr)
