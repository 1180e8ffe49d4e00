"""The classifier: its shape, its precision, and the parameter count that LoRA papers leave out."""

import torch

from lowkey.models.config import EncoderConfig
from lowkey.models.encoder import Encoder
from lowkey.models.heads import SequenceClassifier
from lowkey.nn.layout import SequenceLayout


def test_scores_each_sentence_in_fp32() -> None:
    config = EncoderConfig(vocab_size=30, d_model=16, num_layers=1, num_heads=4, d_ff=32)
    model = SequenceClassifier(Encoder(config), 3).compute_in(torch.bfloat16).eval()
    logits = model(torch.randint(0, 30, (9,)), SequenceLayout([2, 7]))
    assert logits.shape == (2, 3)
    assert logits.dtype == torch.float32


def test_bert_base_has_the_published_number_of_parameters() -> None:
    config = EncoderConfig(vocab_size=30522, d_model=768, num_layers=12, num_heads=12, d_ff=3072)
    with torch.device("meta"):
        encoder = Encoder(config)
    assert sum(p.numel() for p in encoder.parameters()) == 109_482_240
