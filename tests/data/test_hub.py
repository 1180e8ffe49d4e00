"""Parquet and saved data sets, written by ``datasets`` itself."""

import datasets
import pytest

from lowkey.data.config import DataConfig
from lowkey.data.hub import read_hub
from lowkey.data.sources import read_rows
from lowkey.errors import DataError, MissingInputError


@pytest.fixture
def dataset():
    classes = datasets.ClassLabel(names=["bad", "good"])
    features = datasets.Features({"text": datasets.Value("string"), "label": classes})
    values = {"text": ["NA", "b", "c"], "label": [1, 0, -1]}
    return datasets.Dataset.from_dict(values, features=features)


def read(path, key="data.train", **settings):
    return read_rows(str(path), DataConfig(**settings), ("text", "label"), key=key)


def test_class_numbers_become_names_and_minus_one_is_empty(dataset, tmp_path):
    dataset.to_parquet(tmp_path / "train.parquet")
    rows = read(tmp_path / "train.parquet", empty="drop")
    assert list(rows) == [{"text": "NA", "label": "good"}, {"text": "b", "label": "bad"}]
    assert rows.num_dropped == 1
    with pytest.raises(DataError, match=r'1 row has an empty "label" \(first: .*parquet row 3\)'):
        read(tmp_path)


def test_lists_of_class_numbers_become_lists_of_names(tmp_path):
    tags = datasets.List(datasets.ClassLabel(names=["O", "B-PER"]))
    features = {"tokens": datasets.List(datasets.Value("string")), "ner_tags": tags}
    values = {"tokens": [["Anna", "sings"], ["a"]], "ner_tags": [[1, 0], [-1]]}
    made = datasets.Dataset.from_dict(values, features=datasets.Features(features))
    made.to_parquet(tmp_path / "train.parquet")
    config = DataConfig(columns={"tags": "ner_tags"})
    path = str(tmp_path / "train.parquet")
    with pytest.raises(DataError, match=r'row 2: "ner_tags" must be a list of tags, none of them'):
        read_rows(path, config, ("tokens", "tags"), key="data.train")
    made.select([0]).to_parquet(tmp_path / "train.parquet")
    rows = read_rows(path, config, ("tokens", "tags"), key="data.train")
    assert list(rows) == [{"tokens": ["Anna", "sings"], "tags": ["B-PER", "O"]}]


def test_saved_folders_give_the_split(dataset, tmp_path):
    splits = {"train": dataset.select([0]), "test": dataset.select([1])}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "both")
    dataset.select([0]).save_to_disk(tmp_path / "one")
    assert read(tmp_path / "both").column("text") == ["NA"]
    assert read(tmp_path / "both", "data.test").column("text") == ["b"]
    assert read(tmp_path / "one", "data.test").column("text") == ["NA"]
    with pytest.raises(MissingInputError, match='no split "validation"; it has: train, test'):
        read(tmp_path / "both", "data.validation")


def test_damaged_files_are_one_line(dataset, tmp_path):
    (tmp_path / "train.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="not a Parquet file that can be read"):
        read(tmp_path)
    dataset.save_to_disk(tmp_path / "saved")
    (tmp_path / "saved" / "state.json").write_text("{")
    with pytest.raises(DataError, match="save_to_disk"):
        read(tmp_path / "saved")


@pytest.mark.parametrize("plain", [False, True])
def test_a_column_of_translations_is_read_by_its_languages(tmp_path, plain):
    pairs = [{"en": "yes", "de": "ja"}, {"en": "no", "de": "nein"}]
    features = None if plain else {"translation": datasets.Translation(languages=["de", "en"])}
    made = datasets.Dataset.from_dict(
        {"translation": pairs}, features=features and datasets.Features(features)
    )
    made.to_parquet(tmp_path / "train.parquet")
    made.save_to_disk(tmp_path / "saved")
    made.to_json(tmp_path / "train.jsonl")
    columns = {"source": "translation.en", "target": "translation.de"}
    for name in ("train.parquet", "saved", "train.jsonl"):
        config = DataConfig(columns=columns)
        rows = read_rows(str(tmp_path / name), config, ("source", "target"), key="data.train")
        assert list(rows) == [{"source": p["en"], "target": p["de"]} for p in pairs]
    with pytest.raises(
        DataError, match=r"its columns are: translation\.\w+, translation\.\w+ — name"
    ):
        read_rows(str(tmp_path / "saved"), DataConfig(), ("source", "target"), key="data.train")


def test_names_and_splits_reach_the_library(dataset, monkeypatch):
    asked = []

    def load_dataset(name, config, *, split):
        asked.append((name, config, split))
        return dataset.select([0])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    read("owner/name")
    read("owner/name:small", "data.validation")
    read("owner/name:small@validation_matched", "data.validation")
    assert asked == [
        ("owner/name", None, "train"),
        ("owner/name", "small", "validation"),
        ("owner/name", "small", "validation_matched"),
    ]


@pytest.mark.parametrize(
    ("raised", "error", "words"),
    [
        (datasets.exceptions.DatasetNotFoundError("gone"), MissingInputError, 'no data set "o/n"'),
        (ValueError("Unknown split\nand more"), DataError, r"o/n cannot be read \(Unknown split\)"),
        (OSError("disk broke"), DataError, "disk broke"),
    ],
)
def test_other_failures_of_the_library_are_one_line(monkeypatch, raised, error, words):
    def load_dataset(*args, **settings):
        raise raised

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(error, match=words):
        read_hub("o/n", None, "train")
