"""The tokenizer files of a Marian folder, written for transformers."""

import warnings

import pytest
import tiny_marian

from lowkey.data.marian_tokenizers import load_marian_tokenizers, save_marian_tokenizers


@pytest.mark.parametrize("separate", [False, True])
def test_transformers_reads_what_is_written(tmp_path, separate):
    from transformers import AutoTokenizer, MarianTokenizer

    tiny_marian.write_marian_tokenizers(tmp_path / "theirs", separate=separate, codes=[">>deu<<"])
    source, target = load_marian_tokenizers(tmp_path / "theirs")
    (tmp_path / "ours").mkdir()
    save_marian_tokenizers(source, target, tmp_path / "ours", max_length=77)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = MarianTokenizer.from_pretrained(tmp_path / "theirs")
        tiny_marian.write_marian(tmp_path / "ours")
        after = AutoTokenizer.from_pretrained(tmp_path / "ours")
    texts = [*tiny_marian.sentences(tiny_marian.ENGLISH, 9), ">>deu<< the cat"]
    assert after(texts)["input_ids"] == before(texts)["input_ids"]
    targets = tiny_marian.sentences(tiny_marian.GERMAN, 9)
    assert after(text_target=targets)["input_ids"] == before(text_target=targets)["input_ids"]
    assert after.model_max_length == 77
    assert (tmp_path / "ours" / "target_vocab.json").exists() == separate
