import json

import pytest
import torch
import torch.nn.functional as F
from pipelines.bundles import saved, translator
from safetensors.torch import load_file

from lowkey.data.config import DataConfig
from lowkey.data.sources import read_rows
from lowkey.decoding.beam import beam_search
from lowkey.errors import DataError, MissingInputError
from lowkey.nn.layout import SequenceLayout
from lowkey.pipelines import generation
from lowkey.pipelines import translator as room
from lowkey.pipelines.bundle import Facts
from lowkey.pipelines.translator import Translator

SOURCES = ["a b c", "d", "e f g h a b c d e", "c c", "h g"]
TARGETS = ["u", "v w x u v w", "x x", "w v u", "u u u u"]


def rows(tmp_path, *lines):
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return read_rows(str(path), DataConfig(), ("source", "target"), key="data.test")


def pairs(tmp_path):
    return rows(
        tmp_path,
        *({"source": s, "target": t} for s, t in zip(SOURCES, TARGETS, strict=True)),
    )


def ids(tokenizer, text):
    return tokenizer.encode([text], special_tokens=False).tokens.values.tolist()


def logits(ours, source, target):
    """Logits of one pair, alone."""
    read = torch.tensor([*ids(ours.source_tokenizer, source), ours.source_tokenizer.end_id])
    said = torch.tensor([ours.target_tokenizer.begin_id, *ids(ours.target_tokenizer, target)])
    with torch.no_grad():
        return ours.model(read, SequenceLayout([len(read)]), said, SequenceLayout([len(said)]))


@pytest.mark.parametrize("tokens", [1, 12, 8192])
def test_likelihood_is_cross_entropy_over_padded_pairs(tokens, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "SCORE_TOKENS", tokens)
    ours = translator()
    labels = [[*ids(ours.target_tokenizer, text), ours.target_tokenizer.end_id] for text in TARGETS]
    longest = max(map(len, labels))
    scores = torch.zeros(len(labels), longest, ours.model.config.target_vocab_size)
    truth = torch.full((len(labels), longest), -100)
    for i, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        scores[i, : len(labels[i])] = logits(ours, source, target)
        truth[i, : len(labels[i])] = torch.tensor(labels[i])
    expected = F.cross_entropy(scores.transpose(1, 2), truth, ignore_index=-100)
    assert ours.nll(ours.examples(pairs(tmp_path))) == pytest.approx(float(expected), abs=1e-5)
    # Without the end tokens, or with the padding counted, it would be another number.
    counted = F.cross_entropy(scores.transpose(1, 2), truth.clamp(min=0))
    assert abs(float(counted) - float(expected)) > 0.01


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("tokens", [1, 24, 4096])
def test_a_translation_keeps_its_place_and_ignores_its_neighbours(beams, tokens, monkeypatch):
    monkeypatch.setattr(generation, "SEARCH_TOKENS", tokens)
    ours = translator(decode={"num_beams": beams, "max_length": 12})
    alone = [ours.translate([text])[0] for text in SOURCES]
    assert ours.translate(SOURCES) == alone
    assert ours.translate(SOURCES[::-1]) == alone[::-1]
    assert len(set(alone)) > 2


def test_the_search_is_the_one_that_the_facts_ask_for():
    outputs = {}
    for beams in (1, 3):
        ours = translator(decode={"num_beams": beams, "max_length": 12, "length_penalty": 0.5})
        read = torch.tensor([*ids(ours.source_tokenizer, "c c"), ours.source_tokenizer.end_id])
        with torch.inference_mode():
            ((best,),) = beam_search(
                ours.model.start(read, SequenceLayout([len(read)])),
                begin_id=ours.target_tokenizer.begin_id,
                end_id=ours.target_tokenizer.end_id,
                max_length=12,
                num_beams=beams,
                length_penalty=0.5,
            )
        outputs[beams] = ours.translate(["c c"])
        assert outputs[beams] == [ours.target_tokenizer.decode(best.token_ids)]
    assert outputs[1] != outputs[3]


def never_ending(**decode):
    """A translator that says one word for ever."""
    ours = translator(decode=decode, tie_embeddings=False)
    with torch.no_grad():
        ours.model.output.weight.zero_()
        word = ids(ours.target_tokenizer, "u")[0]
        # Post-norm leaves vectors with this component far from zero in one direction only.
        ours.model.decoder_blocks[-1].feed_forward_norm.weight.zero_()
        ours.model.decoder_blocks[-1].feed_forward_norm.bias.fill_(1.0)
        ours.model.output.weight[word] = 1.0
    return ours


def test_outputs_are_bounded_by_their_sources():
    lengths = [4, 2, 10, 3, 3]  # with the end token
    said = never_ending(max_length=100, max_ratio=1.5).translate(SOURCES)
    assert [len(text.split()) for text in said] == [-(-3 * n // 2) + 5 for n in lengths]
    said = never_ending(max_length=8, max_ratio=1.5).translate(SOURCES)
    assert [len(text.split()) for text in said] == [8, 8, 8, 8, 8]
    said = never_ending(max_length=30).translate(SOURCES)
    assert [len(text.split()) for text in said] == [30] * 5


def test_the_form_of_the_answers():
    ours = translator(decode={"max_length": 5})
    assert ours.predict(["a", "b c"]) == [{"text": t} for t in ours.translate(["a", "b c"])]
    assert ours.predict([]) == []


def test_a_source_without_words_is_translated_too():
    assert len(translator(decode={"max_length": 5}).translate(["", "zzz", "a"])) == 3


def test_scores_take_alternatives(tmp_path):
    ours = translator(decode={"max_length": 6})
    said = ours.translate(["a b", "c"])
    wrong = rows(tmp_path, *({"source": s, "target": "x x x x x"} for s in ("a b", "c")))
    scores, outputs = ours.score(wrong)
    assert outputs == said
    assert scores["word_error_rate"].value == 1.0
    lines = [
        {"source": s, "target": "x x x x x", "alternatives": [t, "u"]}
        for s, t in zip(("a b", "c"), said, strict=True)
    ]
    scores, _ = ours.score(rows(tmp_path, *lines))
    assert scores["word_error_rate"].value == 0.0
    text = translator(decode={"max_length": 6}, task="text")
    assert text.score(wrong)[0].keys() == {"bleu", "chrf", "ter"}


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("changes", [{}, {"norm": "pre", "positions": "learned"}])
def test_what_was_saved_computes_the_same_bits(joint, tied, changes, tmp_path):
    ours = translator(
        joint=joint, tie_embeddings=tied, decode={"max_length": 7}, max_length=20, **changes
    )
    folder = saved(ours, tmp_path / "best")
    loaded = Translator.load(folder)
    assert loaded.facts == ours.facts
    target = "a b" if joint else "u v"
    assert torch.equal(logits(ours, "a b c", target), logits(loaded, "a b c", target))
    assert loaded.translate(SOURCES) == ours.translate(SOURCES)
    source, other = (
        getattr(loaded.model, f"{side}_embeddings").token.weight for side in ("source", "target")
    )
    assert (source is other) is joint
    assert (loaded.model.output is None) is tied
    held = load_file(folder / "model.safetensors")
    assert sum(t.numel() for t in held.values()) == sum(p.numel() for p in ours.model.parameters())
    # A translator with other weights says something else.
    with torch.no_grad():
        loaded.model.target_embeddings.token.weight.add_(torch.randn(other.shape))
    assert not torch.allclose(logits(ours, "a b c", target), logits(loaded, "a b c", target))


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_tokenizer_of_another_model_is_refused(side, tmp_path):
    folder = saved(translator(), tmp_path / "best")
    other = {"source": "target", "target": "source"}[side]
    content = (folder / other / "tokenizer.json").read_bytes()
    (folder / side / "tokenizer.json").write_bytes(content)
    sizes = {
        "source": r"7 tokens, the embedding 11 rows",
        "target": r'11 tokens, the embedding 7 rows \(first without a row: ".+"\)',
    }
    with pytest.raises(DataError, match=f"{side}: tokenizer has {sizes[side]} — use the"):
        Translator.load(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"d_ff": 32}, r"decoder_blocks\.0\.feed_forward\.down\.weight is \(16, 24\), expected"),
        ({"num_encoder_layers": 3}, r"encoder_blocks\.2\..* is missing, expected"),
        ({"num_decoder_layers": 1}, r"decoder_blocks\.1\..* expected nothing"),
        ({"norm": "pre"}, r"decoder_norm\.bias is missing, expected"),
        ({"tie_embeddings": False}, r"output\.weight is missing"),
        ({"d_model": 10**7}, "d_model: "),
        ({"source_vocab_size": 10**6}, r"source_embeddings\.token\.weight is \(11, 16\), expected"),
        ({"num_heads": 3}, "d_model 16 is not divisible by num_heads 3"),
        ({"num_heads": 0}, "num_heads: "),
        ({"share_embeddings": True}, "share_embeddings needs one vocabulary"),
        ({"kernel": "evil"}, "kernel: "),
    ],
)
def test_sizes_and_weights_of_two_models_are_refused(changes, words, tmp_path):
    folder = saved(translator(), tmp_path / "best")
    sizes = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(sizes | changes))
    with pytest.raises(DataError, match=words) as caught:
        Translator.load(folder)
    assert "\n" not in str(caught.value)


def test_facts_that_outgrow_learned_positions_are_refused(tmp_path):
    ours = translator(positions="learned", max_positions=8, max_length=8, decode={"max_length": 8})
    folder = saved(ours, tmp_path / "best")
    long = "a b c d " * 9
    cut = ours.translate([long], long="truncate")
    assert Translator.load(folder).translate([long], long="truncate") == cut
    for changes in ({"max_length": 9}, {"max_length": None}, {"decode": {"max_length": 9}}):
        facts = ours.facts.model_dump() | changes
        Facts(**facts).write(folder)
        with pytest.raises(DataError, match="but the model numbers 8"):
            Translator.load(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "target", "lowkey.json"])
def test_a_bundle_with_a_part_missing_is_refused(name, tmp_path):
    folder = saved(translator(), tmp_path / "best")
    (folder / name).rename(tmp_path / "away")
    with pytest.raises(MissingInputError):
        Translator.load(folder)
