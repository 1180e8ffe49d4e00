import pytest
import tiny
import torch

from lowkey.errors import DataError, MissingInputError
from lowkey.files import write_tensors
from lowkey.pipelines.head import BITFIT_FILE, HEAD_FILE, is_bias, load_head, save_head


def head_only(seed, *, pooler=False):
    model = tiny.classifier(seed=seed, num_labels=3)
    model.requires_grad_(False)
    model.classifier.requires_grad_(True)
    if pooler:
        model.encoder.pooler.requires_grad_(True)
    return model


@pytest.mark.parametrize("pooler", [False, True])
def test_what_was_trained_comes_back_and_nothing_else_changes(pooler, tmp_path):
    trained, base = head_only(1, pooler=pooler), tiny.classifier(seed=2, num_labels=3)
    before = {name: value.clone() for name, value in base.state_dict().items()}
    save_head(trained, tmp_path)
    load_head(base, tmp_path)
    whole = ("classifier.", "encoder.pooler.") if pooler else ("classifier.",)
    for name, value in base.named_parameters():
        source = trained.state_dict() if name.startswith(whole) else before
        assert torch.equal(value, source[name]), name
        assert value.requires_grad == name.startswith(whole)
        assert not torch.equal(trained.state_dict()[name], before[name])


@pytest.mark.parametrize("pooler", [False, True])
def test_biases_come_back_with_the_head(pooler, tmp_path):
    trained, base = head_only(1, pooler=pooler), tiny.classifier(seed=2, num_labels=3)
    for name, parameter in trained.named_parameters():
        parameter.requires_grad_(parameter.requires_grad or is_bias(name))
    before = {name: value.clone() for name, value in base.state_dict().items()}
    save_head(trained, tmp_path, biases=True)
    load_head(base, tmp_path, biases=True)
    whole = ("classifier.", "encoder.pooler.") if pooler else ("classifier.",)
    for name, value in base.named_parameters():
        mine = name.startswith(whole) or name.endswith(".bias")
        assert torch.equal(value, (trained.state_dict() if mine else before)[name]), name
        assert value.requires_grad == mine
    # Neither is the other: a bundle of biases is not read as a head, nor the other way round.
    with pytest.raises(MissingInputError, match=HEAD_FILE):
        load_head(base, tmp_path)
    (tmp_path / BITFIT_FILE).rename(tmp_path / HEAD_FILE)
    with pytest.raises(DataError, match="the model needs"):
        load_head(base, tmp_path)
    (tmp_path / HEAD_FILE).unlink()
    save_head(head_only(1), tmp_path, biases=True)
    with pytest.raises(DataError, match="the model needs"):
        load_head(base, tmp_path, biases=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: {},
        lambda state: {"classifier.weight": state["classifier.weight"]},
        lambda state: state | {"classifier.weight": torch.zeros(4, 16)},
        lambda state: state | {"encoder.pooler.dense.weight": torch.zeros(16, 16)},
        lambda state: state | {"encoder.embeddings.token.weight": torch.zeros(47, 16)},
        lambda state: state | {f"x{i}": torch.zeros(1) for i in range(999)},
    ],
)
def test_a_head_of_another_model_is_refused(change, tmp_path):
    model = head_only(1)
    state = {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}
    write_tensors(tmp_path / HEAD_FILE, change(state))
    base = tiny.classifier(seed=2, num_labels=3)
    before = {name: value.clone() for name, value in base.state_dict().items()}
    with pytest.raises(DataError, match="the model needs") as caught:
        load_head(base, tmp_path)
    assert len(str(caught.value)) < len(str(tmp_path)) + 500
    assert all(torch.equal(value, before[name]) for name, value in base.state_dict().items())


def test_a_head_that_is_not_there(tmp_path):
    with pytest.raises(MissingInputError, match=HEAD_FILE):
        load_head(head_only(1), tmp_path)
