"""Whether an instruction is a classification task: the model's answer, read."""

from service.selfinstruct.replies.verdicts import read_verdict


def is_classification(reply: str) -> bool | None:
    """Return whether the reply says yes, in text or as JSON; none where it says neither.

    In the original `Yes`, `yes` and `YES` are yes, and anything else means no, also what cannot be read
    (`identify_clf_or_not.py`).
    """
    return read_verdict(reply)
