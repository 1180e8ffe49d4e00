"""How sentences are decoded, as recipes, bundles and predictions say it. Knows no torch."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lowkey.config import Config

# Far above what anybody wants; a number in a foreign file must not fill the memory.
_Tokens = Annotated[int, Field(ge=0, le=100_000)]
_Ratio = Annotated[float, Field(ge=0, le=1_000_000)]


class DecodeConfig(Config):
    """How sentences are decoded.

    Lengths count the tokens of an output, its end token included.

    Attributes:
        num_beams: Hypotheses kept for each sentence; 1 is greedy.
        length_penalty: Exponent of the length that a score is divided by.
        length_penalty_kind: "average" divides by the length itself to that power, "gnmt" by
            (5 + length) / 6 to that power (Wu et al., 2016).
        early_stopping: Whether a beam search stops once it has ``num_beams`` finished
            hypotheses; "never" goes on until nothing better can follow.
        min_length: Fewest tokens of an output.
        min_ratio: Fewest tokens of an output for each token of its source.
        max_length: Most tokens of an output.
        max_ratio: Most tokens of an output for each token of its source, and five more; None: in
            a recipe the largest ratio of the training pairs, in a bundle no bound.
        repetition_penalty: Above 1 makes tokens that were said less likely (Keskar et al., 2019).
        no_repeat_ngram_size: No run of so many tokens comes twice; 0 allows all.
        sample: Whether tokens are drawn at random, one beam only.
        temperature: Divides the logits of a sample; below 1 favours likely tokens.
        top_k: How many of the likeliest tokens a sample chooses from; 0 is all.
        top_p: The share of the probability that a sample chooses from.
        seed: Where the randomness of samples comes from.
    """

    num_beams: Annotated[int, Field(ge=1, le=256)] = 4
    length_penalty: Annotated[float, Field(ge=0, le=10)] = 1.0
    length_penalty_kind: Literal["average", "gnmt"] = "average"
    early_stopping: bool | Literal["never"] = False
    min_length: _Tokens = 0
    min_ratio: _Ratio = 0.0
    max_length: Annotated[int, Field(ge=1, le=100_000)] = 128
    max_ratio: _Ratio | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=100)] = 1.0
    no_repeat_ngram_size: Annotated[int, Field(ge=0, le=1000)] = 0
    sample: bool = False
    temperature: Annotated[float, Field(gt=0, le=1000)] = 1.0
    top_k: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: Annotated[int, Field(ge=0)] = 42

    @model_validator(mode="after")
    def _parts_fit(self) -> "DecodeConfig":
        if self.min_length > self.max_length:
            raise ValueError(
                f"min_length {self.min_length} is more than max_length {self.max_length}"
                " — lower the one or raise the other"
            )
        if self.max_ratio is not None and self.min_ratio > self.max_ratio:
            raise ValueError(
                f"min_ratio {self.min_ratio:g} is more than max_ratio {self.max_ratio:g}"
                " — lower the one or raise the other"
            )
        if self.sample and self.num_beams > 1:
            raise ValueError(
                f"sample draws tokens at random and has no use for {self.num_beams} beams"
                " — set num_beams to 1, or sample to false"
            )
        for key, neutral in (("temperature", 1), ("top_k", 0), ("top_p", 1)):
            value = getattr(self, key)
            if not self.sample and value != neutral:
                raise ValueError(f"{key} {value:g} is for samples — set sample to true")
        return self
