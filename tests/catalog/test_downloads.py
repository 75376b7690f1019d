import asyncio
import datetime as dt

import pytest

from aitb_nautilus.errors import DataError
from catalog.downloads import (
    Patience,
    RetrySettings,
    TransientError,
    Watcher,
    parse_retry_after,
)

NOW = dt.datetime(2024, 1, 1, 12, 0, 0, tzinfo=dt.UTC)


class Listener(Watcher):
    def __init__(self):
        self.notices = []

    def notice(self, text):
        self.notices.append(text)


def asked(answers, settings, listener):
    """Ask until an answer that is no error; return it and how long it took in seconds."""

    async def run():
        queue = list(answers)

        async def attempt():
            answer = queue.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        loop = asyncio.get_running_loop()
        began = loop.time()
        patience = Patience(settings, "server", listener)
        return await patience.ask("thing", attempt), loop.time() - began, patience

    return asyncio.run(run())


def test_wait_doubles_up_to_the_longest():
    listener = Listener()
    settings = RetrySettings(attempts=6, first_wait_s=0.01, longest_wait_s=0.04)
    answer, seconds, patience = asked([TransientError("busy")] * 5 + ["yes"], settings, listener)
    assert answer == "yes"
    assert (patience.requests, patience.retries) == (6, 5)
    assert [text.split("waiting ")[1] for text in listener.notices] == [
        "0.01 s",
        "0.02 s",
        "0.04 s",
        "0.04 s",
        "0.04 s",
    ]
    assert 0.15 <= seconds < 5


def test_retry_after_takes_the_place_of_the_doubling():
    listener = Listener()
    settings = RetrySettings(first_wait_s=60)
    answer, seconds, _ = asked([TransientError("HTTP 429", 0.05), "yes"], settings, listener)
    assert answer == "yes"
    assert 0.05 <= seconds < 5
    assert listener.notices == ["server: thing: HTTP 429; waiting 0.05 s"]


def test_other_errors_pass_at_once():
    with pytest.raises(ValueError, match="mine"):
        asked([ValueError("mine"), "never"], RetrySettings(), Listener())


def test_last_failure_is_the_reason_of_the_error():
    settings = RetrySettings(attempts=2, first_wait_s=0.001)
    with pytest.raises(DataError) as e:
        asked([TransientError("first"), TransientError("second")], settings, Listener())
    assert "server: thing: no usable answer in 2 attempts (second)" in str(e.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("30", 30.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Mon, 01 Jan 2024 12:01:30 GMT", 90.0),
        ("Mon, 01 Jan 2024 11:00:00 GMT", 0.0),
        ("soon", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(text, seconds):
    assert parse_retry_after(text, NOW) == seconds
