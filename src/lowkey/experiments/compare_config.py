"""What ``lowkey compare`` reads: a recipe of ``lowkey finetune``, and what to compare by it."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from lowkey.config import Config
from lowkey.experiments.config import FinetuneRecipe

ALL_METHODS = {method: {"method": method} for method in ("lora", "full", "head", "bitfit")}


class CompareConfig(Config):
    """What is compared, and how often.

    Attributes:
        contenders: What to run, each as the keys in which it differs from the recipe: ``{lora-4:
            {method: lora, lora.r: 4}}``.
        against: The contender that all others are compared with; the first if None and there is
            none called "full".
        metric: What trials are chosen and verdicts are spoken by; None for the usual one of the
            task.
        seeds: One run of every contender for each; a seed decides the order of the rows, the
            initial values and the dropout.
        rate_factors: Each contender tries its learning rate times each of these on the validation
            rows, and is run with the best. A single one leaves nothing to try.
        search_seed: The seed of these trials.
    """

    contenders: dict[str, dict[str, Any]] = Field(default=ALL_METHODS, min_length=1)
    against: str | None = None
    metric: str | None = None
    seeds: list[int] = Field(default=[1, 2, 3, 4, 5], min_length=1)
    rate_factors: list[Annotated[float, Field(gt=0)]] = Field(default=[0.3, 1.0, 3.0], min_length=1)
    search_seed: int = 0

    @model_validator(mode="after")
    def _comparable(self) -> "CompareConfig":
        for key in ("seeds", "rate_factors"):
            values = getattr(self, key)
            if len(set(values)) < len(values):
                raise ValueError(f"{key} names a value twice — leave one out")
        for name in self.contenders:
            if not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
                raise ValueError(
                    f'contenders has "{name}", which becomes the name of a folder'
                    " — use letters, digits, dots and dashes"
                )
        if self.against is not None and self.against not in self.contenders:
            raise ValueError(
                f'against "{self.against}" is none of the contenders'
                f" — choose one of {', '.join(self.contenders)}"
            )
        return self

    @property
    def yardstick(self) -> str:
        """The contender that the others are compared with."""
        return self.against or (
            "full" if "full" in self.contenders else next(iter(self.contenders))
        )


class CompareRecipe(FinetuneRecipe):
    """A recipe of ``lowkey finetune`` with a section of its own for the comparison.

    Attributes:
        compare: What is compared.
    """

    compare: CompareConfig = CompareConfig()

    @model_validator(mode="after")
    def _contenders_fit(self) -> "CompareRecipe":
        if self.data.test is None:
            raise ValueError(
                "data.test is not set: rows that chose the learning rate cannot say how good it is"
                " — name a file of other rows"
            )
        if self.task == "mlm":
            raise ValueError("task mlm has no labels to compare methods by — choose another task")
        return self
