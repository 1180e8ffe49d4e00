from pathlib import Path

import numpy as np
import pytest
import tiny_tasks
import torch

import lowkey
from lowkey.cli import main
from lowkey.errors import ConfigError, DataError
from lowkey.experiments.attention import attention_of, choose, write_attention
from lowkey.models.config import TransformerConfig
from lowkey.models.transformer import Transformer
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


def test_a_given_target_takes_the_place_of_the_output(translator: Translator) -> None:
    own = translator.translate(["a b c"])[0]
    maps = {one.name: one for one in attention_of(translator, "a b c", target="e e d")}
    assert maps["decoder_blocks.0.cross_attention"].queries == ["e", "e", "d", "</s>"]
    assert maps["decoder_blocks.0.attention"].queries == ["<s>", "e", "e", "d"]
    # Its own output, given back to it, changes nothing.
    for free, forced in zip(
        attention_of(translator, "a b c"),
        attention_of(translator, "a b c", target=own),
        strict=True,
    ):
        np.testing.assert_array_equal(free.weights, forced.weights)


def test_what_the_model_has_no_use_for_is_refused(translator: Translator) -> None:
    with pytest.raises(ConfigError, match="reads one text"):
        attention_of(translator, "a b", "c")
    facts = translator.facts.model_copy(update={"max_length": 4})
    short = Translator(
        translator.model, translator.source_tokenizer, translator.target_tokenizer, facts
    )
    assert attention_of(short, "a b", target="a b c")
    with pytest.raises(DataError, match="has 5 tokens, the model was trained on at most 4"):
        attention_of(short, "a b", target="a b c d")


def test_maps_are_chosen_by_kind_layer_and_head(translator: Translator) -> None:
    maps = attention_of(translator, "a b c")
    assert choose(maps) == maps
    (cross,) = choose(maps, kind="cross", layer=1, head=2)
    assert (cross.name, cross.numbers) == ("decoder_blocks.0.cross_attention", (2,))
    whole = next(one for one in maps if one.kind == "cross")
    np.testing.assert_array_equal(cross.weights[0], whole.weights[1])
    with pytest.raises(ConfigError, match="there is no layer 2 to look at"):
        choose(maps, layer=2)
    with pytest.raises(ConfigError, match="there is no head 3 to look at"):
        choose(maps, kind="cross", head=3)


def test_the_endings_choose_the_form(translator: Translator, tmp_path: Path) -> None:
    maps = attention_of(translator, "a b c", target="a")
    for ending in ("html", "svg", "png"):
        write_attention(maps, "a b c", tmp_path / f"a.{ending}", target="a")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "a.svg").read_text(encoding="utf-8")[:400]
    assert "to be written: a" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_rotary_positions_and_gates_are_looked_through(translator: Translator) -> None:
    sizes = {"d_model": 16, "num_heads": 2, "num_encoder_layers": 1, "num_decoder_layers": 1}
    vocabularies = {
        "source_vocab_size": translator.source_tokenizer.vocab_size,
        "target_vocab_size": translator.target_tokenizer.vocab_size,
    }
    torch.manual_seed(0)
    model = Transformer(
        TransformerConfig(**sizes, **vocabularies, d_ff=16, gated=True, positions="rotary")
    ).eval()
    tokenizers = (translator.source_tokenizer, translator.target_tokenizer)
    maps = attention_of(Translator(model, *tokenizers, translator.facts), "a a a", target="a b")
    assert [one.kind for one in maps] == ["encoder", "decoder", "cross"]
    for one in maps:
        np.testing.assert_allclose(one.weights.sum(-1), 1, atol=1e-5)
    # The same token three times: with rotary positions a weight depends on the distance alone,
    # up to the sum of its row.
    odds = maps[0].weights[:, :3, :3]
    np.testing.assert_allclose(
        odds[:, 0, 1] / odds[:, 0, 0], odds[:, 1, 2] / odds[:, 1, 1], rtol=1e-4
    )
    assert not np.allclose(odds[:, 0, 1], odds[:, 0, 0], rtol=1e-4)  # positions do count
