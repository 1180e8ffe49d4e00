import hashlib

import pytest
import tiny

from lowkey.errors import CannotWriteError, MissingInputError
from lowkey.hf.model_folder import base_identity, check_model_folder, make_folder


def folder_with(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("{}")
    return root


def refusal(folder):
    with pytest.raises(MissingInputError) as error:
        check_model_folder(folder, where="model.path")
    assert error.value.exit_code == 66
    return str(error.value).removeprefix("model.path: ").replace(f"{folder}", "RUN")


def test_a_run_is_no_model_and_its_best_is_proposed(tmp_path):
    run = folder_with(tmp_path / "exp1", "config.yaml", "best/config.json")
    assert refusal(run) == (
        "RUN is a training run, not a model folder — did you mean RUN/best? "
        "(a model folder holds config.json and model.safetensors)"
    )


def test_the_best_of_a_run_is_proposed_only_where_it_is_a_model(tmp_path):
    run = folder_with(tmp_path / "exp1", "config.yaml", "best/adapter_config.json")
    assert "lowkey export RUN --format merged --out DIR" in refusal(run)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["config.json", "pytorch_model.bin"], "holds only pytorch_model.bin, a pickle file"),
        (["config.json"], "RUN holds no model.safetensors"),
        (["adapter_config.json"], "is an adapter, not a model"),
        (["readme.md"], "RUN holds no config.json — a model folder holds"),
    ],
)
def test_each_other_folder_is_told_what_it_is(tmp_path, names, message):
    assert message in refusal(folder_with(tmp_path / "x", *names))


def test_no_folder_at_all(tmp_path):
    assert "does not exist" in refusal(tmp_path / "x")
    assert "is a file" in refusal(folder_with(tmp_path, "y") / "y")


@pytest.mark.parametrize("weights", ["model.safetensors", "model.safetensors.index.json"])
def test_a_model_folder_passes(tmp_path, weights):
    check_model_folder(folder_with(tmp_path, "config.json", weights))


def test_the_identity_of_a_base_is_its_name_and_the_hash_of_its_weights(tmp_path):
    tiny.write_bert(tmp_path / "bert")
    tiny.write_bert(tmp_path / "other", seed=1)
    weights = (tmp_path / "bert" / "model.safetensors").read_bytes()
    identity = base_identity(tmp_path / "bert")
    assert identity == {"name": "bert", "sha256": hashlib.sha256(weights).hexdigest()}
    assert base_identity(tmp_path / "other")["sha256"] != identity["sha256"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWriteError, match="cannot make the folder"):
        make_folder(tmp_path / "file")
