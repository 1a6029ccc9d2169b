from fractions import Fraction
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from service.billing.moments import Moments
from service.billing.recent_cost import RecentAcceptances

PROMPTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 100)), max_size=60)


@given(PROMPTS, st.integers(1, 12))
def test_the_cost_covers_all_prompts_since_the_first_acceptance(prompts: list[tuple[int, int]], size: int) -> None:
    recent = RecentAcceptances(size)
    for accepted, cost in prompts:
        recent.pay(recent.decide(accepted), cost)
    first = len(prompts)
    accepted = 0
    while first > 0 and (accepted < size or prompts[first - 1][0] == 0):
        first -= 1
        accepted += prompts[first][0]
    costs = sum(cost for _, cost in prompts[first:])
    assert recent.accepted == accepted
    assert recent.full == (accepted >= size)
    assert recent.per_acceptance(None) == (costs / accepted if accepted else None)


@given(PROMPTS, st.integers(1, 12), st.randoms(use_true_random=False))
def test_costs_may_arrive_in_any_order(prompts: list[tuple[int, int]], size: int, random: Random) -> None:
    one, other = RecentAcceptances(size), RecentAcceptances(size)
    numbers = [one.decide(accepted) for accepted, _ in prompts]
    for number, (_, cost) in random.sample(list(zip(numbers, prompts, strict=True)), len(prompts)):
        one.pay(number, cost)
    for accepted, cost in prompts:
        other.pay(other.decide(accepted), cost)
    assert one.per_acceptance(None) == other.per_acceptance(None)


def test_prompts_of_unknown_cost_count_with_the_given_average() -> None:
    recent = RecentAcceptances(3)
    recent.pay(recent.decide(2), 10)
    recent.decide(0)
    assert recent.per_acceptance(None) is None
    assert recent.per_acceptance(6.0) == 8.0


@given(st.lists(st.integers(0, 10**16), min_size=1), st.integers(0, 10**16))
def test_a_sample_has_its_mean_and_its_variance(numbers: list[int], late: int) -> None:
    sample = Moments()
    for number in numbers:
        sample.add(number)
    sample.correct(numbers[-1], late)
    numbers[-1] = late
    mean = Fraction(sum(numbers), len(numbers))
    assert sample.mean == float(mean)
    assert sample.variance == float(sum((number - mean) ** 2 for number in numbers) / len(numbers))
    assert (Moments().mean, Moments().variance) == (0.0, 0.0)
