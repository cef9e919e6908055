"""Time passes with the slowest input that is not silent, whoever speaks of it, and however often."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest

from streams.lineage import NewerSchema
from streams.watermarks import InputClocks, Watermarks

EHR, IOT = "audit.ehr/0", "audit.iot/0"
#: Seconds of silence after which nobody waits.
IDLE = 5.0
ID = b"\x01" * 16


class Owner:
    """One ingest worker, as far as time is concerned. Its broker's clock and its own go alike, in seconds."""

    def __init__(self, *names: str, inputs: int = 2, topic_id: bytes = ID, now: float = 0) -> None:
        self.clocks = InputClocks(inputs=inputs, idle_after=IDLE)
        self.ends: dict[str, int | None] = {}
        for name in names:
            self.clocks.assigned(name, topic_id, now)

    def take(self, name: str, upto: int, times: Mapping[str, int], *, now: float = 0, end: int | None = None) -> None:
        self.clocks.taking(name)
        self.clocks.taken(name, upto, times, received=int(now * 1000), now=now)
        self.ends[name] = upto if end is None or end == upto else None

    def word(self, now: float = 0) -> bytes:
        return self.clocks.record(now, self.ends.get)


def after(*words: bytes) -> int:
    marks = Watermarks()
    for word in words:
        marks.take(word)
        marks = Watermarks(marks.save())  # what is saved is all there is
    return marks.current


def test_it_is_the_lowest_once_every_input_was_heard_of() -> None:
    ehr, iot = Owner(EHR), Owner(IOT)
    ehr.take(EHR, 10, {"fhir": 700})
    assert after(ehr.word()) == 0, "nothing is known of the other input"
    iot.take(IOT, 3, {"device": 500})
    assert after(ehr.word(), iot.word()) == 500
    earlier = iot.word()
    iot.take(IOT, 4, {"device": 900})
    assert after(ehr.word(), earlier, iot.word()) == 700
    iot.take(IOT, 5, {"device": 100})
    assert after(ehr.word(), iot.word()) == 700, "an earlier event does not bring time back"


def test_a_silent_input_holds_nobody_once_all_of_it_was_taken() -> None:
    both = Owner(EHR, IOT)
    both.take(IOT, 3, {"device": 500})
    both.take(EHR, 10, {"fhir": 700}, now=6)
    assert after(both.word(6)) == 700
    behind = Owner(EHR, IOT)
    behind.take(IOT, 3, {"device": 500}, end=4)
    behind.take(EHR, 10, {"fhir": 700}, now=6)
    assert after(behind.word(6)) == 500, "there is a record that was not taken"
    behind.clocks.taking(IOT)
    behind.ends[IOT] = 3
    assert after(behind.word(99)) == 500, "a batch that fails again and again is no silence"


def test_an_input_that_nothing_was_fetched_of_is_not_called_silent() -> None:
    """After a night without workers one input may be fetched long before another: time must not pass without it."""
    evening = Owner(EHR, IOT)
    evening.take(EHR, 10, {"fhir": 700})
    evening.take(IOT, 3, {"device": 600})
    morning = Owner(EHR, IOT, now=100)
    morning.take(EHR, 500, {"fhir": 90_000}, now=106)
    words = [evening.word(), evening.word(20), morning.word(106)]
    assert after(*words) == 600
    morning.ends[IOT] = 3
    assert after(*words, morning.word(107)) == 90_000, "there is nothing, as is known now"


def test_a_source_silent_on_an_input_that_goes_on_holds_nobody() -> None:
    """One stray CloudTrail record on the topic of the EHR once held time back for good."""
    owner = Owner(EHR, inputs=1)
    owner.take(EHR, 1, {"cloudtrail": 100}, now=0)
    owner.take(EHR, 9, {"fhir": 700}, now=3)
    first = owner.word(3)
    assert after(first) == 100
    owner.take(EHR, 20, {"fhir": 9000}, now=6)
    assert after(owner.word(6)) == 9000
    # the next owner does not know of that source at all
    heir = Owner(EHR, inputs=1, now=7)
    heir.take(EHR, 30, {"fhir": 9900}, now=9)
    assert after(first, heir.word(9)) == 9900
    owner.take(EHR, 31, {"cloudtrail": 9950}, now=10)
    assert after(first, heir.word(9), owner.word(10)) == 9900, "it is waited for again"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_frozen_owner_s_word_changes_nothing_wherever_it_comes(order: tuple[int, ...]) -> None:
    zombie, owner, other = Owner(EHR), Owner(EHR), Owner(IOT)
    zombie.take(EHR, 10, {"fhir": 300})
    owner.take(EHR, 20, {"fhir": 400}, now=50, end=25)
    other.take(IOT, 5, {"device": 900}, now=50)
    words = [zombie.word(50), owner.word(50), other.word(50)]
    assert after(owner.word(50), *(words[n] for n in order)) == 400
    assert after(owner.word(50), zombie.word(60), other.word(50), zombie.word(70)) == 400


def test_time_goes_on_where_the_broker_forgot_the_group() -> None:
    """A group that is empty for a week is forgotten and counts its generations anew; the topics stay."""
    before = Owner(EHR, IOT)
    before.take(EHR, 100, {"fhir": 700})
    before.take(IOT, 100, {"device": 700})
    anew = Owner(EHR, IOT)
    anew.take(EHR, 40, {"fhir": 300})  # without a commit it begins where the log does
    anew.take(IOT, 40, {"device": 300})
    assert after(before.word(), anew.word()) == 700
    anew.take(EHR, 110, {"fhir": 900})
    anew.take(IOT, 105, {"device": 800})
    assert after(before.word(), anew.word()) == 800


def test_a_topic_made_again_counts_from_its_start() -> None:
    before, anew = Owner(EHR, inputs=1), Owner(EHR, inputs=1, topic_id=b"\x02" * 16)
    before.take(EHR, 1000, {"fhir": 700})
    anew.take(EHR, 1, {"fhir": 900})
    assert after(before.word(), anew.word()) == 900


def test_a_newer_word_stops_the_reader() -> None:
    with pytest.raises(NewerSchema, match="a watermark of schema 2"):
        Watermarks().take(b'{"v":2}')


def silences(now: float, *words: bytes) -> dict[str, float]:
    """Seconds, from what is saved."""
    marks = Watermarks()
    for word in words:
        marks.take(word)
    return {source: ms / 1000 for source, ms in Watermarks(marks.save()).silences(int(now * 1000)).items()}


def test_a_source_s_silence_is_that_on_all_its_inputs() -> None:
    one, two = Owner("audit.iot/0"), Owner("audit.iot/1")
    one.take("audit.iot/0", 5, {"device": 1}, now=100)
    two.take("audit.iot/1", 5, {"device": 1, "other": 1}, now=130)
    said = [one.word(now=1000), two.word(now=1000)]
    assert silences(1000, *said) == {"device": 870, "other": 870}
    two.take("audit.iot/1", 9, {"other": 1}, now=900)
    goes_on = two.word(now=902)
    assert silences(1000, *said, goes_on) == {"device": 770, "other": 0}, "told by what else came there"


def test_what_is_not_taken_yet_is_no_silence() -> None:
    """Neither a backlog nor a batch that fails says that a source is quiet."""
    behind, stuck = Owner(EHR), Owner(EHR)
    behind.take(EHR, 5, {"fhir": 1}, now=100, end=50)
    assert silences(1000, behind.word(now=1000)) == {"fhir": 0}
    stuck.take(EHR, 5, {"fhir": 1}, now=100)
    stuck.clocks.taking(EHR)
    assert silences(1000, stuck.word(now=1000)) == {"fhir": 0}


def test_a_new_owner_knows_when_a_source_was_heard_last() -> None:
    old, new = Owner(EHR), Owner(EHR, now=500)
    old.take(EHR, 5, {"fhir": 1}, now=100)
    new.ends[EHR] = 5
    assert silences(1000, old.word(now=400), new.word(now=1000)) == {"fhir": 900}
