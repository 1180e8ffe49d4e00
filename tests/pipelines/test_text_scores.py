import sacrebleu

from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.pipelines.text_scores import allowed_targets, text_scores


def rows(tmp_path, text):
    (tmp_path / "pairs.jsonl").write_text(text)
    return read_rows(
        str(tmp_path / "pairs.jsonl"), DataConfig(), ("source", "target"), key="data.test"
    )


def test_the_target_comes_first_and_each_once(tmp_path):
    text = (
        '{"source": "a", "target": "x", "alternatives": ["y", "x", "y"]}\n'
        '{"source": "b", "target": "z", "alternatives": []}\n'
    )
    assert allowed_targets(rows(tmp_path, text)) == [["x", "y"], ["z"]]
    assert allowed_targets(rows(tmp_path, '{"source": "a", "target": "x"}\n')) == [["x"]]


def test_words_are_right_if_they_equal_any_target():
    allowed = [["K AE T", "K AH T"], ["D AO G"]]
    scores = text_scores(["K AH T", "D AO"], allowed, "words")
    assert scores.keys() == {"word_error_rate", "token_error_rate"}
    assert scores["word_error_rate"].value == 0.5
    assert scores["token_error_rate"].value == 1 / 6
    alone = text_scores(["K AH T", "D AO"], [a[:1] for a in allowed], "words")
    assert alone["word_error_rate"].value == 1.0
    # Tokens, not letters: one of two wrong, though two letters of four are.
    assert text_scores(["K AE"], [["K OW"]], "words")["token_error_rate"].value == 0.5


def test_texts_are_scored_by_sacrebleu():
    outputs = ["the cat sat on the mat today", "a dog barked at the small cat"]
    targets = ["the cat sat on a mat today", "the dog barked at the small cat"]
    scores = text_scores(outputs, [[t] for t in targets], "text")
    assert abs(scores["bleu"].value - sacrebleu.corpus_bleu(outputs, [targets]).score) < 1e-9
    assert abs(scores["chrf"].value - sacrebleu.corpus_chrf(outputs, [targets]).score) < 1e-9
    assert scores["bleu"].signature
