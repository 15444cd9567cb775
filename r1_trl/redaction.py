"""Settings for a record that others may read: without secrets."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

# Names of settings with a secret as their value, in snake case: by their last word, or by words that stand anywhere.
_SECRET = re.compile(
    r"(?:.*_)?(?:token|key|secret|password)"
    r"|(?:.*_)?(?:api|access|auth|private|secret|hub|hf)_?(?:key|token)s?(?:_.*)?"
    r"|.*(?:passw|passphrase|secret|credential|authorization|signature).*"
)
# But for words of a tokenizer, and for the place where a secret is kept.
_NO_SECRET = re.compile(
    r"(?:.*_)?(?:bos|eos|pad|unk|sep|cls|mask|stop|image|video|audio)_token|.*_(?:env|env_var|file|path)"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[-. ]")
# Secrets inside of any text: keys as their makers write them, and the user of a URL.
_KEYS = re.compile(
    r"(?<![\w./-])(?:hf_[A-Za-z0-9]{8,}|sk-(?=[\w-]*\d|[\w-]{16})[\w-]{8,})(?!\w)"
    r"|(?<=[Bb]earer )[\w.~+/-]{8,}=*"
    r"|(?<=://)[^\s/?#@]+(?=@)"
)
_QUERY = re.compile(r"([?&;]([\w.-]+)=)([^&;#\s\"']+)")


def mask_secrets(settings: Any, key: str = "") -> Any:
    """Settings for a record: a secret is there as the start of its hash, which tells only that it has changed.

    Told by the name of a setting, or, inside of any text, by its looks: a key of Hugging Face or of a server, a bearer
    token, the user of a URL and a secret in its query.

    >>> mask_secrets({"hub_token": "hf_abc", "eos_token": "</s>", "judge": [{"api_key": None}]})
    {'hub_token': 'secret, SHA-256 df36395a…', 'eos_token': '</s>', 'judge': [{'api_key': None}]}
    >>> mask_secrets("https://me:word@host/rows?split=test")
    'https://<secret, SHA-256 8ac7fbf9…>@host/rows?split=test'
    """
    if isinstance(settings, Mapping):
        return {name: mask_secrets(value, key if _is_secret(key) else str(name)) for name, value in settings.items()}
    if isinstance(settings, list | tuple):
        return [mask_secrets(value, key) for value in settings]
    if settings in (None, "", True, False):
        return settings
    if _is_secret(key):
        return _hashed(str(settings))
    return _mask_text(settings) if isinstance(settings, str) else settings


def _is_secret(key: str) -> bool:
    words = _CAMEL.sub("_", key).lower()
    return bool(_SECRET.fullmatch(words)) and not _NO_SECRET.fullmatch(words)


def _mask_text(text: str) -> str:
    text = _QUERY.sub(lambda found: f"{found[1]}<{_hashed(found[3])}>" if _is_secret(found[2]) else found[0], text)
    return _KEYS.sub(lambda found: f"<{_hashed(found[0])}>", text)


def _hashed(secret: str) -> str:
    return f"secret, SHA-256 {hashlib.sha256(secret.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}…"
