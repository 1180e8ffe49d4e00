"""Writes what the README says was measured, from the result files and nothing else.

    python -m benchmarks.summary

prints the block; a test holds the README to it.
"""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
_CPU, _WALL = "one core", "all cores"


def block() -> str:
    """Writes the block.

    Returns:
        Markdown.
    """
    lora, translation, demo = (_read(n) for n in ("lora_step", "translation_step", "demo"))
    lines = [
        f"On {lora['machine']['processor'].split(' (')[0]} with {lora['machine']['cores']} cores"
        f" ({', '.join(lora['machine']['features'])}), torch {lora['versions']['torch']}.",
        "Speed is the rival's time over ours on the same batches of the same run: CPU seconds on"
        " one core, and in brackets seconds on the wall on all cores.",
        "",
        "| one training step | ours | rival | times as fast |",
        "|---|---|---|---|",
        *_ratios("LoRA, BERT-base", lora),
        *_ratios("Transformer, 4+4 layers of 256", translation),
        "",
        _headroom(lora),
        "",
        f"`lowkey demo` took {demo['seconds'] / 60:.1f} minutes on"
        f" {demo['machine']['processor'].split(' (')[0]}, at commit"
        f" `{demo['commit'][:10]}`. Test scores with their 95 %"
        " intervals, one seed:",
        "",
        "| part | score | trained parameters | training | peak memory | on disk |",
        "|---|---|---|---|---|---|",
        *(_part(name, part) for name, part in demo["parts"].items()),
        *(f"\n{_job(name)}" for name in ("pronounce", "translate") if _exists(name)),
    ]
    return "\n".join(lines)


def _exists(name: str) -> bool:
    return (RESULTS / f"{name}.json").exists()


def _job(name: str) -> str:
    """Says in a sentence what a full training came to."""
    report = _read(name)
    counts, scores = report["counts"], report["metrics"]

    def told(metric: str, factor: float) -> str:
        value, low, high = (factor * scores[metric][key] for key in ("value", "low", "high"))
        return f"{value:.1f} ({low:.1f} to {high:.1f})"

    if name == "pronounce":
        what = (
            f"The full pronunciation job: {told('word_error_rate', 100)} % of the words and"
            f" {told('token_error_rate', 100)} % of the sounds wrong"
        )
    else:
        baselines = {one["name"]: one["metrics"] for one in report["baselines"]["systems"][1:]}
        beside = ", ".join(
            f"{key} {found['bleu']['value']:.1f}" for key, found in baselines.items()
        )
        what = f"English to German from scratch: BLEU {told('bleu', 1)}, beside {beside}"
    threads = report["environment"]["threads"]
    return (
        f"{what}, on {counts['test_rows']:,} test rows, after"
        f" {counts['training_seconds'] / 60:.0f} minutes of {threads}"
        f" thread{'s' if threads > 1 else ''} on {report['machine']['processor'].split(' (')[0]}:"
        f" [docs/results](docs/results/{name}.md)."
    )


def _read(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def _ratios(work: str, report: Any) -> list[str]:
    on_wall = {(r["ours"], r["rival"]): r["ratio"] for r in report["passes"][_WALL]["ratios"]}
    rows = []
    for ratio in report["passes"][_CPU]["ratios"]:
        ours, rival = ratio["ours"], ratio["rival"]
        wall = on_wall[ours, rival]
        sides = [f"{side} ({report['sides'][side]['precision']})" for side in (ours, rival)]
        rows.append(f"| {work} | {sides[0]} | {sides[1]} | {ratio['ratio']:.2f} ({wall:.2f}) |")
    return rows


def _headroom(report: Any) -> str:
    """Says how near both sides of the LoRA step are to what the processor can do."""
    sides = report["passes"][_CPU]["sides"]
    ours, rival = (sides[n]["share_of_ceiling"] for n in ("lowkey bf16, grouped", "tuned"))
    return (
        f"For LoRA the tuned rival already computes at {rival:.0%} of the speed of bare matrix"
        f" products, lowkey at {ours:.0%}; no program could be more than {1 / rival:.1f} times as"
        " fast as that rival here."
    )


def _part(name: str, part: Any) -> str:
    metric = "accuracy" if "accuracy" in part["metrics"] else "word_error_rate"
    score, counts = part["metrics"][metric], part["counts"]
    value, low, high = (f"{100 * score[key]:.1f}" for key in ("value", "low", "high"))
    trained = counts.get("trainable_parameters", counts["parameters"])
    return (
        f"| {name} | {metric} {value} % ({low} to {high}) | {trained:,} |"
        f" {counts['training_seconds']:.0f} s | {counts['peak_memory_mib']:.0f} MiB |"
        f" {counts['disk_bytes'] / 1e6:.1f} MB |"
    )


if __name__ == "__main__":
    print(block())
