"""Secrets stay out of records, and everything else stays in."""

import pytest

from r1_trl.redaction import mask_secrets


@pytest.mark.parametrize(
    "key",
    [
        "hub_token", "api_key", "api_keys", "apikey", "apiKey", "APIKey", "x-api-key", "openai_api_key", "accessToken",
        "HFToken", "access_tokens", "Authorization", "judge_api_key_value", "secret", "client_secret", "clientSecret",
        "db_password", "passwd", "private_key", "aws_secret_access_key", "credentials", "token",
    ],
)  # fmt: skip
def test_a_setting_with_the_name_of_a_secret(key):
    for value in ("wörd", ["wörd"], {"a": ["wörd"]}, 1234):
        shown = str(mask_secrets({key: value}))
        assert "wörd" not in shown
        assert "1234" not in shown
        assert "secret, SHA-256 " in shown


@pytest.mark.parametrize(
    "key",
    [
        "eos_token", "pad_token", "image_token", "max_tokens", "num_tokens", "max_completion_tokens", "tokenizer",
        "tokenizer_name_or_path", "mean_token_accuracy", "average_tokens_across_devices", "token_type_ids",
        "judge_api_key_env", "api_key_env", "hub_token_path", "keys", "num_key_value_heads", "author",
    ],
)  # fmt: skip
def test_a_setting_with_another_name(key):
    for value in ("</s>", 8, True, None, ["a"]):
        assert mask_secrets({key: value}) == {key: value}


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("https://me:pa55@host/rows", "pa55"),
        ("https://me:pa55@host/rows", "me:"),
        ("postgresql+psycopg://pa55@host", "pa55"),
        ("https://host/rows?split=test&access_token=pa55", "pa55"),
        ("https://host/rows?X-Amz-Signature=pa55&a=b", "pa55"),
        ("https://host/rows?apiKey=pa55#top", "pa55"),
        ("Authorization: Bearer pa55pa55.x-y", "pa55"),
        ("hf_topsecret", "topsecret"),
        ("log in with hf_AbcDefGhiJklMnoPqrStuVwx, then", "AbcDef"),
        ("sk-proj-abcdefghij_klmnop", "abcdef"),
        ('{"token": "sk-1234567890"}', "1234"),
    ],
)
def test_a_secret_inside_of_a_text(text, secret):
    shown = mask_secrets({"stop": [text]})["stop"][0]
    assert secret not in shown
    assert "<secret, SHA-256 " in shown
    assert mask_secrets({"stop": [text + "0"]}) != mask_secrets({"stop": [text]})


@pytest.mark.parametrize(
    "text",
    [
        "https://host:8000/v1?split=test&max_tokens=5",
        "hf_internal_testing/tiny",
        "runs/sk-experiments-of-2025/data.json",
        "data/hf_abcdefghijkl.parquet",
        "sk-learn",
        "mail me@host or read https://host/@user",
        "The bearer of this token is right",
        "s3://bucket/key@2",
    ],
)
def test_a_text_without_a_secret(text):
    assert mask_secrets({"name": text}) == {"name": text}
