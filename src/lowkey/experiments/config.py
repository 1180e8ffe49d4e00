"""What a recipe holds: the configs of the rooms, composed. Knows no torch."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lowkey.config import Config
from lowkey.data.config import DataConfig, MaskingConfig, TokenizerConfig
from lowkey.decoding.config import DecodeConfig
from lowkey.experiments.defaults import defaults_for, filled_in
from lowkey.experiments.encoder_config import BaseModel, EncoderTraining, refuse_impossible
from lowkey.experiments.streaming import refuse_endless
from lowkey.lora.config import LoRAConfig
from lowkey.models.sizes import TransformerSizes
from lowkey.tracking.config import TrackerName
from lowkey.training.config import TrainConfig

Task = Literal["auto", "classify", "pair", "multilabel", "regress", "tag", "answer", "mlm"]
Method = Literal["lora", "full", "head", "bitfit"]


class Tokenizers(Config):
    """The tokenizers of both sides.

    Attributes:
        source: Tokenizer of the sources.
        target: Tokenizer of the targets.
        joint: Whether one tokenizer serves both sides, and one embedding table if
            ``model.share_embeddings`` does not forbid it; ``source`` says how it is trained.
    """

    source: TokenizerConfig = TokenizerConfig()
    target: TokenizerConfig = TokenizerConfig()
    joint: bool = False

    @model_validator(mode="after")
    def _one_if_joint(self) -> "Tokenizers":
        if self.joint and self.target not in (TokenizerConfig(), self.source):
            raise ValueError(
                "target differs from source, but joint: true makes one tokenizer of both, as source"
                " says — delete target, or set joint: false"
            )
        return self


class TranslationLoRA(LoRAConfig):
    """How a Transformer is adapted: no module is trained whole, there is no new head.

    Attributes:
        target_modules: A preset (qv, attention, feed-forward, all-linear), or names of linear maps.
        modules_to_save: Stays empty.
    """

    target_modules: str | list[str] = "qv"
    modules_to_save: list[str] = Field(default=[], max_length=0)


class TranslationRecipe(Config):
    """What ``lowkey train`` reads: a Transformer, new or trained already, on pairs of texts.

    Attributes:
        data: Where the pairs are.
        start_from: A Marian folder, a run or a bundle whose weights and tokenizers to start with;
            None begins with random weights.
        method: "scratch" without ``start_from``; with it "full" trains all weights on, and "lora"
            low-rank updates beside them.
        lora: How to adapt the model, for the method lora.
        tokenizer: How texts become tokens.
        model: Sizes of the Transformer.
        train: How it is trained.
        decode: How it is scored and used.
        metrics: Scores of decoded texts: "words" counts whole outputs that equal no allowed target
            and wrong tokens (pronunciation, spelling), "text" is BLEU, chrF and, for the final
            score, TER.
        decoded_rows: Validation rows decoded at each evaluation, spread over the set.
        track: Where numbers go; jsonl always.
    """

    data: DataConfig
    start_from: str | None = None
    method: Literal["scratch", "full", "lora"] = "scratch"
    lora: TranslationLoRA = TranslationLoRA()
    tokenizer: Tokenizers = Tokenizers()
    model: TransformerSizes = TransformerSizes()
    train: TrainConfig = TrainConfig()
    decode: DecodeConfig = DecodeConfig()
    metrics: Literal["words", "text"] = "text"
    decoded_rows: Annotated[int, Field(ge=1)] = 200
    track: list[TrackerName] = Field(default=["jsonl", "tensorboard"])

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_a_start(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("start_from") is None:
            return values
        values = {"method": "full", **values}
        # Of what is known of encoders, the rates hold here too: the weights are trained already.
        rate = defaults_for(str(values["method"])).get("train.learning_rate")
        return filled_in(values, [rate] if rate else [])

    @model_validator(mode="after")
    def _start_fits_method(self) -> "TranslationRecipe":
        if self.method == "scratch" and self.start_from is not None:
            raise ValueError(
                "method scratch begins with random weights"
                " — leave out start_from, or set method to full or lora"
            )
        if self.method != "scratch" and self.start_from is None:
            raise ValueError(
                f"method {self.method} needs weights to start with — set start_from to a folder"
            )
        return self

    @model_validator(mode="after")
    def _data_is_named(self) -> "TranslationRecipe":
        refuse_missing_data(self.data)
        for key in ("head_learning_rate", "layer_decay"):
            if getattr(self.train, key) not in (None, 1.0):
                raise ValueError(
                    f"train.{key} is for encoders, with lowkey finetune — leave it out"
                )
        if self.data.train_rows is not None:
            raise ValueError(
                "data.train_rows is for lowkey finetune; lowkey train has data.limit — leave it out"
            )
        if self.data.streaming:
            refuse_endless(self.data, self.train)
        has_limit = self.start_from is not None or self.model.positions == "learned"
        if self.data.truncate and not self.data.max_length and not has_limit:
            raise ValueError(
                "data.truncate is true, but there is no data.max_length to cut at — set it"
            )
        return self

    @model_validator(mode="after")
    def _one_table_needs_one_vocabulary(self) -> "TranslationRecipe":
        if self.model.share_embeddings and not self.tokenizer.joint:
            raise ValueError(
                "model.share_embeddings is true, but source and target have a tokenizer each"
                " — set tokenizer.joint to true"
            )
        return self


class FinetuneRecipe(Config):
    """What ``lowkey finetune`` reads: a pretrained encoder on the user's task.

    Attributes:
        task: What to learn; auto looks at the columns of texts and prints its choice, "tag" learns
            a tag for each word, "answer" to find the answers to questions in texts, and "mlm" the
            tokens that are masked in raw text.
        method: "lora" trains low-rank updates and the head, "full" everything, "head" the head,
            "bitfit" all biases and the head (Ben Zaken et al., 2022).
        data: Where the rows are.
        model: The pretrained encoder.
        lora: How to adapt it, for the method lora.
        mlm: Which tokens are masked, for the task mlm.
        train: How to train; what the recipe does not say, ``lowkey.experiments.defaults`` does.
        calibrate: Whether a temperature, and thresholds where labels are yes or no, are fitted on
            the validation rows when the training is over.
        track: Where numbers go; jsonl always.
    """

    task: Task = "auto"
    method: Method = "lora"
    data: DataConfig
    model: BaseModel
    lora: LoRAConfig = LoRAConfig()
    mlm: MaskingConfig = MaskingConfig()
    train: EncoderTraining = EncoderTraining()
    calibrate: bool = False
    track: list[TrackerName] = Field(default=["jsonl", "tensorboard"])

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_finetuning(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        method = str(values.get("method", "lora"))
        return filled_in(values, defaults_for(method).values())

    @model_validator(mode="after")
    def _possible(self) -> "FinetuneRecipe":
        refuse_missing_data(self.data)
        if self.data.streaming:
            raise ValueError(
                "data.streaming is for lowkey train; lowkey finetune reads its rows whole"
                " — set it to false"
            )
        if self.data.memory_map is True:
            raise ValueError(
                "data.memory_map is for lowkey train; lowkey finetune holds its rows in memory"
                " — leave it at auto"
            )
        refuse_impossible(self.task, self.data, self.model)
        if (self.task, self.method) == ("mlm", "lora") and self.train.head_learning_rate:
            raise ValueError(
                "train.head_learning_rate is for heads that are trained, and by LoRA that of task"
                " mlm is not — leave it out"
            )
        if self.model.pooling != "auto" and (self.method, self.lora.bias) == ("lora", "all"):
            raise ValueError(
                f"lora.bias all takes in the head's, which with model.pooling {self.model.pooling}"
                " stands outside the adapter — set it to lora_only"
            )
        return self


def refuse_missing_data(data: DataConfig) -> None:
    """Refuses a recipe that has nothing to train on.

    Args:
        data: The section of the recipe.

    Raises:
        ValueError: If there is no training source.
    """
    if data.train is None:
        raise ValueError(
            "data names no train source — set data.train to a file, folder or Hub name"
        )
