import pytest

from service.lm.call_cost import CallCost
from service.lm.errors import CallDroppedError, CallFailedError, EndpointRefusedError, Failing, UnansweredError
from service.lm.usage import Usage

MORE = CallCost(3, Usage(20, 1), 0.5, "2026-11")
REFUSAL = EndpointRefusedError("no more")


@pytest.mark.parametrize(
    "error",
    [
        CallFailedError("too long", Failing.CONTEXT_LENGTH),
        UnansweredError("3 attempts failed", Failing.ABORTED, cost=CallCost(3)),
        CallDroppedError(REFUSAL, cost=CallCost(2)),
        CallDroppedError(None, cost=CallCost(2)),
    ],
)
def test_an_error_with_another_cost_is_the_same_in_all_else(error: CallFailedError) -> None:
    before, reason = error.cost, ValueError("the reason")
    with pytest.raises(CallFailedError) as raised:
        raise error from reason
    dearer = error.with_cost(MORE)
    assert (type(dearer), str(dearer), dearer.failing) == (type(error), str(error), error.failing)
    assert (dearer.cost, dearer.wasted, error.cost) == (MORE, Usage(20, 1), before)
    assert dearer.__cause__ is reason
    assert dearer.__traceback__ is raised.value.__traceback__


@pytest.mark.parametrize("refusal", [REFUSAL, None])
def test_a_dropped_call_with_another_cost_keeps_its_refusal(refusal: EndpointRefusedError | None) -> None:
    assert CallDroppedError(refusal, cost=CallCost()).with_cost(MORE).refusal is refusal
