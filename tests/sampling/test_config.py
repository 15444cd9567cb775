"""Settings that cannot work are refused by one message: the value, the place and the remedy."""

import pytest

from r1_trl.errors import InputError
from r1_trl.sampling import SamplingConfig

SERVER = {"sampling_backend": "openai", "base_url": ["http://localhost:8000/v1"], "served_model_name": "m"}
CASES = [
    ({"sampling_backend": "vlm"}, ["`sampling_backend: vlm`", "transformers", "did you mean `vllm`"], "unknown"),
    ({**SERVER, "base_url": None}, ["`base_url` is missing", "http://localhost:8000/v1"], "no server"),
    ({**SERVER, "base_url": ["localhost:8000"]}, ["`base_url: localhost:8000`", "http://"], "no address"),
    ({**SERVER, "base_url": ["http://me:word@host/v1"]}, ["host", "password", "`api_key_env`"], "a password in it"),
    ({**SERVER, "served_model_name": None}, ["`served_model_name` is missing", "localhost:8000"], "no model"),
    ({**SERVER, "api_key_env": "NO_SUCH_KEY"}, ["`api_key_env: NO_SUCH_KEY`", "Set it"], "no key"),
    ({"base_url": ["http://localhost/v1"]}, ["`base_url", "sampling_backend: openai"], "a server nobody asks"),
    ({**SERVER, "extra_body": "{"}, ["`extra_body: {`", "JSON"], "no JSON"),
    ({**SERVER, "extra_body": "[1]"}, ["`extra_body: [1]`", "map"], "no object"),
    ({"num_generations": 0}, ["`num_generations: 0`", "at least 1"], "no answer"),
    ({"max_concurrent_requests": 0}, ["`max_concurrent_requests: 0`"], "no request"),
    ({"request_timeout": 0}, ["`request_timeout: 0`", "positive"], "no time"),
    ({"temperature": -1}, ["`temperature: -1`"], "below 0"),
    ({"top_p": 0}, ["`top_p: 0`"], "nothing to draw from"),
]


@pytest.mark.parametrize(("settings", "words", "reason"), CASES, ids=[case[-1] for case in CASES])
def test_is_refused(settings, words, reason):
    with pytest.raises(InputError) as refused:
        SamplingConfig(**settings)
    assert [word for word in words if word not in str(refused.value)] == [], reason
    assert "me:word" not in str(refused.value)


def test_what_works():
    assert SamplingConfig(**SERVER, extra_body='{"top_k": -1}').extra_body == {"top_k": -1}
    assert SamplingConfig().temperature == 0.6
