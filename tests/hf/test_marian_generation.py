"""``generation_config.json``: what a search of ours can do, and nothing else."""

import json

import pytest
import tiny_marian

from lowkey.errors import DataError
from lowkey.files import read_json
from lowkey.hf.marian_generation import read_generation


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"do_sample": True}, "do_sample must be False"),
        ({"guidance_scale": 2.0}, 'unknown key "guidance_scale"'),
        ({"bad_words_ids": [[1, 2]]}, "bad_words_ids"),
        ({"forced_eos_token_id": 5}, "another token than eos_token_id"),
        ({"num_beams": 10**6}, "num_beams"),
    ],
)
def test_a_search_that_we_do_not_have_is_refused(tmp_path, changes, message):
    tiny_marian.write_marian(tmp_path)
    path = tmp_path / "generation_config.json"
    path.write_text(json.dumps(read_json(path) | changes))
    with pytest.raises(DataError, match=message):
        read_generation(tmp_path)
