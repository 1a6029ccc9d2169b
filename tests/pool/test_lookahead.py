import pytest

from service.pool.lookahead import Lookahead


def test_where_nothing_is_known_a_screen_begins_at_the_beginning() -> None:
    assert Lookahead().begin(5.0, 1.0) == 0


def test_a_filter_that_stands_still_is_not_run_away_from() -> None:
    lead = Lookahead()
    for now_s in range(5):
        lead.note(40, float(now_s))
    assert lead.begin(9.0, 1.0) == 40


def test_a_screen_begins_at_the_filter_s_expected_position() -> None:
    lead = Lookahead()
    for now_s in range(5):
        lead.note(100 * now_s, float(now_s))
    assert lead.begin(4.0, 0.0) == pytest.approx(400, abs=10)
    assert lead.begin(4.5, 2.0) == pytest.approx(400 + 50 + 1.25 * 200, abs=10)


def test_a_silent_filter_is_no_further_than_its_batch() -> None:
    lead = Lookahead()
    lead.note(0, 0.0)
    lead.note(200, 1.0)
    assert lead.begin(60.0, 0.0) == pytest.approx(200 + 200, abs=20)


def test_a_change_of_pace_is_learned() -> None:
    lead = Lookahead()
    lead.note(0, 0.0)
    lead.note(1_000, 1.0)
    before = lead.begin(1.0, 1.0) - 1_000
    for step in range(1, 15):
        lead.note(1_000 + 100 * step, 1.0 + step)
    assert lead.begin(15.0, 1.0) - 2_400 < before / 5
