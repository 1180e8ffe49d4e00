import numpy as np
import tiny_tasks
from sklearn.feature_extraction.text import TfidfVectorizer

from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.experiments import translation_baselines as module
from lowkey.experiments.translation_baselines import COPY, NEAREST, translation_baselines


def rows(tmp_path, pairs):
    lines = [{"source": source, "target": target} for source, target in pairs]
    tiny_tasks.write_jsonl(tmp_path / "rows.jsonl", lines)
    return read_rows(
        str(tmp_path / "rows.jsonl"), DataConfig(), ("source", "target"), key="data.test"
    )


def random_pairs(count, seed):
    draw = np.random.default_rng(seed)
    words = ["haus", "hausen", "katze", "kater", "rot", "brot", "lauf", "laufen"]
    sources = [" ".join(draw.choice(words, size=draw.integers(1, 5))) for _ in range(count)]
    return [(source, f"target {i}") for i, source in enumerate(sources)]


def test_the_nearest_pair_is_that_of_the_greatest_cosine(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 7)
    known, asked = random_pairs(40, seed=0), random_pairs(20, seed=1)
    found = translation_baselines(rows(tmp_path, known), rows(tmp_path, asked))
    assert found.keys() == {COPY, NEAREST}
    assert found[COPY] == [source for source, _ in asked]
    padded = [[f" {source} " for source, _ in pairs] for pairs in (known, asked)]
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(2, 4), sublinear_tf=True).fit(
        padded[0]
    )
    a, b = (vectorizer.transform(texts).toarray() for texts in padded)
    cosines = b @ a.T / np.outer(np.linalg.norm(b, axis=1), np.linalg.norm(a, axis=1))
    for output, cosine in zip(found[NEAREST], cosines, strict=True):
        assert cosine[int(output.split()[1])] > cosine.max() - 1e-6


def test_a_known_source_gets_its_own_target_even_one_letter(tmp_path):
    known = [("x y", "1"), ("Z", "2"), ("w", "3")]
    found = translation_baselines(rows(tmp_path, known), rows(tmp_path, [("z", "?"), ("x y", "?")]))
    assert found[NEAREST] == ["2", "1"]


def test_the_order_of_the_rows_is_irrelevant(tmp_path):
    known = rows(tmp_path, random_pairs(40, seed=0))
    asked = random_pairs(10, seed=2)
    one = translation_baselines(known, rows(tmp_path, asked))[NEAREST]
    assert translation_baselines(known, rows(tmp_path, asked[::-1]))[NEAREST] == one[::-1]
