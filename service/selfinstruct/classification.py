"""Whether an instruction is a classification task: the model's answer, read."""


def is_classification(reply: str) -> bool:
    """Return whether the reply says yes; anything else means no (`identify_clf_or_not.py`, as its results are read)."""
    return reply.strip() in {"Yes", "yes", "YES"}
