"""Exit codes of a run that has ended."""

from service.messaging.messages import Ending

EXIT_OF_ENDING = {
    Ending.TARGET_REACHED: 0,
    Ending.STALLED: 3,
    Ending.PROMPTS_EXHAUSTED: 4,
    Ending.BUDGET_SPENT: 6,
    Ending.TOO_EXPENSIVE: 7,
    Ending.PRICE_UNKNOWN: 8,
}
