"""``lowkey compare``: what each method reaches and costs, with the same data, seeds and trials.

    recipe -> learning rates tried on validation rows -> seeds -> test rows, read once -> verdict

Every contender has as many trials as any other; the test rows are first read by the runs whose
learning rate is settled.
"""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lowkey.config import make_recipe
from lowkey.data.sources import read_rows
from lowkey.errors import ConfigError
from lowkey.experiments.answers import columns_of, measures_of, read_answers
from lowkey.experiments.child_runs import ChildRun, run_all
from lowkey.experiments.compare_config import CompareConfig, CompareRecipe
from lowkey.experiments.config import FinetuneRecipe
from lowkey.experiments.reached import contender, difference, plain, value_of
from lowkey.experiments.verdict import verdicts
from lowkey.files import write_json
from lowkey.metrics.measure import Measure
from lowkey.pipelines.bundle import Facts
from lowkey.reports.facts import lower_is_better
from lowkey.run_folder import RunFolder

RESULT_FILE = "comparison.json"
_TELLING = {
    "classification": "accuracy",
    "multilabel": "f1_micro",
    "regression": "pearson",
    "answering": "f1",
}


class Comparison:
    """The runs of one comparison, and what follows from them.

    Args:
        recipe: What to compare; see :func:`lowkey.config.load_recipe`.
        given: The same as it was written, without defaults: they depend on the method.
        out: The folder of the comparison.

    Raises:
        ConfigError: If a contender cannot be made of the recipe.
    """

    def __init__(self, recipe: CompareRecipe, given: Mapping[str, Any], out: Path):
        self.config: CompareConfig = recipe.compare
        self.recipe = recipe
        self.given = {key: value for key, value in given.items() if key != "compare"}
        self.out = out
        if "learning_rate" in (self.given.get("train") or {}):
            raise ConfigError(
                "train.learning_rate holds for all contenders, and each method wants its own",
                fix="leave it out, or set it in compare.contenders",
            )
        self.bases = {name: self._recipe(name, {}) for name in self.config.contenders}

    def run(self, *, jobs: int, say: Callable[[str], None]) -> dict[str, Any]:
        """Trains what is not trained yet, and compares.

        Args:
            jobs: How many trainings run at a time.
            say: Where a line for each goes.

        Returns:
            See :meth:`result`; it is written to the folder too.

        Raises:
            LowkeyError: If a training fails or is stopped, or a file cannot be written.
        """
        trials = {name: self._trials(name) for name in self.config.contenders}
        asked = [run for runs in zip(*trials.values(), strict=True) for run in runs]
        run_all(asked, jobs=jobs, say=say)
        rates = {name: self._best_rate(name, runs) for name, runs in trials.items()}
        runs = {name: self._seeds(name, rate) for name, rate in rates.items()}
        # By seed, so that what the machine does besides slows all contenders alike.
        asked = [run for group in zip(*runs.values(), strict=True) for run in group]
        run_all(asked, jobs=jobs, say=say)
        result = self.result(trials, runs)
        result["verdicts"] = verdicts(result)
        write_json(self.out / RESULT_FILE, result)
        return result

    def _recipe(self, name: str, settings: Mapping[str, Any]) -> FinetuneRecipe:
        values = copy.deepcopy({**self.given, **self.config.contenders[name], **settings})
        return make_recipe(FinetuneRecipe, values, where=f"compare.contenders.{name}")

    def _trials(self, name: str) -> list[ChildRun]:
        """Lists the trials of a contender, which see no test rows; none for a single rate."""
        if len(self.config.rate_factors) == 1:
            return []
        runs = []
        for factor in self.config.rate_factors:
            rate = float(f"{self.bases[name].train.learning_rate * factor:.3g}")
            settings = {
                "data.test": None,
                "train.learning_rate": rate,
                "train.seed": self.config.search_seed,
            }
            path = self.out / "trials" / name / f"{rate:g}"
            runs.append(ChildRun(f"{name}, rate {rate:g}", self._recipe(name, settings), path))
        return runs

    def _seeds(self, name: str, rate: float) -> list[ChildRun]:
        return [
            ChildRun(
                f"{name}, seed {seed}",
                self._recipe(name, {"train.learning_rate": rate, "train.seed": seed}),
                self.out / "runs" / name / f"seed-{seed}",
            )
            for seed in self.config.seeds
        ]

    def _best_rate(self, name: str, trials: list[ChildRun]) -> float:
        if not trials:
            return self.bases[name].train.learning_rate * self.config.rate_factors[0]
        found = [Facts.read(RunFolder(run.path).best) for run in trials]
        metric = self.metric_of(found[0])
        sign = -1 if lower_is_better(metric) else 1
        scores = [sign * value_of(facts, metric) for facts in found]
        # NaN, a score that is undefined, is smaller than nothing and larger than nothing.
        best = max(range(len(trials)), key=lambda i: (scores[i] == scores[i], scores[i]))
        return trials[best].recipe.train.learning_rate

    def metric_of(self, facts: Facts) -> str:
        """Names the metric that trials are chosen and verdicts are spoken by.

        Args:
            facts: What a run came to.

        Returns:
            The metric of the recipe, or the usual one of the task.

        Raises:
            ConfigError: If the recipe names one that is not computed.
        """
        usual = _TELLING.get(facts.kind) or (
            "entity_f1" if "entity_f1" in facts.metrics else "accuracy"
        )
        metric = self.config.metric or usual
        if metric not in facts.metrics:
            raise ConfigError(
                f'compare.metric "{metric}" is never computed for this task',
                fix=f"choose one of {', '.join(facts.metrics)}",
            )
        return metric

    def result(
        self, trials: Mapping[str, list[ChildRun]], runs: Mapping[str, list[ChildRun]]
    ) -> dict[str, Any]:
        """Puts together what the runs came to.

        Args:
            trials: The trials of each contender.
            runs: The runs of each contender, in the order of the seeds.

        Returns:
            What JSON can say: ``task``, ``metric``, ``seeds``, ``rows`` (of the test), ``against``;
            ``trials``, for each contender its rates and validation scores; ``contenders``, each
            with ``learning_rate``, ``metrics`` over seeds, ``costs`` and single ``runs``; and
            ``differences``, each contender minus the yardstick, ``over_seeds`` and ``over_rows``.
        """
        facts = {
            name: [Facts.read(RunFolder(run.path).best) for run in each]
            for name, each in runs.items()
        }
        first = next(iter(facts.values()))[0]
        measures = self._measures(runs, first)
        metric, yardstick = self.metric_of(first), self.config.yardstick
        names = list(measures[yardstick][0])
        result = {
            "task": first.task,
            "metric": metric,
            "seeds": list(self.config.seeds),
            "rows": first.counts["test_rows"],
            "train_rows": first.counts["train_rows"],
            "against": yardstick,
            "trials": {
                name: [
                    {
                        "learning_rate": run.recipe.train.learning_rate,
                        "score": value_of(Facts.read(RunFolder(run.path).best), metric),
                        "training_seconds": Facts.read(RunFolder(run.path).best).counts[
                            "training_seconds"
                        ],
                    }
                    for run in each
                ]
                for name, each in trials.items()
            },
            "contenders": {name: contender(runs[name], facts[name], names) for name in runs},
            "differences": {
                name: {
                    measured: difference(measures[name], measures[yardstick], measured)
                    for measured in names
                }
                for name in runs
                if name != yardstick
            },
        }
        return plain(result)

    def _measures(
        self, runs: Mapping[str, list[ChildRun]], facts: Facts
    ) -> dict[str, list[dict[str, Measure]]]:
        """Reads what each run made of the test rows, and measures it."""
        data = self.recipe.data
        rows = read_rows(data.test or "", data, columns_of(facts), key="data.test")
        measures: dict[str, list[dict[str, Measure]]] = {}
        for name, each in runs.items():
            measures[name] = []
            for run in each:
                answers = read_answers(run.name, RunFolder(run.path).answers_file)
                measures[name].append(measures_of([answers], rows, facts.kind, [facts.task]))
        return measures
