import pytest
import torch
from experiments.tasks import finetuning
from safetensors.torch import load_file, save_file

from lowkey.errors import ConfigError
from lowkey.experiments.method import make_trainable
from lowkey.hf.bert import load_classifier

HEAD = {"classifier.weight", "classifier.bias"}
POOLER = {"encoder.pooler.dense.weight", "encoder.pooler.dense.bias"}


@pytest.fixture(params=[True, False], ids=["with a pooler", "without"])
def pooler(request, folder):
    """Whether the base holds a pooler; checkpoints of masked language models do not."""
    if not request.param:
        path = folder / "bert" / "model.safetensors"
        state = {k: v for k, v in load_file(path).items() if "pooler" not in k}
        save_file(state, path, {"format": "pt"})
    return request.param


def trained(folder, *settings):
    generator = torch.Generator().manual_seed(0)
    model = load_classifier(folder / "bert", 2, generator=generator)
    said = []
    recipe = finetuning(*settings)
    config = make_trainable(model, recipe, folder / "bert", generator, said.append)
    return {n for n, p in model.named_parameters() if p.requires_grad}, config, said, model


def test_full_trains_everything(folder, pooler):
    names, config, said, model = trained(folder, "method=full")
    assert names == {name for name, _ in model.named_parameters()}
    assert (config, said) == (None, [])


def test_head_trains_the_head_and_what_the_base_lacks(folder, pooler):
    names, config, said, _ = trained(folder, "method=head")
    assert names == (HEAD if pooler else HEAD | POOLER)
    assert (config, said) == (None, [])


def test_lora_trains_updates_the_head_and_what_the_base_lacks(folder, pooler):
    names, config, said, _ = trained(folder, "lora.target_modules=qv", "lora.r=2")
    whole = {name for name in names if ".lora_" not in name}
    assert whole == (HEAD if pooler else HEAD | POOLER)
    assert len(names - whole) == 2 * 2 * 2  # blocks, maps, A and B
    assert config.modules_to_save == (["classifier"] if pooler else ["classifier", "pooler"])
    assert config.r == 2
    assert len(said) == 1
    assert said[0].startswith("LoRA adapts 4 linear maps (query, value)")


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        (
            "[classifier, encoder.pooler]",
            "lora.modules_to_save holds encoder.pooler, which an adapter cannot hold — "
            "did you mean pooler?",
        ),
        (
            "[classifier, embeddings]",
            "lora.modules_to_save holds embeddings, which an adapter cannot hold — "
            "there are classifier, pooler",
        ),
        (
            "[pooler]",
            "lora.modules_to_save leaves out classifier: the new head would be neither trained "
            "nor saved — set lora.modules_to_save to [classifier, pooler]",
        ),
    ],
)
def test_modules_that_would_be_lost_are_refused(modules, message, folder):
    with pytest.raises(ConfigError) as caught:
        trained(folder, f"lora.modules_to_save={modules}")
    assert str(caught.value) == message
    # Another method does not ask.
    trained(folder, "method=head", f"lora.modules_to_save={modules}")


def test_a_target_that_is_not_there_is_refused(folder):
    with pytest.raises(ConfigError, match=r"lora\.target_modules: 'q_proj' matches no module"):
        trained(folder, "lora.target_modules=[q_proj]")


def test_the_fixture_is_what_it_says(folder, pooler):
    names = load_file(folder / "bert" / "model.safetensors")
    assert any("pooler" in name for name in names) is pooler
