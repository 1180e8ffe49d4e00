"""The training loop.

    sum the loss of some micro-batches -> mean gradient -> clip -> step -> log, evaluate, save

A run is a pure function of recipe, data and machine. The order of the examples depends on (seed,
epoch), dropout on (seed, step, micro-batch), and all else that decides how the run goes on stands
in a `TrainState`. So a run that was killed and resumed ends with the same bytes as any other.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from lowkey import files, runtime
from lowkey.errors import CannotWriteError
from lowkey.nn.dropout import set_generator
from lowkey.run_folder import RunFolder
from lowkey.training.checkpoint import save_checkpoint
from lowkey.training.config import TrainConfig
from lowkey.training.course import Course
from lowkey.training.gradients import DivergedError, diverged, normalise_and_clip
from lowkey.training.metrics_log import MetricsLog
from lowkey.training.objective import Objective
from lowkey.training.progress import Progress, named_values
from lowkey.training.rates import RateOf, one_rate
from lowkey.training.result import FitResult
from lowkey.training.resume import Trained, capture, fresh_state, restore_newest
from lowkey.training.selection import Selection
from lowkey.training.state import TrainState, Window
from lowkey.training.stopping import Interrupted, StopSignals


class Trainer:
    """Fits the model of an objective.

    Args:
        objective: The model and what it is to learn.
        config: How to train.
        run: Where checkpoints and the best model go; the caller holds its lock.
        tracker: Where numbers go.
        progress: Where people look.
        save_best: Fills an empty folder with the model as it is now; called with the metrics each
            time an evaluation is the best so far.
        rate_of: Tells the factor of the learning rate of each parameter, by its name.

    Raises:
        ConfigError: If the model has no parameter to train, or the warm-up is longer than the run.
    """

    def __init__(
        self,
        objective: Objective,
        config: TrainConfig,
        run: RunFolder,
        *,
        tracker: MetricsLog,
        progress: Progress,
        save_best: Callable[[Path, dict[str, float]], None],
        rate_of: RateOf = one_rate,
    ):
        self.objective = objective
        self.model = objective.model
        self.config = config
        self.run = run
        self.tracker = tracker
        self.progress = progress
        self.save_best = save_best
        self.trained = Trained.of(self.model, config, rate_of)
        self.device = self.trained.device
        self.generator = torch.Generator(self.device)
        self.selection = Selection.of(objective, config)
        self.course = Course(config, objective)
        self.signals = StopSignals()
        self.state = TrainState()
        self.saved: TrainState | None = None

    def fit(self, *, resume: bool = False) -> FitResult:
        """Trains until the recipe says it is enough.

        Args:
            resume: Go on from the newest whole checkpoint of the run, if it saved one.

        Returns:
            What came of it. The model is left with the weights of the last step.

        Raises:
            StoppedError: If a signal stopped it; a checkpoint has been saved.
            DivergedError: If the loss or a gradient is not finite; the weights before are kept.
            ConfigError: If the metric for the best is never computed, or the recipe has changed.
            DataError: If no checkpoint of the run is whole, or one does not fit the model.
            CannotWriteError: If the last checkpoint or the best model cannot be saved.
        """
        self._begin(resume)
        self.batches = self.objective.epoch(self.state.epoch)
        set_generator(self.model, self.generator)
        self.model.train()
        self.progress.start()
        try:
            with self.signals:
                stopped_by = self._loop()
        finally:
            self.progress.stop()
            set_generator(self.model, None)
        return FitResult(
            step=self.state.step,
            epoch=self.state.epoch + self.state.batch / max(1, len(self.batches)),
            best=self.state.best_metrics,
            best_step=self.state.best_step,
            seconds=self.course.pace.seconds(),
            train_tokens=self.state.tokens,
            peak_memory_mib=runtime.peak_memory_mib(self.device),
            stopped_by=stopped_by,
        )

    def _begin(self, resume: bool) -> None:
        """Puts the run where its newest checkpoint says, or at its beginning."""
        self.state, seconds, warn = fresh_state(self.config, self.device), 0.0, self.progress.warn
        if resume:
            folder, keep = self.run.checkpoints, self.config.save_total_limit
            self.saved, seconds = restore_newest(
                folder, self.state, self.trained, keep=keep, warn=warn
            )
            self.state = (self.saved or self.state).model_copy(deep=True)
            self.tracker.rewind(self.state.metrics_bytes)
        self.course.begin(self.state.step, seconds)

    def _loop(self) -> str:
        """Trains to the end of the run and returns what ended it, or saves and stops."""
        try:
            if self.state.step == 0 and self.selection.metric != self.objective.metric_for_best:
                # A wrong name costs one evaluation here, and a whole epoch where the first is due.
                self._metrics()
            # The first call does what a run that was stopped in between still owes.
            while not (ended_by := self._finish_step()):
                with self.course.pace.step():
                    self._step()
            return ended_by
        except (DivergedError, Interrupted) as end:
            self._save(must=isinstance(end, Interrupted))
            if isinstance(end, DivergedError):
                raise
            raise self.signals.error(self.state.step, self.course.total_steps) from None

    def _step(self) -> None:
        """Makes one update from the next micro-batches."""
        state, config = self.state, self.config
        while state.batch >= len(self.batches):  # an epoch may be without any
            state.epoch, state.batch = state.epoch + 1, 0
            self.batches = self.objective.epoch(state.epoch)
        micro_batches = self.batches[state.batch : state.batch + config.gradient_accumulation_steps]
        sums, tokens = self._accumulate(micro_batches)
        parameters = self.trained.parameters
        sums.grad_norm = normalise_and_clip(parameters, sums.weight, config.max_grad_norm)
        if not sums.is_finite():
            raise diverged(state.step + 1, sums.loss, parameters, micro_batches)
        self.trained.step(self.course.learning_rate(state.step + 1), state.step + 1)
        state.step += 1
        state.batch += len(micro_batches)
        state.tokens += tokens
        state.window.add(sums)
        self.course.pace.read(tokens)

    def _accumulate(self, micro_batches: Sequence[Sequence[int]]) -> tuple[Window, int]:
        """Sums loss and gradient over the micro-batches of one step, and counts the tokens."""
        total, tokens = Window(steps=1), 0
        self.trained.optimizer.zero_grad(set_to_none=True)
        for index, ids in enumerate(micro_batches):
            self.signals.check()
            seed = runtime.seed_for(self.config.seed, "dropout", self.state.step, index)
            self.generator.manual_seed(seed)
            part = self.objective.loss(ids)
            part.loss.backward()
            total.add(Window(loss=float(part.loss.detach()), weight=part.weight, sums=part.sums))
            tokens += part.tokens
        return total, tokens

    def _finish_step(self) -> str | None:
        """Logs, evaluates and saves what is due and not done; tells what ends the run here."""
        config, state = self.config, self.state
        ended_by = self.course.ended_by(state)

        def due(every: int | None) -> bool:
            epoch_ends = state.batch >= len(self.batches)
            return bool(ended_by) or (epoch_ends if every is None else state.step % every == 0)

        if state.step:
            self._log(due=due(config.logging_steps))
            if state.evaluated_step < state.step and due(config.eval_steps):
                self._evaluate()
                ended_by = ended_by or self.course.ended_by(state)  # perhaps out of patience now
                self._log(due=bool(ended_by))
            if due(config.save_steps):
                self._save(must=bool(ended_by))
        return ended_by

    def _log(self, *, due: bool) -> None:
        """Shows the training loss since the last record, and makes the next one if it is due."""
        if not self.state.window.steps:
            return
        self.progress.step(self.course.moment(self.state), logged=due)
        if due:
            values = {f"train/{name}": value for name, value in self.state.window.means().items()}
            values["train/learning_rate"] = self.course.learning_rate(self.state.step)
            self.tracker.log(self.state.step, values | self.course.pace.values())
            self.state.window = Window()
            self.course.pace.restart()

    def _evaluate(self) -> None:
        """Scores the model (with a running average: that), and keeps it if it is the best yet."""
        with self.trained.average.in_place():
            self._score_and_keep()

    def _score_and_keep(self) -> None:
        state, metrics = self.state, self._metrics()
        self.tracker.log(state.step, {f"eval/{name}": value for name, value in metrics.items()})
        best = self.selection.prefers(metrics, state.best_metrics)
        mark = "  (best so far)" if best else ""
        self.progress.note(f"step {state.step}  {named_values(metrics)}{mark}")
        if best:
            with files.staged_folder(self.run.best) as folder:
                self.save_best(folder, metrics)
        state.note_evaluation(metrics, best=best)

    def _metrics(self) -> dict[str, float]:
        """Evaluates; a signal breaks it off."""
        self.model.eval()
        try:
            with torch.no_grad(), self.signals.interruptible():
                metrics = self.objective.evaluate()
        finally:
            self.model.train()
        self.selection.check(metrics)
        return metrics

    def _save(self, *, must: bool) -> None:
        """Saves a checkpoint of the last whole step, unless it is the one there is."""
        if (state := self.state) == self.saved:
            return
        state.metrics_bytes = self.tracker.offset()
        content = capture(self.trained, state, self.course.pace.seconds())
        try:
            folder, keep = self.run.checkpoints, self.config.save_total_limit
            save_checkpoint(folder, state.step, content, keep=keep, warn=self.progress.warn)
        except CannotWriteError as error:
            if must:
                raise
            self.progress.warn(f"{error}; the run goes on without this checkpoint")
        else:
            self.saved = state.model_copy(deep=True)
