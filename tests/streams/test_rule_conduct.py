"""When a rule matches or costs too much."""

from __future__ import annotations

from streams.rule_conduct import SPAN, Conduct, Counts


def test_more_matches_in_a_minute_than_are_allowed() -> None:
    conduct = Conduct(matches=100, seconds=0)
    assert conduct.judge({"a": Counts(50, 50, 0)}, 0.0) == {}
    assert conduct.judge({"a": Counts(150, 150, 0)}, 30.0) == {}
    assert conduct.judge({"a": Counts(151, 151, 0)}, 59.0) == {
        "a": "it matched 101 times in a minute, and 100 are allowed"
    }


def test_what_is_more_than_a_minute_ago_counts_no_more() -> None:
    conduct = Conduct(matches=100, seconds=0)
    for look in range(100):
        assert conduct.judge({"a": Counts(0, look * 49, 0)}, look * SPAN / 2) == {}


def test_what_a_worker_did_before_its_first_look_counts() -> None:
    assert Conduct(matches=100, seconds=0).judge({"a": Counts(101, 101, 0)}, 5.0)


def test_time_that_is_spent_in_vain() -> None:
    conduct = Conduct(matches=0, seconds=2)
    conduct.judge({}, 0.0)
    assert conduct.judge({"a": Counts(9, 0, 2_000_000_000), "b": Counts(9, 0, 2_100_000_000)}, 2.0) == {
        "b": "it took 2.1 s of a minute, and 2 are allowed"
    }


def test_no_limit_and_a_new_beginning() -> None:
    assert Conduct(matches=0, seconds=0).judge({"a": Counts(10**9, 10**9, 10**15)}, 0.0) == {}
    conduct = Conduct(matches=10, seconds=0)
    conduct.judge({"a": Counts(0, 5, 0), "b": Counts(0, 5, 0)}, 0.0)
    assert set(conduct.judge({"a": Counts(0, 16, 0), "b": Counts(0, 15, 0)}, 1.0)) == {"a"}
    conduct.forget("a")
    assert conduct.judge({"a": Counts(0, 26, 0), "b": Counts(0, 15, 0)}, 2.0) == {}
    assert set(conduct.judge({"a": Counts(0, 27, 0), "b": Counts(0, 15, 0)}, 3.0)) == {"a"}


def test_what_alerts_nobody_may_match_as_often_as_it_likes_and_not_take_as_long() -> None:
    conduct = Conduct(matches=10, seconds=2)
    conduct.judge({}, 0.0)
    counts = {"a": Counts(99, 99, 0), "b": Counts(99, 99, 0), "c": Counts(99, 99, 3_000_000_000)}
    assert set(conduct.judge(counts, 1.0, unheard={"a", "c"})) == {"b", "c"}
