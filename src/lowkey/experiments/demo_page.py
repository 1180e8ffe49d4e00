"""The page that the demo ends with."""

from collections.abc import Mapping
from pathlib import Path

from lowkey.experiments.baseline import Baseline
from lowkey.metrics.intervals import Score
from lowkey.pipelines.bundle import Facts
from lowkey.reports.curves import panels, read_curves
from lowkey.reports.figures import png, svg
from lowkey.reports.heatmaps import attention
from lowkey.reports.plots import learning_curves, scores
from lowkey.reports.report import (
    Block,
    Cell,
    Code,
    Column,
    Headline,
    Headlines,
    Picture,
    Report,
    Section,
    Table,
    Text,
)
from lowkey.run_folder import RunFolder

WORD = "a t t e n t i o n"
NAMES = {"lora": "LoRA", "full": "Full fine-tuning", "head": "Head only"}
BASELINE = "TF-IDF + logistic regression"


def demo_report(
    pronounce: Path, encoders: Mapping[str, Path], baseline: Baseline, baseline_mib: float
) -> Report:
    """Lays out what came of the demo.

    Args:
        pronounce: Run of the Transformer.
        encoders: Run of each method of fine-tuning.
        baseline: The baseline.
        baseline_mib: Its peak memory.

    Returns:
        The report.
    """
    facts = {method: Facts.read(run / "best") for method, run in encoders.items()}
    spoken = Facts.read(pronounce / "best")
    machine = ", ".join(f"{k} {v}" for k, v in spoken.environment.items())
    return Report(
        title="lowkey demo",
        subtitle="A Transformer trained from scratch, and a BERT adapted: what they learned and"
        " what it cost",
        sections=[
            _pronunciation(pronounce, spoken),
            _sentiment(encoders, facts, baseline, baseline_mib),
            Section(
                "What to type next",
                "Both models are files in their run folders.",
                [
                    Code(
                        f'lowkey predict {pronounce} "{WORD}"\n'
                        f'lowkey predict {encoders["lora"]} "I would watch it again tonight."\n'
                        f'lowkey attention {pronounce} "{WORD}" --out attention.html\n'
                        "lowkey init classify",
                        "The last line writes a recipe for texts of your own.",
                    ),
                    Text(f"Measured on: {machine}.", note=True),
                ],
            ),
        ],
    )


def _score(facts: Facts, name: str) -> Score:
    metric = facts.metrics[name]
    numbers = [metric[key] for key in ("value", "low", "high")]
    value, low, high = (float(x) if isinstance(x, int | float) else float("nan") for x in numbers)
    count = metric.get("n")
    return Score(value, low, high, count if isinstance(count, int) else 0)


def _pronunciation(run: Path, facts: Facts) -> Section:
    counts = facts.counts
    blocks: list[Block] = [
        Headlines(
            [
                Headline("Wrong words", _score(facts, "word_error_rate"), "share", "of all words"),
                Headline("Wrong sounds", _score(facts, "token_error_rate"), "share", "of phonemes"),
                Headline("Parameters", counts["parameters"], "count", "all trained from scratch"),
                Headline("Training", counts["training_seconds"], "seconds", "of this machine"),
            ]
        ),
        Table(
            [
                *(Column(name, code=True) for name in ("Letters", "Truth", "The model says")),
                Column(""),
            ],
            [
                [sample["source"], sample["target"], sample["prediction"], sample["correct"]]
                for sample in facts.samples
            ],
            "Twenty words it never saw, spread evenly over the test set.",
        ),
        _cross_attention(run),
        _curves({"Transformer": run}, ("train/nll", "eval/nll", "eval/word_error_rate")),
    ]
    rows = int(counts.get("test_rows", 0))
    return Section(
        "A Transformer from scratch learns to pronounce",
        f"Letters in, phonemes out: the CMU Pronouncing Dictionary without stress marks, {rows:,}"
        " held-out words, none of them in the training set. A word is right if it equals any"
        " pronunciation that the dictionary lists. Intervals are 95 %.",
        blocks,
    )


def _cross_attention(run: Path) -> Picture:
    """Draws where the last decoder block looks while it writes one word."""
    from lowkey.experiments.attention import attention_of
    from lowkey.pipelines.load import load

    maps = [m for m in attention_of(load(run), WORD) if m.name.endswith("cross_attention")]
    return Picture(
        png(attention(maps[-1:])),
        "Heat map: each written phoneme against the letters it attends to",
        "Cross-attention of the last decoder block, one panel per head: rows are the phonemes it"
        " writes, columns the letters it looks at. Nobody told it which letters make which sound.",
    )


def _curves(runs: Mapping[str, Path], names: tuple[str, ...]) -> Picture:
    curves = {
        title: [c for c in read_curves(RunFolder(run).metrics_file) if c.name in names]
        for title, run in runs.items()
    }
    return Picture(
        svg(learning_curves(panels(curves))), "Learning curves", "Learning curves, by step."
    )


def _sentiment(
    encoders: Mapping[str, Path],
    facts: Mapping[str, Facts],
    baseline: Baseline,
    baseline_mib: float,
) -> Section:
    columns = [
        Column("Method"),
        Column("Accuracy", "share", "highest"),
        Column("Trained", "count"),
        Column("… without head", "count"),
        Column("Training", "seconds", "lowest"),
        Column("Peak memory", "mebibytes", "lowest"),
        Column("On disk", "bytes", "lowest"),
    ]
    rows: list[list[Cell]] = []
    for method, fact in facts.items():
        c = fact.counts
        trained, bare = c["trainable_parameters"], c["trainable_parameters_without_head"]
        costs = [c["training_seconds"], c["peak_memory_mib"], c["disk_bytes"]]
        rows.append([NAMES[method], _score(fact, "accuracy"), trained, bare, *costs])
    costs = [baseline.seconds, baseline_mib, baseline.disk_bytes]
    rows.append([BASELINE, baseline.scores["accuracy"], baseline.parameters, None, *costs])
    dots = [(str(row[0]), row[1]) for row in rows if isinstance(row[1], Score)]
    some = facts["lora"]
    return Section(
        "A pretrained BERT learns sentiment",
        f"{int(some.counts['train_rows']):,} sentences from reviews of products, films and"
        f" restaurants, {int(some.counts['test_rows']):,} others to test. The three methods share"
        " base, seed, batches and loop; the base is a MiniLM of six layers.",
        [
            Table(
                columns,
                rows,
                "One seed. Memory is the peak of a process that did nothing else. On disk: what a"
                " method adds to the base model (tokenizer included); full fine-tuning stores the"
                " whole model again.",
            ),
            Picture(svg(scores(dots)), "Accuracy with intervals", "Accuracy on the test rows."),
            _curves(
                {NAMES[m]: run for m, run in encoders.items()}, ("train/loss", "eval/accuracy")
            ),
            Text(
                "Where intervals overlap, this test set does not tell the methods apart.",
                note=True,
            ),
        ],
    )
