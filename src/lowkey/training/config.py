"""The keys of a recipe under ``train``; named as in the Trainer of transformers."""

from typing import Annotated, Literal

from pydantic import Field

from lowkey.config import Config

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]


class TrainConfig(Config):
    """How a model is trained.

    Attributes:
        learning_rate: The rate at the peak of the schedule.
        head_learning_rate: That of the head of an encoder; None: the same.
        layer_decay: How much slower each block of an encoder learns than the one above it, and the
            embeddings than the lowest: a factor, such as 0.95; 1 lets all learn alike.
        lr_scheduler_type: How the rate moves after warm-up: ``linear`` and ``cosine`` fall to zero
            at the end of the run, ``noam`` (alias ``inverse_sqrt``) with the inverse square root of
            the step; ``constant`` (alias ``constant_with_warmup``) stays.
        warmup_steps: Steps until the peak; below 1, a share of the whole run.
        num_train_epochs: Passes over the data, unless ``max_steps`` says otherwise.
        max_steps: Number of updates of the weights; takes the place of ``num_train_epochs``.
        time_budget: Seconds after which the run ends by itself, with a linear or cosine schedule at
            rate zero. How far it comes depends on the machine: such a run cannot be repeated bit
            for bit.
        batch_tokens: Most tokens in one batch, unless ``per_device_train_batch_size`` is given.
        per_device_train_batch_size: Examples in one batch, whatever their length.
        gradient_accumulation_steps: Batches that make one update.
        max_grad_norm: Greatest norm of the gradient of the mean loss; 0 does not clip.
        weight_decay: Decoupled decay of matrices; biases and norms have none.
        adam_beta1: Decay of the mean of the gradients.
        adam_beta2: Decay of the mean of their squares.
        adam_epsilon: What keeps the quotient of the two finite.
        label_smoothing_factor: Share of the target spread over the whole vocabulary.
        ema_decay: How much of the running average of the weights stays at each step, such as
            0.999; it is the average that is evaluated and kept as the best. 0 keeps none.
        seed: Where all randomness of the run comes from.
        precision: Numbers the model computes with; ``auto`` takes bf16 where it is the faster one,
            by the clock and at each start: name one where a resumed run must have equal bits.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` ...
        threads: Processor threads; None leaves it to torch.
        logging_steps: Steps between two records of the training loss.
        eval_steps: Steps between two evaluations; None evaluates at the end of each epoch.
        save_steps: Steps between two checkpoints; None saves at the end of each epoch.
        save_total_limit: Checkpoints to keep.
        metric_for_best_model: The metric of the evaluation that picks the best weights; None for
            the usual one of the task.
        greater_is_better: Whether more of that metric is better; None knows it by its name.
        early_stopping_patience: Evaluations without a better metric that end the run.
    """

    learning_rate: float = Field(default=5e-4, gt=0)
    head_learning_rate: float | None = Field(default=None, gt=0)
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    lr_scheduler_type: Literal[
        "linear", "cosine", "constant", "constant_with_warmup", "noam", "inverse_sqrt"
    ] = "linear"
    warmup_steps: Annotated[int, Field(ge=0)] | Share = 0
    num_train_epochs: Count = 3
    max_steps: Count | None = None
    time_budget: float | None = Field(default=None, gt=0)
    batch_tokens: Count | None = 4096
    per_device_train_batch_size: Count | None = None
    gradient_accumulation_steps: Count = 1
    max_grad_norm: float = Field(default=1.0, ge=0)
    weight_decay: float = Field(default=0.0, ge=0)
    adam_beta1: Share = 0.9
    adam_beta2: Share = 0.999
    adam_epsilon: float = Field(default=1e-8, gt=0)
    label_smoothing_factor: Share = 0.0
    ema_decay: Share = 0.0
    seed: int = Field(default=42, ge=0)
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    device: str = "auto"
    threads: Count | None = None
    logging_steps: Count = 10
    eval_steps: Count | None = None
    save_steps: Count | None = None
    save_total_limit: Count = 2
    metric_for_best_model: str | None = None
    greater_is_better: bool | None = None
    early_stopping_patience: Count | None = None
