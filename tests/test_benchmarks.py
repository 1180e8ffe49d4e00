"""The harness of the benchmarks, and that what they compare is the same work."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

# benchmarks/ stands beside src/ and is no part of the installed package.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import adapter_bank, data_memory, lora_work, summary, translation_work
from benchmarks.attention_kernels import fused
from benchmarks.ceiling import Product, ceiling, products_flop
from benchmarks.clock import Cost, StepClock
from benchmarks.lora_rival import Rival
from benchmarks.side_by_side import Benchmark, Claim, Side, Window, measure, table, write_report
from benchmarks.translation_rival import Rival as TranslationRival
from lowkey.lora.rows import Rows
from lowkey.models.config import EncoderConfig, TransformerConfig
from lowkey.models.transformer import Transformer
from lowkey.nn.dropout import Dropout
from lowkey.nn.kernels import reference
from lowkey.nn.layout import SequenceLayout

TINY = EncoderConfig(
    vocab_size=50, d_model=16, num_layers=2, num_heads=2, d_ff=32, max_positions=128
)
TINY_TRANSFORMER = TransformerConfig(
    source_vocab_size=40,
    target_vocab_size=40,
    d_model=16,
    num_heads=2,
    num_encoder_layers=1,
    num_decoder_layers=2,
    d_ff=32,
)
SCALE = lora_work.Scale(steps=2, repeats=2, batch_size=4)


def _constant(seconds: dict[int, float]):
    """A side whose cost depends on the number of samples of the window alone."""
    return lambda window: Cost(cpu=seconds[window.samples], wall=2 * seconds[window.samples])


def _trivial(claims: list[Claim]) -> Benchmark:
    windows = [Window([[0], [1, 2]], samples=2, tokens=10), Window([[0], [3]], 1, 5)]
    sides = [
        Side("ours", "bf16", "", "plan", _constant({2: 1.0, 1: 1.0})),
        Side("theirs", "fp32", "", "plan", _constant({2: 3.0, 1: 5.0})),
        Side("elsewhere", "fp32", "", "other plan", _constant({2: 1.0, 1: 1.0})),
    ]
    plans = {"plan": windows, "other plan": windows}
    return Benchmark("trivial", {}, sides, claims, plans, [Product(4, 4, 1, trained=True)])


def test_ratios_are_taken_pair_by_pair_and_speeds_are_medians(tmp_path):
    report = measure(_trivial([Claim("ours", "theirs", goal=4.0)]))
    for name, clock in (("one core", 1), ("all cores", 2)):
        part = report["passes"][name]
        assert part["ratios"][0]["repeats"] == [3.0, 5.0]
        assert part["ratios"][0]["ratio"] == 4.0
        assert part["sides"]["ours"]["samples_per_second"] == pytest.approx(1.5 / clock)
        assert part["sides"]["theirs"]["useful_tokens_per_second"] == pytest.approx(
            np.mean([10 / 3, 1]) / clock, abs=0.1
        )
    assert "4.00 times as fast as theirs (3.00 to 5.00, goal 4.0)" in table(report)
    write_report(report, tmp_path / "a" / "trivial.json")
    written = (tmp_path / "a" / "trivial.json").read_text()
    assert json.loads(written) == report
    assert str(Path.home()) not in written


def test_sides_on_different_batches_are_not_compared():
    with pytest.raises(ValueError, match="same batches"):
        measure(_trivial([Claim("ours", "elsewhere")]))


def test_the_first_step_of_a_window_does_not_count():
    clock = StepClock([Cost(1.0, 10.0), Cost(2.0, 30.0), Cost(4.0, 60.0)])
    assert clock.window(2) == Cost(3.0, 50.0)
    with pytest.raises(RuntimeError, match="2 steps were made instead of 3"):
        clock.window(3)


def test_ceiling_is_a_speed_of_the_counted_products():
    products = [Product(8, 16, 3, trained=True), Product(16, 8, 2, trained=False)]
    assert products_flop(products, 10) == 2 * 10 * 8 * 16 * (3 * 3 + 2 * 2)
    ticks = iter(range(10**6))
    assert ceiling(products, 10, torch.float32, lambda: float(next(ticks))) == pytest.approx(
        products_flop(products, 10) / (3 * 3 + 2 * 2)
    )


@pytest.fixture(scope="module")
def lora():
    examples, windows = lora_work.make_windows(SCALE, TINY.vocab_size)
    return examples, windows, Rival(TINY, lora_work.LORA, examples, lora_work.OPTIMIZER)


def test_grouped_batches_hold_like_lengths_and_no_sentence_twice(lora):
    examples, windows, _ = lora
    used = [i for plan in windows.values() for w in plan for batch in w.batches for i in batch]
    assert len(used) == len(set(used)) == 2 * 2 * 3 * 4
    for window in windows["grouped"]:
        for batch in window.batches:
            lengths = examples.lengths[batch]
            # Four neighbours of two hundred sorted ones; only the longest differ much.
            assert lengths.max() - lengths.min() <= 0.5 * lengths.max()


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_both_sides_of_the_lora_step_do_the_same_work(lora, precision):
    examples, _, rival = lora
    model = lora_work.our_model(rival, TINY, precision)
    lora_work.assert_equal_work(model, rival)
    if precision == torch.float32:
        lora_work.assert_equal_answers(model, rival, examples)


def test_unequal_work_is_refused(lora):
    examples, _, rival = lora
    model = lora_work.our_model(rival, TINY, torch.float32)
    model.encoder.blocks[0].attention.query.lora_A.weight.requires_grad_(False)
    with pytest.raises(AssertionError, match="trained parameters differ"):
        lora_work.assert_equal_work(model, rival)
    model = lora_work.our_model(rival, TINY, torch.float32)
    model.encoder.blocks[1].attention.dropout = Dropout(0.0)
    with pytest.raises(AssertionError, match="dropouts differ"):
        lora_work.assert_equal_work(model, rival)
    model = lora_work.our_model(rival, TINY, torch.float32)
    with torch.no_grad():
        model.encoder.blocks[1].feed_forward.down.weight.zero_()
    with pytest.raises(AssertionError, match="logits differ"):
        lora_work.assert_equal_answers(model, rival, examples)


def test_both_sides_of_the_lora_step_train(lora):
    examples, windows, rival = lora
    model = lora_work.our_model(rival, TINY, torch.float32)
    before = model.classifier.weight.detach().clone()
    cost = lora_work.train_ours(model, examples, windows["mixed"][0])
    assert cost.cpu > 0
    assert not torch.equal(model.classifier.weight, before)
    # One after the other in one process, which transformers does not expect: each asserts within
    # that it really computes in its precision.
    for bf16 in (False, True, False):
        assert rival.train(windows["grouped"][0], bf16=bf16, attention="eager").cpu > 0


def test_both_sides_of_the_translation_step_do_the_same_work():
    config = TINY_TRANSFORMER
    pairs, windows = translation_work.make_windows(config, 2, 1, batch_tokens=200, corpus=100)
    rival = TranslationRival(config, pairs, translation_work.OPTIMIZER, 0.1)
    model = Transformer(config).train()
    translation_work.assert_equal_work(model, rival)
    for plan in windows.values():
        assert rival.train(plan[0], bf16=True).cpu > 0
        assert translation_work.train_ours(model, pairs, plan[0]).cpu > 0
    less = Transformer(config.model_copy(update={"dropout": 0.2})).train()
    with pytest.raises(AssertionError, match="dropouts differ"):
        translation_work.assert_equal_work(less, rival)


def test_the_kernel_of_torch_is_measured_on_the_same_task():
    layout = SequenceLayout([3, 5])
    q, k, v = torch.randn(3, 8, 8).unbind()
    expected = reference(q, k, v, layout, layout, num_heads=2)
    torch.testing.assert_close(fused(q, k, v, layout, layout, num_heads=2), expected)


def test_the_readme_says_what_was_measured():
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert summary.block() in readme, "put in what python -m benchmarks.summary prints"


def test_pairs_on_the_disk_are_measured_on_the_batches_of_pairs_in_memory():
    cases = {way: data_memory._measure(way, 300) for way in ("memory", "disk", "stream")}
    assert {case["pairs"] for case in cases.values()} == {300}
    # One window holds them all, so that even the stream must give the same.
    assert len({case["batches_sha256"] for case in cases.values()}) == 1
    assert all(case["own_peak_mib"] > 1 for case in cases.values())


def test_the_sides_of_the_adapter_bank_are_the_same_work(monkeypatch):
    monkeypatch.setattr(adapter_bank, "ENCODERS", {"tiny": TINY})
    scale = adapter_bank.Scale(adapters=3, sentences=6, repeats=2)
    monkeypatch.setattr(adapter_bank, "Scale", lambda **_: scale)
    report = adapter_bank.run(quick=True, passes=["one core"])
    json.dumps(report)
    ways = report["passes"]["one core"]["encoders"]["tiny"]
    assert ways["one adapter"]["ratio"] == 1
    assert all(len(way["repeats"]) == 2 and way["milliseconds"] > 0 for way in ways.values())
    assert "times one adapter" in adapter_bank.show(report)


def test_an_adapter_bank_that_mixes_rows_up_is_not_timed(monkeypatch):
    monkeypatch.setattr(
        adapter_bank, "Rows", lambda names, lengths=None: Rows(names[:1] * 6, lengths)
    )
    with pytest.raises(AssertionError, match="not close"):
        adapter_bank.sides(TINY, adapter_bank.Scale(adapters=3, sentences=6))
