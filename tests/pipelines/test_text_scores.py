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
    assert scores.keys() == {"exact_match", "word_error_rate", "token_error_rate"}
    assert scores["exact_match"].value == 0.5
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
    assert abs(scores["ter"].value - sacrebleu.corpus_ter(outputs, [targets]).score) < 1e-9
    assert all("nrefs:1|" in score.signature for score in scores.values())


def test_ter_is_left_out_where_time_matters():
    scores = text_scores(["a b c d"], [["a b c d"]], "text", thorough=False)
    assert scores.keys() == {"bleu", "chrf"}


def test_alternatives_are_further_references_of_a_text():
    outputs = ["the cat sat on the mat today", "a dog barked at the small cat"]
    allowed = [["a cat was here today", outputs[0]], ["the dog barked at the small cat"]]
    scores = text_scores(outputs, allowed, "text")
    streams = [[a[0] for a in allowed], [outputs[0], None]]
    assert abs(scores["bleu"].value - sacrebleu.corpus_bleu(outputs, streams).score) < 1e-9
    assert abs(scores["ter"].value - sacrebleu.corpus_ter(outputs, streams).score) < 1e-9
    assert "nrefs:var|" in scores["bleu"].signature
    first = text_scores(outputs, [a[:1] for a in allowed], "text")
    assert first["bleu"].value < scores["bleu"].value
