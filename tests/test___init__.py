import pytest

import lowkey


def test_the_public_names_are_what_they_say() -> None:
    from lowkey.lora.inject import inject
    from lowkey.models.transformer import Transformer

    assert lowkey.inject_lora is inject
    assert lowkey.Transformer is Transformer
    assert {"Encoder", "MultiHeadAttention", "SequenceLayout", "load"} <= set(dir(lowkey))
    with pytest.raises(AttributeError, match="no attribute 'transformer_of_tomorrow'"):
        _ = lowkey.transformer_of_tomorrow
