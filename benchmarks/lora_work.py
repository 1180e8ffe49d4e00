"""What ``lora_step`` compares: the sentences, our model, and that both sides do the same."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.ceiling import Product
from benchmarks.clock import Cost
from benchmarks.lora_rival import Rival, dropout_place
from benchmarks.our_trainer import run_ours, train_config
from benchmarks.side_by_side import Window
from lowkey.data.flat import FlatSequences
from lowkey.data.labelled import LabelledExamples
from lowkey.hf.bert_names import BERT_NAMES
from lowkey.lora.config import LoRAConfig
from lowkey.lora.inject import inject
from lowkey.models.config import EncoderConfig
from lowkey.models.encoder import Encoder
from lowkey.models.heads import SequenceClassifier
from lowkey.nn.dropout import Dropout
from lowkey.training.config import TrainConfig
from lowkey.training.objective import StepLoss

LORA = LoRAConfig(r=8, lora_alpha=16, lora_dropout=0.1, target_modules="qv")
OPTIMIZER = {"learning_rate": 5e-5, "weight_decay": 0.0, "max_grad_norm": 1.0}
_OPTIONS = (
    *OPTIMIZER,
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "lr_scheduler_type",
    "warmup_steps",
    "label_smoothing_factor",
)
GROUPED_FROM = 50  # batches that are sorted by length together, as transformers' sampler does


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        steps: Steps of a window, after one that warms up.
        repeats: Windows of each plan.
        batch_size: Sentences in a batch.
        longest: Most tokens of a sentence.
    """

    steps: int
    repeats: int
    batch_size: int = 32
    longest: int = 128


def make_windows(
    scale: Scale, vocab_size: int
) -> tuple[LabelledExamples, dict[str, Sequence[Window]]]:
    """Draws sentences whose lengths are lognormal with a median of 25, and two plans of batches.

    Args:
        scale: How much.
        vocab_size: Number of tokens; a sentence never contains the first 1000 of a BERT's.

    Returns:
        The sentences, and for each plan a window per repeat.
    """
    rng = np.random.default_rng(20_25)
    size, count = scale.batch_size, scale.steps + 1
    per_repeat = size * (count + GROUPED_FROM)
    total = per_repeat * scale.repeats
    lengths = np.exp(rng.normal(math.log(25), 0.6, total)).round().clip(4, scale.longest)
    lengths = lengths.astype(np.int64)
    values = rng.integers(min(1000, vocab_size // 2), vocab_size, int(lengths.sum()))
    labels = rng.integers(0, 2, total)
    examples = LabelledExamples(FlatSequences(values, lengths), None, labels)
    mixed, grouped = [], []
    for repeat in range(scale.repeats):
        ids = np.arange(repeat * per_repeat, (repeat + 1) * per_repeat)
        mixed.append(_window(np.split(ids[: size * count], count), lengths))
        pool = ids[size * count :]
        batches = np.split(pool[np.argsort(lengths[pool], kind="stable")], GROUPED_FROM)
        # Evenly spaced from a random start: short and long batches in their true proportion.
        spaced = (np.arange(scale.steps) + rng.random()) * GROUPED_FROM / scale.steps
        chosen = [batches[int(i)] for i in rng.permutation(spaced)]
        grouped.append(_window([batches[GROUPED_FROM // 2], *chosen], lengths))
    return examples, {"mixed": mixed, "grouped": grouped}


def _window(batches: Sequence[np.ndarray], lengths: np.ndarray) -> Window:
    counted = np.concatenate(batches[1:])
    plans = [batch.tolist() for batch in batches]
    return Window(plans, len(counted), int(lengths[counted].sum()))


def our_model(rival: Rival, config: EncoderConfig, dtype: torch.dtype) -> SequenceClassifier:
    """Makes our model with the rival's weights, adapted.

    Args:
        rival: Where the weights come from.
        config: Sizes.
        dtype: Precision of the frozen weights and of the activations.

    Returns:
        The model, ready to train.
    """
    model = SequenceClassifier(Encoder(config), 2, dropout=0.1)
    state = {BERT_NAMES.ours(name): tensor for name, tensor in rival.base_state.items()}
    model.load_state_dict(state)
    inject(model, LORA, torch.Generator().manual_seed(1))
    for parameter in model.parameters():
        if not parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)
    return model.compute_in(dtype).train()


def train_ours(model: SequenceClassifier, examples: LabelledExamples, window: Window) -> Cost:
    """Trains our model on a window.

    Args:
        model: The model.
        examples: All sentences.
        window: The batches.

    Returns:
        What the steps cost.
    """

    def loss(ids: Sequence[int]) -> StepLoss:
        batch = examples.batch(ids)
        logits = model(batch.input_ids, batch.layout)
        loss = F.cross_entropy(logits, batch.labels, reduction="sum")
        accuracy = float((logits.argmax(1) == batch.labels).sum())
        return StepLoss(loss, len(ids), batch.layout.num_tokens, {"accuracy": accuracy})

    return run_ours(model, window, loss, train_config(window, **OPTIMIZER))


def assert_equal_work(model: SequenceClassifier, rival: Rival) -> None:
    """Asserts that both sides train the same parameters, with the same dropouts and optimizer.

    Args:
        model: Our model.
        rival: The other side.

    Raises:
        AssertionError: If anything of it differs.
    """
    ours = {n: tuple(p.shape) for n, p in model.named_parameters() if p.requires_grad}
    theirs = {BERT_NAMES.ours(name): shape for name, shape in rival.trained.items()}
    if ours != theirs:
        odd = set(ours.items()) ^ set(theirs.items())
        raise AssertionError(f"trained parameters differ: {odd}")
    rates: dict[str, set[float]] = {}
    for name, module in model.named_modules():
        # Neither side drops inside the feed-forward network; ours could.
        inner = name.endswith("feed_forward.dropout") and not module.p
        if isinstance(module, Dropout) and not inner:
            if not module.training:
                raise AssertionError(f"{name} does not drop anything")
            rates.setdefault(dropout_place(name), set()).add(module.p)
    if rates != rival.dropouts:
        raise AssertionError(f"dropouts differ: {rates} and {rival.dropouts}")
    arguments = rival.arguments(bf16=False, steps=1)
    config = TrainConfig(**OPTIMIZER)
    for option in _OPTIONS:
        ours, theirs = getattr(config, option), getattr(arguments, option)
        if ours != theirs:
            raise AssertionError(f"{option} is {ours} here and {theirs} there")
    if not config.max_grad_norm > 0:
        raise AssertionError("gradients are not clipped")


def assert_equal_answers(
    model: SequenceClassifier, rival: Rival, examples: LabelledExamples
) -> None:
    """Asserts that both models compute the same function, dropout aside.

    Args:
        model: Our model, in fp32.
        rival: The other side.
        examples: Sentences; the first four are tried.

    Raises:
        AssertionError: If the logits differ by more than rounding.
    """
    ids = range(4)
    batch = examples.batch(ids)
    model.eval()
    with torch.no_grad():
        ours, theirs = model(batch.input_ids, batch.layout), rival.logits(ids)
    model.train()
    # Relative: fresh weights give small logits.
    difference = float((ours - theirs).abs().max() / theirs.abs().max())
    if not difference < 1e-3:
        raise AssertionError(f"logits differ by {difference:.2%}")


def products_of(config: EncoderConfig) -> list[Product]:
    """Lists the frozen linear maps of an encoder.

    Args:
        config: Its sizes.

    Returns:
        The maps of all layers; none has a gradient of its own.
    """
    width, inner, layers = config.d_model, config.d_ff, config.num_layers
    return [
        Product(width, width, 4 * layers, trained=False),
        Product(width, inner, layers, trained=False),
        Product(inner, width, layers, trained=False),
    ]


def describe(lengths: Sequence[int] | np.ndarray) -> dict[str, float]:
    """Sums up lengths, for the reader.

    Args:
        lengths: Tokens of each text.

    Returns:
        Shortest, median, mean and longest.
    """
    return {
        "shortest": int(np.min(lengths)),
        "median": float(np.median(lengths)),
        "mean": round(float(np.mean(lengths)), 1),
        "longest": int(np.max(lengths)),
    }
