"""The search in histories that are not monotone, with versions that cannot be asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.bisect.answer import State
from fuzz.bisect.search import Span, edge, search, spans

LETTERS = {"b": State.BAD, "g": State.GOOD, "-": State.SKIP, "o": State.OTHER}
MUTE = (State.SKIP, State.OTHER)


class History:
    """Answers by position, and which were asked, in their order."""

    def __init__(self, text):
        self.states = [LETTERS[letter] for letter in text]
        self.asked = []

    def __call__(self, place):
        self.asked.append(place)
        return self.states[place]


@pytest.mark.parametrize(
    ("text", "bad", "far", "found"),
    [
        ("gggbbb", 5, 0, (3, 2)),
        ("gg--bb", 5, 0, (4, 1)),
        ("bbbbbb", 5, 0, (0, None)),
        ("--bbbb", 5, 0, (2, None)),
        ("bbbggg", 0, 5, (2, 3)),
        ("bbb---", 0, 5, (2, None)),
        ("gob", 2, 0, (2, 0)),
        ("b", 0, 0, (0, None)),
        ("------b", 6, 0, (6, None)),
    ],
)
def test_the_edge_of_a_stretch(text, bad, far, found):
    assert edge(History(text), bad, far) == found


def test_few_are_asked_of_many():
    history = History("-" * 20 + "g" * 50 + "b" * 30)
    assert edge(history, 99, 0) == (70, 69)
    assert len(history.asked) <= 9


def test_no_version_has_it_once_all_were_asked():
    history = History("g-gog")
    assert search(history, 5, 2) is None
    assert sorted(history.asked) == [0, 1, 2, 3, 4]
    assert history.asked[0] == 2
    assert search(History(""), 0, None) is None


def test_stretches_of_what_is_known():
    order = ["1", "2", "3", "4", "5", "6", "7"]
    states = dict(zip(order, map(LETTERS.get, "bgb-bgo"), strict=True))
    assert spans(order, states) == [Span(0, 0, None, 1), Span(2, 4, 1, 5)]
    del states["6"]
    assert spans(order, states)[-1] == Span(2, 4, 1, None)
    assert spans(order, {}) == []


histories = st.text("bg-o", min_size=1, max_size=16)


@given(histories, st.data())
def test_what_is_found_is_a_step_that_was_seen(text, data):
    history = History(text)
    known = data.draw(st.none() | st.integers(0, len(text) - 1))
    start = search(history, len(text), known)
    assert (start is None) == ("b" not in text)
    if start is None:
        return
    for far in (0, len(text) - 1):
        asked = History(text)
        bad, good = edge(asked, start, far)
        assert len(asked.asked) == len(set(asked.asked))
        assert asked.states[bad] is State.BAD
        if good is not None:
            assert asked.states[good] is State.GOOD
            between = range(min(bad, good) + 1, max(bad, good))
            assert all(asked.states[place] in MUTE for place in between)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 10))
def test_a_bug_that_came_and_went_once_is_found_exactly(mute, good, bad, mended):
    text = "-" * mute + "g" * good + "b" * (bad + 1) + "g" * mended
    history = History(text)
    start = search(history, len(text), mute + good)
    assert edge(History(text), start, 0) == (mute + good, mute + good - 1 if good else None)
    assert edge(History(text), start, len(text) - 1) == (mute + good + bad, mute + good + bad + 1 if mended else None)
    # Two edges, each by halves, and the ends.
    assert len(set(history.asked)) <= 2 * (len(text).bit_length() + 1) + 1
