"""The encoder: padded ids at the door, kernels, independence; tests/hf hold it to BERT."""

import pytest
import torch

from lowkey.models.config import EncoderConfig
from lowkey.models.encoder import Encoder
from lowkey.nn.layout import SequenceLayout

CONFIG = EncoderConfig(vocab_size=30, d_model=16, num_layers=2, num_heads=4, d_ff=32)


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder(CONFIG).eval()


def test_padded_ids_give_what_ragged_ids_give(encoder: Encoder) -> None:
    ids = torch.randint(0, 30, (3, 7))
    mask = torch.tensor([[1] * 7, [1] * 2 + [0] * 5, [1] * 5 + [0] * 2])
    segments = torch.randint(0, 2, (3, 7))
    layout = SequenceLayout([7, 2, 5])
    real = mask.bool()
    ragged = encoder(ids[real], layout, segments[real])
    padded = encoder(ids, mask, segments)
    torch.testing.assert_close(padded[real], ragged)
    assert not padded[~real].any()
    torch.testing.assert_close(encoder(ids)[0], encoder(ids, mask)[0])
    with pytest.raises(TypeError, match="SequenceLayout"):
        encoder(ids[real])


def test_kernels_agree_through_the_whole_model(encoder: Encoder) -> None:
    truth = Encoder(CONFIG, kernel="reference").eval()
    truth.load_state_dict(encoder.state_dict())
    layout = SequenceLayout([3, 90, 5])
    ids = torch.randint(0, 30, (98,))
    torch.testing.assert_close(encoder(ids, layout), truth(ids, layout), atol=1e-5, rtol=0)


def test_a_sentence_does_not_depend_on_its_batch(encoder: Encoder) -> None:
    layout = SequenceLayout([3, 90, 5])
    ids = torch.randint(0, 30, (98,))
    together = encoder.pool(encoder(ids, layout), layout)
    for sentence in range(3):
        rows, alone = layout.select([sentence])
        pooled = encoder.pool(encoder(ids[rows], alone), alone)
        torch.testing.assert_close(pooled[0], together[sentence], atol=1e-5, rtol=0)


def test_bf16_computes_in_bf16_and_stays_near(encoder: Encoder) -> None:
    layout, ids = SequenceLayout([4, 6]), torch.randint(0, 30, (10,))
    exact = encoder(ids, layout)
    rough = encoder.compute_in(torch.bfloat16)(ids, layout)
    assert rough.dtype == torch.bfloat16
    assert (exact - rough.float()).abs().max() < 0.1
