import pytest

from service.selfinstruct.classification import is_classification


@pytest.mark.parametrize("reply", ["Yes", "yes", "YES", " Yes", "\tYES \n"])
def test_yes_means_classification(reply: str) -> None:
    assert is_classification(reply)


@pytest.mark.parametrize("reply", ["", "No", "yEs", "Yes.", "Yes, it", "y", "Yes\nNo", "是"])
def test_anything_else_means_generation(reply: str) -> None:
    assert not is_classification(reply)
