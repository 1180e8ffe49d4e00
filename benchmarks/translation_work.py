"""What ``translation_step`` compares: the pairs, and the proof that both sides do the same."""

import math
from collections.abc import Sequence

import numpy as np

from benchmarks.ceiling import Product
from benchmarks.clock import Cost
from benchmarks.our_trainer import run_ours, train_config
from benchmarks.side_by_side import Window
from benchmarks.translation_rival import Rival
from lowkey.data.batching import plan_batches
from lowkey.data.flat import FlatSequences
from lowkey.data.pairs import PairExamples
from lowkey.models.config import TransformerConfig
from lowkey.models.transformer import Transformer
from lowkey.nn.dropout import Dropout
from lowkey.training.loss import label_smoothed_cross_entropy
from lowkey.training.objective import StepLoss

OPTIMIZER = {"learning_rate": 5e-4, "weight_decay": 0.0, "adam_beta2": 0.98, "max_grad_norm": 1.0}
SMOOTHING = 0.1
_CORPUS = 12_000  # pairs that batches of like lengths are planned from
_BEGIN, _END = 1, 2


def make_windows(
    config: TransformerConfig, steps: int, repeats: int, batch_tokens: int, corpus: int = _CORPUS
) -> tuple[PairExamples, dict[str, Sequence[Window]]]:
    """Draws pairs with the lengths of a translation corpus, and two plans of batches.

    Args:
        config: Where the vocabularies come from.
        steps: Steps of a window, after one that warms up.
        repeats: Windows of each plan.
        batch_tokens: Source and target tokens of a batch.
        corpus: Number of pairs.

    Returns:
        The pairs, and for each plan a window per repeat.
    """
    rng = np.random.default_rng(20_26)
    source = np.exp(rng.normal(math.log(20), 0.6, corpus)).round().clip(2, 100)
    # German needs about as many pieces as English, give or take a fifth.
    target = (source * np.exp(rng.normal(0.05, 0.2, corpus))).round().clip(2, 120)
    sources = _draw(rng, source, config.source_vocab_size)
    targets = _draw(rng, target, config.target_vocab_size)
    pairs = PairExamples(
        sources.with_end(_END), targets.with_begin(_BEGIN), targets.with_end(_END), num_truncated=0
    )
    lengths = pairs.lengths
    bucketed = plan_batches(lengths, seed=0, epoch=0, batch_tokens=batch_tokens)
    size = max(1, round(batch_tokens / lengths.mean()))
    mixed = np.split(rng.permutation(corpus), range(size, corpus, size))
    count = steps + 1
    plans: dict[str, Sequence[Window]] = {}
    for name, batches in (("mixed", [b.tolist() for b in mixed]), ("bucketed", bucketed)):
        if len(batches) < count * repeats:
            raise ValueError(f"{corpus} pairs are too few for {repeats} windows of {count} batches")
        plans[name] = [
            _window(batches[repeat * count : (repeat + 1) * count], lengths)
            for repeat in range(repeats)
        ]
    return pairs, plans


def _draw(rng: np.random.Generator, lengths: np.ndarray, vocab_size: int) -> FlatSequences:
    lengths = lengths.astype(np.int64)
    return FlatSequences(rng.integers(_END + 1, vocab_size, int(lengths.sum())), lengths)


def _window(batches: Sequence[Sequence[int]], lengths: np.ndarray) -> Window:
    counted = np.concatenate(batches[1:])
    return Window(batches, len(counted), int(lengths[counted].sum()))


def train_ours(model: Transformer, pairs: PairExamples, window: Window) -> Cost:
    """Trains our model on a window.

    Args:
        model: The model.
        pairs: All pairs.
        window: The batches.

    Returns:
        What the steps cost.
    """

    def loss(ids: Sequence[int]) -> StepLoss:
        batch = pairs.batch(ids)
        logits = model(
            batch.source_ids, batch.source_layout, batch.target_input_ids, batch.target_layout
        )
        loss, nll = label_smoothed_cross_entropy(logits, batch.target_labels, SMOOTHING)
        targets = batch.target_layout.num_tokens
        return StepLoss(
            loss, targets, targets + batch.source_layout.num_tokens, {"nll": float(nll)}
        )

    return run_ours(model, window, loss, train_config(window, **OPTIMIZER))


def assert_equal_work(model: Transformer, rival: Rival) -> None:
    """Asserts that both sides train as many parameters with the same dropouts and clipping.

    Args:
        model: Our model.
        rival: The other side.

    Raises:
        AssertionError: If anything of it differs.
    """
    ours = sorted(p.numel() for p in model.parameters() if p.requires_grad)
    # torch keeps query, key and value in one matrix and adds a normalisation after each stack.
    if sum(ours) != rival.num_trained - rival.num_final_norms:
        raise AssertionError(f"{sum(ours)} parameters against {rival.num_trained}")
    rates: dict[str, set[float]] = {"attention": set(), "hidden": set()}
    for name, module in model.named_modules():
        # Neither side drops inside the feed-forward network; ours could.
        inner = name.endswith("feed_forward.dropout") and not module.p
        if isinstance(module, Dropout) and not inner:
            place = "attention" if name.endswith("attention.dropout") else "hidden"
            rates[place].add(module.p)
    if rates != rival.dropouts:
        raise AssertionError(f"dropouts differ: {rates} and {rival.dropouts}")
    if not rival.max_grad_norm == OPTIMIZER["max_grad_norm"] > 0:
        raise AssertionError(f"gradients are clipped at {rival.max_grad_norm} by the rival")


def products_of(config: TransformerConfig) -> list[Product]:
    """Lists the linear maps of a Transformer, as if every token passed half of both stacks.

    Args:
        config: Its sizes.

    Returns:
        The maps; half of the tokens are source and meet the encoder, half target and the decoder.
    """
    width, inner = config.d_model, config.d_ff
    encoder, decoder = config.num_encoder_layers, config.num_decoder_layers
    # Query and out of cross-attention see the target, key and value the source.
    square = (4 * encoder + 8 * decoder) / 2
    return [
        Product(width, width, square, trained=True),
        Product(width, inner, (encoder + decoder) / 2, trained=True),
        Product(inner, width, (encoder + decoder) / 2, trained=True),
        Product(width, config.target_vocab_size, 0.5, trained=True),
    ]


def describe(lengths: np.ndarray) -> dict[str, float]:
    """Sums up lengths, for the reader.

    Args:
        lengths: Tokens of each text.

    Returns:
        Shortest, median, mean and longest.
    """
    return {
        "shortest": int(lengths.min()),
        "median": float(np.median(lengths)),
        "mean": round(float(lengths.mean()), 1),
        "longest": int(lengths.max()),
    }
