"""What is not finite never reaches the weights, nor a checkpoint."""

import pytest
import torch
from training.toy import ToyObjective, newest, trainer

from lowkey.training.gradients import DivergedError

pytestmark = pytest.mark.usefixtures("_no_fsync")


class Poisoned(ToyObjective):
    def __init__(self, kind: str, at: int):
        super().__init__()
        self.kind, self.calls = kind, at

    def loss(self, ids):
        part = super().loss(ids)
        self.calls -= 1
        if self.calls:
            return part
        if self.kind == "gradient":
            one = torch.zeros(16, 8)
            one[3, 5] = float("inf")
            self.model.up.weight.register_hook(lambda grad: grad + one)
            return part
        value = {"nan": float("nan"), "inf": float("inf")}[self.kind]
        return type(part)(part.loss + value, part.weight, part.tokens, part.sums)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("nan", "the loss became nan at step 6 ("),
        ("inf", "the loss became inf at step 6 ("),
        ("gradient", "the gradient is not finite at step 6 (first in the gradient of up.weight; "),
    ],
)
def test_what_is_not_finite_never_reaches_the_weights(kind, words, tmp_path):
    objective = Poisoned(kind, at=16)  # in step 6
    ours = trainer(tmp_path / "run", objective)
    with pytest.raises(DivergedError) as caught:
        ours.fit()
    assert str(caught.value).startswith(words)
    assert caught.value.exit_code == 65
    assert ours.state.step == 5
    assert all(torch.isfinite(p).all() for p in objective.model.parameters())
    assert all(
        bool(v.isfinite().all()) for s in ours.trained.optimizer.state.values() for v in s.values()
    )
    assert newest(tmp_path / "run").name == "step-00000005", "the last good step is not saved"


def test_a_weight_that_is_not_finite_is_not_saved(tmp_path):
    class Broken(ToyObjective):
        def evaluate(self):
            with torch.no_grad():
                self.model.down.bias[1] = float("nan")
            return {"loss": 1.0}

    with pytest.raises(DivergedError, match=r"down\.bias holds NaN or infinite numbers at step 4"):
        trainer(tmp_path / "run", Broken(), eval_steps=4, ema_decay=0.0).fit()
    assert not any((tmp_path / "run" / "checkpoints").iterdir())
