"""What a recipe holds: the configs of the rooms, composed. Knows no torch."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lowkey.config import Config
from lowkey.data.config import DataConfig, TokenizerConfig
from lowkey.experiments.streaming import refuse_endless
from lowkey.lora.config import LoRAConfig
from lowkey.models.config import Activation, Count, Positions, Rate, Width, refuse_misfit
from lowkey.tracking.config import TrackerName
from lowkey.training.config import TrainConfig

Task = Literal["auto", "classify", "pair", "multilabel", "regress", "tag", "answer", "mlm"]
Method = Literal["lora", "full", "head"]

TASKS_TO_COME = ("multilabel", "tag", "answer", "mlm")
"""Tasks that a recipe may name already and that no version can train yet."""

LEARNING_RATES: dict[str, float] = {"lora": 5e-4, "full": 5e-5, "head": 1e-2}
"""What each method trains with where the recipe does not say: LoRA wants about ten times the rate
of full fine-tuning (Schulman et al., "LoRA Without Regret", 2025)."""


class TransformerSizes(Config):
    """The sizes of a Transformer trained from scratch; its vocabularies come from the tokenizers.

    Attributes:
        d_model: Width, in features.
        num_heads: Attention heads; a divisor of ``d_model``.
        num_encoder_layers: Number of encoder blocks.
        num_decoder_layers: Number of decoder blocks.
        d_ff: Width of the feed-forward networks.
        decoder_num_heads: Attention heads of the decoder; None: as many as the encoder's.
        decoder_d_ff: Width of the decoder's feed-forward networks; None: as the encoder's.
        norm: "post" (the paper) or "pre".
        positions: "sinusoidal" (the paper), "learned" or "rotary".
        max_positions: Longest sentence that learned positions can number.
        activation: Non-linearity of the feed-forward networks.
        gated: Whether a second map gates the feed-forward networks.
        dropout: Probability that one feature of a sub-layer's output is dropped.
        embedding_dropout: Probability that one feature of an embedding is dropped; None: as
            ``dropout``.
        attention_dropout: Probability that one attention weight is dropped.
        activation_dropout: Probability that one feature inside a feed-forward network is dropped.
        scale_embeddings: Whether embeddings are multiplied by the root of ``d_model``.
        tie_embeddings: Whether the target table is the output projection too.
    """

    d_model: Width = 256
    num_heads: Count = 4
    num_encoder_layers: Count = 4
    num_decoder_layers: Count = 4
    d_ff: Width = 1024
    decoder_num_heads: Count | None = None
    decoder_d_ff: Width | None = None
    norm: Literal["post", "pre"] = "post"
    positions: Positions = "sinusoidal"
    max_positions: Annotated[int, Field(ge=1, le=1_000_000)] = 512
    activation: Activation = "relu"
    gated: bool = False
    dropout: Rate = 0.1
    embedding_dropout: Rate | None = None
    attention_dropout: Rate = 0.1
    activation_dropout: Rate = 0.0
    scale_embeddings: bool = True
    tie_embeddings: bool = True

    @model_validator(mode="after")
    def _parts_fit(self) -> "TransformerSizes":
        refuse_misfit(self.d_model, self.num_heads, self.decoder_num_heads, self.positions)
        return self


class Tokenizers(Config):
    """The tokenizers of both sides.

    Attributes:
        source: Tokenizer of the sources.
        target: Tokenizer of the targets.
        joint: Whether one tokenizer and one embedding table serve both sides; ``source`` then says
            how it is trained.
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


class DecodeConfig(Config):
    """How sentences are decoded.

    Attributes:
        num_beams: Hypotheses kept for each sentence; 1 is greedy.
        length_penalty: Exponent of the length that a score is divided by.
        max_length: Most tokens of an output, the end token included.
    """

    num_beams: Annotated[int, Field(ge=1, le=256)] = 4
    length_penalty: Annotated[float, Field(ge=0, le=10)] = 1.0
    max_length: Annotated[int, Field(ge=1, le=100_000)] = 128


class TranslationRecipe(Config):
    """What ``lowkey train`` reads: a Transformer from scratch on pairs of texts.

    Attributes:
        data: Where the pairs are.
        tokenizer: How texts become tokens.
        model: Sizes of the Transformer.
        train: How it is trained.
        decode: How it is scored and used.
        metrics: Scores of decoded texts: "words" counts whole outputs that equal no allowed target
            and wrong tokens (pronunciation, spelling), "text" is BLEU and chrF.
        decoded_rows: Validation rows decoded at each evaluation, spread over the set.
        track: Where numbers go; jsonl always.
    """

    data: DataConfig
    tokenizer: Tokenizers = Tokenizers()
    model: TransformerSizes = TransformerSizes()
    train: TrainConfig = TrainConfig()
    decode: DecodeConfig = DecodeConfig()
    metrics: Literal["words", "text"] = "text"
    decoded_rows: Annotated[int, Field(ge=1)] = 200
    track: list[TrackerName] = Field(default=["jsonl", "tensorboard"])

    @model_validator(mode="after")
    def _data_is_named(self) -> "TranslationRecipe":
        refuse_missing_data(self.data)
        if self.data.streaming:
            refuse_endless(self.data, self.train)
        if self.data.truncate and not self.data.max_length and self.model.positions != "learned":
            raise ValueError(
                "data.truncate is true, but there is no data.max_length to cut at — set it"
            )
        return self


class BaseModel(Config):
    """The pretrained encoder.

    Attributes:
        path: A Hugging Face model folder, a Hub name, or ``package:NAME/FOLDER`` for a folder
            inside an installed Python package.
    """

    path: str


class FinetuneRecipe(Config):
    """What ``lowkey finetune`` reads: a pretrained encoder on the user's task.

    Attributes:
        task: What to learn; auto looks at the columns and prints its choice.
        method: "lora" trains low-rank updates and the head, "full" everything, "head" the head.
        data: Where the rows are.
        model: The pretrained encoder.
        lora: How to adapt it, for the method lora.
        train: How to train; ``learning_rate`` is 5e-4 for lora, 5e-5 for full and 1e-2 for head
            where the recipe does not say.
        track: Where numbers go; jsonl always.
    """

    task: Task = "auto"
    method: Method = "lora"
    data: DataConfig
    model: BaseModel
    lora: LoRAConfig = LoRAConfig()
    train: TrainConfig = TrainConfig()
    track: list[TrackerName] = Field(default=["jsonl", "tensorboard"])

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_finetuning(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("train", {}), dict):
            rate = LEARNING_RATES.get(str(values.get("method", "lora")))
            train = dict(values.get("train", {}))
            if rate is not None:
                train.setdefault("learning_rate", rate)
            if "batch_tokens" not in train:
                # Small batches, by examples: LoRA loses more than full fine-tuning when they grow.
                train.setdefault("per_device_train_batch_size", 32)
            train.setdefault("warmup_steps", 0.06)
            values = {**values, "train": train}
        return values

    @model_validator(mode="after")
    def _possible(self) -> "FinetuneRecipe":
        refuse_missing_data(self.data)
        if self.data.streaming:
            raise ValueError(
                "data.streaming is for lowkey train; lowkey finetune reads its rows whole"
                " — set it to false"
            )
        if self.task in TASKS_TO_COME:
            raise ValueError(
                f"task {self.task} is not there yet — this version trains classify, pair and"
                " regress; or leave it at auto"
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
