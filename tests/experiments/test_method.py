import pytest
import torch
from experiments.tasks import finetuning
from safetensors.torch import load_file, save_file

from lowkey.errors import ConfigError
from lowkey.experiments.method import make_trainable
from lowkey.hf.bert import load_classifier
from lowkey.models.config import EncoderConfig
from lowkey.models.encoder import Encoder
from lowkey.models.heads import SequenceClassifier, TokenClassifier

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


def test_bitfit_trains_every_bias_the_head_and_what_the_base_lacks(folder, pooler):
    names, config, said, model = trained(folder, "method=bitfit")
    biases = {name for name, _ in model.named_parameters() if name.endswith(".bias")}
    assert names == biases | HEAD | (set() if pooler else POOLER)
    assert "encoder.blocks.1.feed_forward_norm.bias" in names
    assert config is None
    sizes = {name: p.numel() for name, p in model.named_parameters()}
    of_encoder = sum(sizes[name] for name in names - HEAD - (set() if pooler else POOLER))
    trained_now = sum(sizes[name] for name in names)
    counts = f"BitFit trains {of_encoder:,} biases, {trained_now:,} parameters with the head"
    assert said[0].startswith(counts)


@pytest.mark.parametrize("kind", [SequenceClassifier, TokenClassifier])
def test_the_biases_of_a_bert_base_are_those_that_the_paper_counts(folder, kind):
    # 12 blocks of 11 x 768 (four maps of attention, one of 4 x 768, one back, two norms), a norm of
    # the embeddings and, for texts, the pooler: 0.09 % (Ben Zaken et al., 2022).
    sizes = {"vocab_size": 30522, "d_model": 768, "num_layers": 12, "num_heads": 12, "d_ff": 3072}
    with torch.device("meta"):
        model = kind(Encoder(EncoderConfig(**sizes, pooler=kind is SequenceClassifier)), 2)
    said = []
    recipe = finetuning("method=bitfit")
    make_trainable(model, recipe, folder / "bert", torch.Generator(), said.append)
    biases = 12 * 11 * 768 + 768 + (768 if kind is SequenceClassifier else 0)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trainable == biases + 2 * 768 + 2
    total = sum(p.numel() for p in model.parameters())
    assert said == [
        f"BitFit trains {biases:,} biases, {trainable:,} parameters with the head,"
        f" {trainable / total:.2%} of {total:,}"
    ]
    if kind is SequenceClassifier:
        assert (biases, trainable, total) == (102_912, 104_450, 109_483_778)


def test_an_encoder_without_biases_has_nothing_for_bitfit(folder):
    model = load_classifier(folder / "bert", 2)
    for module in model.encoder.modules():
        if getattr(module, "bias", None) is not None:
            module.bias = None
    recipe = finetuning("method=bitfit")
    with pytest.raises(ConfigError, match=r"trains the biases, and the encoder of .* has none"):
        make_trainable(model, recipe, folder / "bert", torch.Generator(), print)


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
