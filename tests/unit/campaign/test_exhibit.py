"""How often a failing case is asked again before it is made small."""

from __future__ import annotations

import pytest

from fuzz.campaign.exhibit import _attempted
from fuzz.triage.signature import Signature
from tests.unit.triage.conftest import CHAIN, ROW, Asked, Inline, candidate, has


@pytest.mark.parametrize(("seen", "asked"), [("the same", 2), ("another", 3), (None, 3)])
def test_what_was_seen_to_fail_in_the_same_way_is_not_asked_twice(seen, asked):
    """Fresh workers: one for the case, one for the same again, one for what it was reduced to."""
    fresh = []

    class Counted(Inline):
        def fresh(self, case, *, renew=True):
            fresh.extend([case] * renew)
            return super().fresh(case, renew=renew)

    with Counted(Asked(has("Exp"))) as laboratory:
        first = laboratory.fresh(candidate(CHAIN, ROW)).signature
        known = {"the same": first, "another": Signature("rejected"), None: None}
        fresh.clear()
        done, problem = _attempted(laboratory, candidate(CHAIN, ROW), known[seen])
    assert done is not None
    assert not problem
    assert done.nodes == 1
    assert len(fresh) == asked
