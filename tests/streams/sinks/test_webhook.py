"""Signatures a second implementation accepts, and what each answer means."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from streams.sinks.attempts import RETRIES, retry_delay
from streams.sinks.webhook import decode_secret, judge, sign

KEY = bytes(range(32))
SECRET = "whsec_" + b64encode(KEY).decode()


@given(st.binary(max_size=200).map(lambda raw: b'{"x": "%s"}' % b64encode(raw)), st.text("abc.123_", min_size=1))
def test_another_implementation_verifies_what_we_sign(body: bytes, webhook_id: str) -> None:
    now = int(datetime.now(UTC).timestamp())
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign(KEY, webhook_id, now, body),
    }
    assert Webhook(SECRET).verify(body.decode(), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.decode() + " ", headers)


def test_the_specification_s_own_example() -> None:
    """Standard Webhooks 1.0, Symmetric signatures: the example of the specification's reference libraries."""
    key = decode_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_specification_s_vectors_are_signed_alike(outside_data: Path) -> None:
    vector = json.loads((outside_data / "standards" / "standard-webhooks-v1.json").read_text())
    key = decode_secret(vector["secret"])
    signature = sign(key, vector["webhook-id"], vector["webhook-timestamp"], vector["payload"].encode())
    assert signature == vector["webhook-signature"]


@pytest.mark.parametrize("secret", ["whsec_", "whsec_!!!", "whsec_" + b64encode(b"short").decode(), ""])
def test_a_bad_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="webhook secret"):
        decode_secret(secret)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, "delivered"),
        (204, "delivered"),
        (301, "retry"),
        (400, "retry"),
        (404, "retry"),
        (410, "gone"),
        (429, "retry"),
        (500, "retry"),
    ],
)
def test_what_an_answer_means(status: int, verdict: str) -> None:
    assert judge(status, "", 0).verdict == verdict


def test_retry_after_is_honoured_and_bounded() -> None:
    assert judge(429, "120", 0).retry_after == 120
    assert judge(429, "Thu, 01 Jan 1970 00:02:00 GMT", 0).retry_after == 120
    assert judge(429, "Thu, 01 Jan 1970 00:02:00 GMT", 500).retry_after == 0
    assert judge(429, "soon", 0).retry_after == 0
    assert judge(429, "9" * 30, 0).retry_after == RETRIES[-1]


def test_retries_last_for_days_and_end() -> None:
    delays = [retry_delay(n, retry_after=0, chance=lambda: 0.5) for n in range(1, len(RETRIES) + 2)]
    assert delays == [*map(float, RETRIES), None]
    assert sum(RETRIES) > 3 * 86_400
    assert retry_delay(1, retry_after=900, chance=lambda: 0.5) == 900


@given(st.integers(1, len(RETRIES)), st.floats(0, 1))
def test_jitter_stays_within_a_fifth(attempts: int, chance: float) -> None:
    delay = retry_delay(attempts, retry_after=0, chance=lambda: chance)
    assert delay is not None
    assert 0.8 * RETRIES[attempts - 1] <= delay <= 1.2 * RETRIES[attempts - 1]
