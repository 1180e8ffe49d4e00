import json

import tiny_tasks

from lowkey.cli import main
from lowkey.cli.comparing import comparison_of_methods

ONE = ["--set", "compare.contenders={lora: {method: lora}}", "--set", "compare.seeds=[1]"]


def test_a_comparison_runs_and_prints_a_table(tmp_path, monkeypatch, capsys):
    tiny_tasks.write_tasks(tmp_path)
    monkeypatch.chdir(tmp_path)
    command = ["compare", "--config", "classify.yaml", "--set", "data.test=data/dev.jsonl", *ONE]
    command += ["--set", "compare.rate_factors=[1.0]", "--set", "train.threads=1"]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "[1/1] lora, seed 1: begins, see runs/compare-classify/runs/lora/seed-1.log" in said.err
    table = said.out.splitlines()
    assert table[0].split()[:2] == ["accuracy", "95"]
    assert table[1].split()[0] == "lora"
    assert table[2].startswith("one seed, on ")
    found = json.loads((tmp_path / "runs/compare-classify/comparison.json").read_text())
    assert main([*command, "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == found
    assert "finished already" in said.err


def test_mistakes_are_told_before_anything_is_made(tmp_path, monkeypatch, capsys):
    tiny_tasks.write_tasks(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "--config", "classify.yaml"]) == 2
    assert "data.test is not set" in capsys.readouterr().err
    assert main(["compare", "--config", "translate.yaml"]) == 2
    assert "translate.yaml is a recipe for lowkey train" in capsys.readouterr().err
    assert main(["compare", "--config", "classify.yaml", "--set", "data.test=nowhere.jsonl"]) == 66
    assert "nowhere.jsonl" in capsys.readouterr().err
    (tmp_path / "c.yaml").write_text(
        (tmp_path / "classify.yaml").read_text().replace("data:", "data:\n  test: data/dev.jsonl")
        + "compare: {seeds: [1]}\n"
    )
    assert main(["finetune", "--config", "c.yaml"]) == 2
    assert "c.yaml is a recipe for lowkey compare" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_the_table_lines_up_and_says_what_is_undefined():
    costs = {
        "trainable_parameters": 1234567,
        "training_seconds": 61.2,
        "peak_memory_mib": 801.5,
        "disk_bytes": 2_500_000,
    }
    scores = {"value": 0.9123, "low": 0.9, "high": 0.92}
    none = dict.fromkeys(scores)
    result = {
        "metric": "pearson",
        "seeds": [1, 2, 3],
        "rows": 1234,
        "contenders": {
            "lora": {"metrics": {"pearson": scores}, "costs": costs, "learning_rate": 5e-4},
            "constant": {"metrics": {"pearson": none}, "costs": costs, "learning_rate": 5e-5},
        },
        "verdicts": ["constant cannot be compared with lora: pearson is undefined."],
    }
    assert comparison_of_methods(result) == (
        "            pearson     95 % interval    rate  parameters  seconds  MiB    disk\n"
        "lora         0.9123  0.9000 to 0.9200  0.0005   1,234,567       61  802  2.5 MB\n"
        "constant  undefined                     5e-05   1,234,567       61  802  2.5 MB\n"
        "means over 3 seeds, on 1,234 test rows; seconds, MiB and disk are medians\n"
        "\n"
        "constant cannot be compared with lora: pearson is undefined."
    )
