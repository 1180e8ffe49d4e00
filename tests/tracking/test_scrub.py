import pytest

from lowkey.tracking.scrub import REMOVED, scrub, scrub_text

SECRET_NAMES = [
    "token", "hf_token", "HF_TOKEN", "hub.token", "apiKey", "api_key", "API-KEY", "key", "keys",
    "apikey", "accessToken", "secret", "client_secret", "secrets", "password", "db.passwords",
    "WANDB_API_KEY", "passphrase", "credentials", "private_key", "userPassword",
]  # fmt: skip
PLAIN_NAMES = [
    "tokenizer", "tokens", "batch_tokens", "max_tokens", "target_modules", "num_tokens",
    "keyboard", "monkey", "secretary", "tokenize_on_load", "train_tokens", "d_model",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize("value", ["s3cret", 12345, ["s3cret"], {"inner": "s3cret"}])
def test_what_stands_under_a_secret_name_is_removed(name, value):
    assert scrub({name: value}) == {name: REMOVED}
    assert scrub({"outer": [{"inner": {name: value}}]}) == {"outer": [{"inner": {name: REMOVED}}]}


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_other_names_keep_their_values(name):
    settings = {name: ["query", "key"], "nested": {name: 4096.5}}
    assert scrub(settings) == settings


def test_settings_that_are_no_secret_stay():
    assert scrub({"use_auth_token": True, "token": None}) == {"use_auth_token": True, "token": None}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("https://me:pw@host/data", "https://host/data"),
        ("see s3://pw@bucket/x and ftp://a:p@ss@h", "see s3://bucket/x and ftp://h"),
        ("https://host/d?api_key=abc&rows=3#top", f"https://host/d?api_key={REMOVED}&rows=3#top"),
        ("https://host/d?user=me@home", "https://host/d?user=me@home"),
        ("write to me@home, a=b", "write to me@home, a=b"),
    ],
)
def test_urls_lose_their_secrets_and_nothing_else(before, after):
    assert scrub_text(before) == after
    assert scrub({"train": (before, 1)}) == {"train": [after, 1]}


def test_the_settings_themselves_are_not_touched():
    settings = {"hub": {"token": "s3cret"}, "urls": ["https://me@host"]}
    scrub(settings)
    assert settings == {"hub": {"token": "s3cret"}, "urls": ["https://me@host"]}
