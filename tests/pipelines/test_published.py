"""Published Marian folders opened like any run, against transformers' generate."""

import json

import pytest
import tiny_marian
import torch

from lowkey.errors import DataError, MissingInputError
from lowkey.experiments.attention import attention_of
from lowkey.experiments.evaluation import evaluate
from lowkey.files import read_json
from lowkey.pipelines.load import load
from lowkey.pipelines.published import generation_of, published_facts, read_facts
from lowkey.pipelines.translator import Translator

SOURCES = tiny_marian.sentences(tiny_marian.ENGLISH, 12, seed=5)


def set_generation(folder, **changes) -> None:
    path = folder / "generation_config.json"
    path.write_text(json.dumps(read_json(path) | changes))


def their_outputs(folder, texts, **options) -> list[list[int]]:
    """What transformers generates from the same folder: tokens between start and end."""
    import warnings

    from transformers import MarianMTModel, MarianTokenizer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MarianMTModel.from_pretrained(folder).eval()
        tokenizer = MarianTokenizer.from_pretrained(folder)
    batch = tokenizer(texts, return_tensors="pt", padding=True)
    with torch.no_grad():
        found = model.generate(**batch, **options).tolist()
    end, pad = model.config.eos_token_id, model.config.pad_token_id
    return [[i for i in row[1:] if i not in (end, pad)] for row in found]


def our_outputs(translator: Translator, texts, monkeypatch) -> list[list[int]]:
    """The tokens that ours writes, before they are made a text."""
    seen: list[list[int]] = []
    monkeypatch.setattr(
        translator.target_tokenizer, "decode", lambda ids: seen.append(list(ids)) or str(len(seen))
    )
    texts_by_number = translator.translate(texts)
    return [seen[int(number) - 1] for number in texts_by_number]


@pytest.mark.parametrize(
    "generation",
    [
        {"num_beams": 1},
        {"num_beams": 4, "max_length": 12},
        {"num_beams": 3, "renormalize_logits": True},
        {"num_beams": 3, "length_penalty": 0.6, "early_stopping": True},
        {"num_beams": 2, "no_repeat_ngram_size": 2, "min_length": 6},
    ],
)
def test_greedy_and_beam_write_the_tokens_of_transformers(tmp_path, monkeypatch, generation):
    tiny_marian.write_published(tmp_path)
    set_generation(tmp_path, **generation)
    expected = their_outputs(tmp_path, SOURCES)
    assert len({tuple(output) for output in expected}) > 5  # the model does not always say the same
    assert our_outputs(load(tmp_path), SOURCES, monkeypatch) == expected


def test_padding_would_be_said_if_it_were_not_banned(tmp_path, monkeypatch):
    model = tiny_marian.write_published(tmp_path)
    pad = model.config.pad_token_id
    model.final_logits_bias[0, pad] = 9.0
    model.save_pretrained(tmp_path)
    translator = load(tmp_path)
    assert all(pad not in ids for ids in our_outputs(translator, SOURCES, monkeypatch))
    translator.decoding = translator.decoding.model_copy(update={"banned_ids": []})
    assert any(pad in ids for ids in our_outputs(translator, SOURCES, monkeypatch))


def test_separate_vocabularies_and_old_folders_without_a_generation_config(tmp_path, monkeypatch):
    tiny_marian.write_published(tmp_path, separate=True)
    generation = read_json(tmp_path / "generation_config.json")
    (tmp_path / "generation_config.json").unlink()
    config = read_json(tmp_path / "config.json")
    keys = ("num_beams", "max_length", "bad_words_ids")
    old = config | {key: generation[key] for key in keys}
    (tmp_path / "config.json").write_text(json.dumps(old))
    options = {key: generation[key] for key in keys}
    expected = their_outputs(tmp_path, SOURCES, **options)
    assert our_outputs(load(tmp_path), SOURCES, monkeypatch) == expected


def test_texts_come_out_as_transformers_decodes_them(tmp_path):
    from transformers import MarianTokenizer

    tiny_marian.write_published(tmp_path)
    tokenizer = MarianTokenizer.from_pretrained(tmp_path)
    expected = tokenizer.batch_decode(their_outputs(tmp_path, SOURCES), skip_special_tokens=True)
    assert load(tmp_path).translate(SOURCES) == expected


def test_evaluate_and_attention_take_a_published_folder(tmp_path):
    tiny_marian.write_published(tmp_path / "model")
    rows = [
        {"source": a, "target": b}
        for a, b in zip(SOURCES, tiny_marian.sentences(tiny_marian.GERMAN, 12), strict=True)
    ]
    data = tmp_path / "test.jsonl"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert evaluate(tmp_path / "model", str(data))["metrics"]["bleu"]["n"] == 12
    maps = attention_of(load(tmp_path / "model"), SOURCES[0])
    # Two blocks that read, and two that write with two attentions each.
    assert len(maps) == 6


def test_a_saved_translator_writes_the_same(tmp_path):
    tiny_marian.write_published(tmp_path / "theirs")
    translator = load(tmp_path / "theirs")
    (tmp_path / "ours").mkdir()
    translator.save(tmp_path / "ours")
    again = load(tmp_path / "ours")
    assert again.translate(SOURCES) == translator.translate(SOURCES)
    assert again.facts == translator.facts


def test_what_a_folder_says_of_its_decoding_survives_both_ways(tmp_path):
    tiny_marian.write_published(tmp_path)
    set_generation(tmp_path, num_beams=5, length_penalty=0.5, renormalize_logits=True)
    facts = read_facts(tmp_path)
    assert (facts.kind, facts.method, facts.max_length) == ("translation", "published", 64)
    decode = facts.decode
    assert decode is not None
    again = generation_of(decode, end_id=0).model_dump(exclude_defaults=True)
    (tmp_path / "generation_config.json").write_text(json.dumps(again))
    assert published_facts(tmp_path) == facts


def test_a_token_without_a_row_is_named(tmp_path):
    size = tiny_marian.write_marian_tokenizers(tmp_path)
    tiny_marian.write_marian(
        tmp_path, vocab_size=size - 3, pad_token_id=size - 4, decoder_start_token_id=size - 4
    )
    vocabulary = json.loads((tmp_path / "vocab.json").read_text())
    names = {number: token for token, number in vocabulary.items()}
    moved = {names[size - 4]: size - 1, "<pad>": size - 4}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary | moved))
    with pytest.raises(DataError, match=rf"tokenizer has {size} tokens.*first without a row: "):
        load(tmp_path)


def test_a_vocabulary_that_begins_or_ends_otherwise_is_refused(tmp_path):
    tiny_marian.write_published(tmp_path, eos_token_id=2, forced_eos_token_id=2)
    with pytest.raises(DataError, match='eos_token_id is 2, but "</s>" has the id 0'):
        load(tmp_path)


def test_a_folder_with_a_pickle_alone_is_told_how_to_convert_it(tmp_path):
    tiny_marian.write_published(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(MissingInputError, match=rf"lowkey convert {tmp_path} OUT"):
        load(tmp_path)
