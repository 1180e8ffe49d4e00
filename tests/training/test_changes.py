import subprocess
import sys
from pathlib import Path

import pytest
from training.toy import config

from lowkey.config import Config
from lowkey.errors import ConfigError
from lowkey.training.changes import MAY_CHANGE, config_sha256, refuse_changes
from lowkey.training.config import TrainConfig


class Model(Config):
    d_model: int = 256
    heads: dict[str, int] = {"encoder": 4}  # noqa: RUF012


class Recipe(Config):
    model: Model = Model()
    track: list[str] = ["jsonl"]  # noqa: RUF012
    train: TrainConfig = TrainConfig()


def refuse(now, before=None):
    refuse_changes(before or Recipe(), now, run=Path("runs/exp1"))


def test_what_may_change():
    refuse(Recipe())
    changes = {"max_steps": 9, "num_train_epochs": 9, "time_budget": 9.0, "logging_steps": 9}
    changes |= {"eval_steps": 9, "save_steps": 9, "save_total_limit": 9}
    assert changes.keys() == set(MAY_CHANGE)
    changed = Recipe(train=config(**changes).model_copy())
    same = {k: v for k, v in changed.train.model_dump().items() if k not in MAY_CHANGE}
    refuse(Recipe(track=["wandb"], train=changed.train), Recipe(train=TrainConfig(**same)))
    assert config_sha256(changed.train) == config_sha256(TrainConfig(**same))


def test_what_may_not_change_is_named():
    with pytest.raises(ConfigError) as caught:
        refuse(Recipe(model=Model(d_model=512)))
    assert str(caught.value) == (
        "cannot resume runs/exp1: model.d_model was 256, is now 512 — "
        "start anew with another --out (may change on resume: train.max_steps, "
        "train.num_train_epochs, train.time_budget, train.logging_steps, train.eval_steps, "
        "train.save_steps, train.save_total_limit, track, data.memory_map)"
    )
    with pytest.raises(ConfigError, match=r"model\.heads\.encoder was 4, is now 8"):
        refuse(Recipe(model=Model(heads={"encoder": 8})))


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("name", sorted(TrainConfig.model_fields.keys() - set(MAY_CHANGE)))
def test_no_other_key_of_the_training_may_change(name):
    """Each key by itself, so that a new one is refused until somebody decides otherwise."""
    before = TrainConfig()
    other = TrainConfig.model_construct(**before.model_dump() | {name: "something else"})
    with pytest.raises(ConfigError, match=rf"train\.{name} was .*, is now \"something else\""):
        refuse(Recipe.model_construct(model=Model(), track=["jsonl"], train=other))
    assert config_sha256(other) != config_sha256(before)


def test_recipes_are_read_without_torch():
    code = (
        "import sys, lowkey.training.config, lowkey.training.changes, lowkey.training.progress\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)
