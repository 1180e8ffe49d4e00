"""How ``lowkey spectrum``, ``rerank`` and ``extract`` tell ranks and shares to people."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lowkey.errors import escaped

_NAMED = 3


def spectrum_in_words(found: Mapping[str, Any]) -> str:
    """Writes one line for each module, and one for each rank that all of them could have.

    Args:
        found: What ``spectrum`` returned.

    Returns:
        The lines.
    """
    modules = found["modules"]
    shares = list(modules[0]["needed"])
    needs = [f"{_percent(float(share), 0)} in" for share in shares]
    rows = [["module", "norm", "of W", "effective rank", *needs]]
    for one in modules:
        of_weight = "-" if one["of_weight"] is None else _percent(one["of_weight"])
        effective = f"{one['effective_rank']:.1f} of {one['rank']}"
        needed = [str(one["needed"][share]) for share in shares]
        rows.append([escaped(one["name"]), f"{one['norm']:.3g}", of_weight, effective, *needed])
    kind = "updates" if found["method"] == "lora" else "differences from the base"
    lines = [*_table(rows), "", f"one rank for all {len(modules)} {kind} would keep"]
    for one in found["ranks"]:
        least = f"at least {_percent(one['least'])} of each"
        lines.append(f"  rank {one['rank']}: {_percent(one['kept'])} of the whole, {least}")
    return "\n".join(lines)


def rerank_in_words(found: Mapping[str, Any]) -> str:
    """Says what a smaller rank keeps and what it costs.

    Args:
        found: What ``rerank`` returned.

    Returns:
        The lines.
    """
    out = escaped(found["out"])
    kept = f"keeps {_percent(found['kept'])} of all updates and at least"
    change = "stays" if found["rank"] == found["old_rank"] else f"becomes {found['rank']}"
    first = f"{out}: rank {found['old_rank']} {change}, which {kept}"
    return "\n".join([f"{first} {_percent(found['least'])} of each", *_scores(found)])


def extract_in_words(found: Mapping[str, Any]) -> str:
    """Says what of a full fine-tune an adapter holds, and what it cannot hold.

    Args:
        found: What ``extract`` returned.

    Returns:
        The lines.
    """
    modules, base = found["modules"], escaped(found["base"])
    rows = [["module", "norm", "kept"]]
    rows += [[escaped(m["name"]), f"{m['norm']:.3g}", _percent(m["kept"])] for m in modules]
    return "\n".join(
        [
            *_table(rows),
            "",
            f"{escaped(found['out'])}: an adapter of rank {found['rank']} for {base}; it keeps"
            f" {_percent(found['kept'])} of what changed in {len(modules)} linear maps, and at"
            f" least {_percent(found['least'])} of each",
            f"carried whole: {', '.join(found['carried_whole']) or 'nothing'}",
            *_left_behind(found["not_carried"]),
            *_scores(found),
        ]
    )


def _left_behind(parameters: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Names what an adapter has no place for, kind by kind, the largest changes first."""
    if not parameters:
        yield "nothing else changed"
        return
    total = _percent(sum(one["share"] for one in parameters))
    yield f"not carried: {len(parameters)} parameters, {total} of the whole change"
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for one in parameters:
        kinds.setdefault(_kind(one["name"]), []).append(one)
    for kind, members in kinds.items():
        share = _percent(sum(one["share"] for one in members))
        names = [f"{escaped(m['name'])} {_percent(m['share'])}" for m in members[:_NAMED]]
        more = len(members) - len(names)
        rest = f", and {more} more (--json names all)" if more else ""
        yield f"  {kind} {share}: {', '.join(names)}{rest}"


def _kind(name: str) -> str:
    if "embeddings." in name:
        return "embeddings"
    if "norm." in name:
        return "norms"
    return "biases" if name.endswith("bias") else "other weights"


def _scores(found: Mapping[str, Any]) -> Iterator[str]:
    if found["not_scored"]:
        yield f"not scored: {escaped(found['not_scored'])}"
    for split, metrics in found["scores"].items():
        for name, score in metrics.items():
            before, after = (_number(score[when]["value"]) for when in ("before", "after"))
            yield f"{split} {name}: {before} before, {after} after"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _percent(share: float, digits: int = 1) -> str:
    """Rounds down: 99.97 % is not all of it. What float arithmetic lacks of a digit is given."""
    steps = 100 * 10**digits
    return f"{100 * math.floor(share * steps + 1e-6) / steps:.{digits}f} %"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Sets columns: names to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True)]
        yield "  ".join([f"{first:{widths[0]}}", *cells])
