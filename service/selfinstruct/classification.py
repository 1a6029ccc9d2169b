"""Whether an instruction is a classification task, parsed from the model's reply."""


def is_classification(reply: str) -> bool | None:
    """Return whether the reply says yes, in text or as JSON; None if it says neither yes nor no.

    The original takes `Yes`, `yes` and `YES` for yes, and anything else for no, unreadable replies included
    (`identify_clf_or_not.py`).
    """
    from service.selfinstruct.replies.verdicts import read_verdict

    return read_verdict(reply)
