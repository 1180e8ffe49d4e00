"""Fine-tuning a published model: in full and by LoRA, stopped and resumed, opened again."""

import json
from pathlib import Path

import pytest
import tiny_marian
import torch

from lowkey.config import load_recipe
from lowkey.errors import ConfigError, DataError
from lowkey.experiments.config import TranslationRecipe
from lowkey.experiments.translation import train
from lowkey.files import read_json
from lowkey.lora.inject import adapters, merge_all
from lowkey.pipelines.load import load
from lowkey.run_folder import RunFolder

RECIPE = """\
data: {{train: {folder}/train.jsonl, validation: {folder}/dev.jsonl}}
start_from: {folder}/published
train: {{max_steps: 4, save_steps: 2, eval_steps: 4, batch_tokens: 200, precision: fp32,
  learning_rate: 0.01, warmup_steps: 0, lr_scheduler_type: constant}}
decode: {{num_beams: 2, max_length: 10}}
decoded_rows: 4
track: []
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    tiny_marian.write_published(folder / "published")
    for name, seed in (("train", 1), ("dev", 2)):
        pairs = zip(
            tiny_marian.sentences(tiny_marian.ENGLISH, 24, seed=seed),
            tiny_marian.sentences(tiny_marian.GERMAN, 24, seed=seed),
            strict=True,
        )
        rows = [json.dumps({"source": a, "target": b}) for a, b in pairs]
        (folder / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
    (folder / "recipe.yaml").write_text(RECIPE.format(folder=folder))
    return folder


def recipe_of(folder: Path, *settings: str) -> TranslationRecipe:
    return load_recipe(TranslationRecipe, folder / "recipe.yaml", list(settings))


def parameters(run: Path) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for n, p in load(run).model.named_parameters()}


def test_full_fine_tuning_moves_all_weights_and_keeps_the_tokenizers(folder, tmp_path):
    facts = train(recipe_of(folder), tmp_path / "run")
    assert (facts.method, facts.base_model) == ("full", str(folder / "published"))
    before, after = parameters(folder / "published"), parameters(tmp_path / "run")
    assert before.keys() == after.keys()
    still = [name for name in before if torch.equal(before[name], after[name])]
    assert still == []
    ours, theirs = load(tmp_path / "run"), load(folder / "published")
    assert ours.source_tokenizer.vocabulary == theirs.source_tokenizer.vocabulary
    # What the model demands of a search stays; what the recipe says of it holds.
    assert ours.decoding.banned_ids == theirs.decoding.banned_ids
    assert (ours.decoding.num_beams, ours.decoding.max_length) == (2, 10)


def test_lora_trains_query_and_value_and_is_saved_without_the_base(folder, tmp_path):
    facts = train(recipe_of(folder, "method=lora", "lora.r=2"), tmp_path / "run")
    best = tmp_path / "run" / "best"
    assert not (best / "model.safetensors").exists()
    translator = load(tmp_path / "run")
    # Two blocks that read with one attention each, two that write with two: query and value.
    assert len(adapters(translator.model)) == 12
    assert facts.counts["trainable_parameters"] == 12 * 2 * (16 + 16)
    base = parameters(folder / "published")
    moved = {n: p for n, p in translator.model.named_parameters() if ".lora_" not in n}
    assert all(torch.equal(base[name], p) for name, p in moved.items())
    assert any(m.lora_B.weight.abs().max() > 0 for m in adapters(translator.model).values())
    texts = tiny_marian.sentences(tiny_marian.ENGLISH, 6, seed=9)
    plain = translator.translate(texts)
    merge_all(translator.model)
    assert translator.translate(texts) == plain


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_stopped_run_goes_on_to_the_same_weights(folder, tmp_path, method):
    recipe = recipe_of(folder, f"method={method}")
    train(recipe, tmp_path / "whole")
    half = recipe_of(folder, f"method={method}", "train.max_steps=2")
    train(half, tmp_path / "parts")
    # From the recipe on disk, which holds every default.
    again = load_recipe(
        TranslationRecipe, RunFolder(tmp_path / "parts").config_file, ["train.max_steps=4"]
    )
    train(again, tmp_path / "parts", resume=True)
    whole, parts = parameters(tmp_path / "whole"), parameters(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_run_of_ours_can_be_the_start_and_the_base(folder, tmp_path):
    train(recipe_of(folder), tmp_path / "first")
    start = f"start_from={tmp_path / 'first'}"
    facts = train(recipe_of(folder, start, "method=lora"), tmp_path / "second")
    assert facts.base_model == str(tmp_path / "first" / "best")
    config = read_json(tmp_path / "second" / "best" / "adapter_config.json")
    assert config["target_modules"] == ["query", "value"]
    assert load(tmp_path / "second").translate(["the cat"])
    with pytest.raises(ConfigError, match=r"is an adapter.*--format merged"):
        train(recipe_of(folder, f"start_from={tmp_path / 'second'}"), tmp_path / "third")
    weights = tmp_path / "first" / "best" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(DataError, match="was trained on other weights"):
        load(tmp_path / "second")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["model.d_model=64"], r"model\.d_model is 64, but .* has 16"),
        (["model.norm=pre"], r'model\.norm is "pre", but .* has "post"'),
        (["tokenizer.source.vocab_size=99"], "tokenizer says how to make one"),
        (["data.max_length=100"], r"data\.max_length is 100, but .* reads 64 tokens"),
        (["method=lora", "lora.target_modules=[qeury]"], "did you mean query"),
    ],
)
def test_what_contradicts_the_checkpoint_is_refused_before_a_folder_is_made(
    folder, tmp_path, settings, message
):
    with pytest.raises(ConfigError, match=message):
        train(recipe_of(folder, *settings), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["method=scratch"], "begins with random weights"),
        (["start_from=null", "method=lora"], "needs weights to start with"),
        (["method=lora", "lora.modules_to_save=[output]"], "modules_to_save"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused(folder, settings, message):
    with pytest.raises(ConfigError, match=message):
        recipe_of(folder, *settings)


def test_the_rate_goes_by_the_method_where_the_recipe_does_not_say(folder):
    bare = folder / "bare.yaml"
    bare.write_text(f"data: {{train: x}}\nstart_from: {folder}\n")
    assert load_recipe(TranslationRecipe, bare, []).train.learning_rate == 5e-5
    assert load_recipe(TranslationRecipe, bare, ["method=lora"]).train.learning_rate == 5e-4


def chain(folder: Path, run: Path, path: Path, decode: str) -> Path:
    """Writes a recipe that starts from a run or another folder, with its own decode section."""
    text = (folder / "recipe.yaml").read_text().replace("{num_beams: 2, max_length: 10}", decode)
    path.write_text(text.replace(f"{folder}/published", str(run)))
    return path


def test_the_bound_of_outputs_is_measured_on_the_new_pairs(folder, tmp_path):
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    short = tmp_path / "short.jsonl"
    lines = [json.dumps({"source": r["source"], "target": "die"}) for r in rows]
    short.write_text("\n".join(lines))
    data = [f"data.train={short}", "train.max_steps=1"]
    first = train(recipe_of(folder, *data), tmp_path / "first").decode
    recipe = load_recipe(
        TranslationRecipe, chain(folder, tmp_path / "first", tmp_path / "a.yaml", "{}")
    )
    second = train(recipe, tmp_path / "second").decode
    fresh = train(recipe_of(folder, "train.max_steps=1"), tmp_path / "fresh").decode
    assert second.max_ratio == fresh.max_ratio > first.max_ratio
    recipe = load_recipe(
        TranslationRecipe, chain(folder, tmp_path / "first", tmp_path / "a.yaml", "{max_ratio: 7}")
    )
    assert train(recipe, tmp_path / "third").decode.max_ratio == 7


def test_a_written_default_holds_and_the_rest_is_the_checkpoints(folder, tmp_path):
    published = load(folder / "published").decoding
    assert (published.num_beams, published.max_length) == (3, 23)
    path = chain(folder, folder / "published", tmp_path / "a.yaml", "{num_beams: 4}")
    facts = train(load_recipe(TranslationRecipe, path, ["train.max_steps=2"]), tmp_path / "run")
    assert (facts.decode.num_beams, facts.decode.max_length) == (4, 23)
    assert facts.decode.banned_ids == published.banned_ids
    # The recipe on disk lists what holds, and the run goes on by it.
    config = RunFolder(tmp_path / "run").config_file
    again = load_recipe(TranslationRecipe, config, ["train.max_steps=4"])
    assert (again.decode.num_beams, again.decode.max_length) == (4, 23)
    resumed = train(again, tmp_path / "run", resume=True)
    assert resumed.decode == facts.decode
    # And by the recipe of the user, which is silent on most of it.
    again = load_recipe(TranslationRecipe, path, ["train.max_steps=6"])
    assert train(again, tmp_path / "run", resume=True).decode == facts.decode


def test_decoding_that_does_not_fit_the_checkpoints_is_refused_in_one_line(folder, tmp_path):
    path = chain(folder, folder / "published", tmp_path / "a.yaml", "{min_length: 100}")
    recipe = load_recipe(TranslationRecipe, path)
    with pytest.raises(ConfigError, match="min_length 100 is more than max_length 23") as caught:
        train(recipe, tmp_path / "run")
    assert "published says where the recipe is silent" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_learned_positions_of_a_run_bound_the_merged_length(folder, tmp_path):
    scratch = """\
data: {{train: {folder}/train.jsonl, validation: {folder}/dev.jsonl}}
tokenizer: {{source: {{kind: character}}, target: {{kind: character}}}}
model: {{d_model: 16, num_heads: 2, d_ff: 16, num_encoder_layers: 1, num_decoder_layers: 1,
  positions: learned, max_positions: 64}}
train: {{max_steps: 1, batch_tokens: 400, precision: fp32}}
decode: {{num_beams: 1, max_length: 40}}
track: []
"""
    (tmp_path / "scratch.yaml").write_text(scratch.format(folder=folder))
    train(load_recipe(TranslationRecipe, tmp_path / "scratch.yaml"), tmp_path / "first")
    path = chain(folder, tmp_path / "first", tmp_path / "a.yaml", "{}")
    facts = train(load_recipe(TranslationRecipe, path, ["train.max_steps=1"]), tmp_path / "second")
    assert facts.decode.max_length == 40
    recipe = load_recipe(TranslationRecipe, path, ["decode.max_length=65"])
    with pytest.raises(ConfigError, match=r"decode\.max_length is 65.* set .* to 64$"):
        train(recipe, tmp_path / "third")
