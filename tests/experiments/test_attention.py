from pathlib import Path

import numpy as np
import pytest
import tiny_tasks
import torch

import lowkey
from lowkey.cli import main
from lowkey.experiments.attention import attention_of, write_attention
from lowkey.pipelines.translator import Translator


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> Translator:
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        tiny_tasks.write_tasks(folder)
        steps = ["train.max_steps=60", "train.learning_rate=0.02"]
        words = [word for step in steps for word in ("--set", step)]
        assert main(["train", "--config", "translate.yaml", "--out", "run", *words]) == 0
        return lowkey.load("run")


def test_rows_and_columns_of_a_transformer_are_named(translator: Translator) -> None:
    maps = {one.name: one for one in attention_of(translator, "a b c")}
    written = [*translator.translate(["a b c"])[0].split(), "</s>"]
    source = ["a", "b", "c", "</s>"]
    encoder = maps["encoder_blocks.0.attention"]
    assert (encoder.queries, encoder.keys) == (source, source)
    cross = maps["decoder_blocks.0.cross_attention"]
    assert (cross.queries, cross.keys) == (written, source)
    decoder = maps["decoder_blocks.0.attention"]
    assert decoder.queries == decoder.keys == ["<s>", *written[:-1]]


def test_weights_are_shares_and_the_future_has_none(translator: Translator) -> None:
    maps = {one.name: one for one in attention_of(translator, "a b c")}
    for one in maps.values():
        np.testing.assert_allclose(one.weights.sum(-1), 1, atol=1e-5)
    future = np.triu(np.ones(maps["decoder_blocks.0.attention"].weights.shape[1:], bool), 1)
    assert not maps["decoder_blocks.0.attention"].weights[:, future].any()
    if len(future) > 1:
        assert maps["decoder_blocks.0.cross_attention"].weights.all()


def test_the_first_layer_is_the_softmax_of_its_projections(translator: Translator) -> None:
    model = translator.model
    block = model.encoder_blocks[0].attention
    ids = translator.source_tokenizer.encode(["a b c"], special_tokens=False).tokens.values
    ids = torch.tensor([*ids.tolist(), translator.source_tokenizer.end_id])
    embedded = model.source_embeddings(ids, torch.arange(len(ids)))
    x = model.encoder_blocks[0].attention_norm(embedded)  # pre-norm
    q, k = (
        p(x).unflatten(-1, (block.num_heads, -1)).transpose(0, 1) for p in (block.query, block.key)
    )
    expected = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1).detach().numpy()
    found = attention_of(translator, "a b c")[0]
    np.testing.assert_allclose(found.weights, expected, atol=1e-5)


def test_looking_changes_no_prediction(translator: Translator, tmp_path: Path) -> None:
    before = translator.predict(["a b c"])
    write_attention(attention_of(translator, "a b c"), "a b c", tmp_path / "a.html")
    assert translator.predict(["a b c"]) == before
    assert "cross_attention" in (tmp_path / "a.html").read_text(encoding="utf-8")
