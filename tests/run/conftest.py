from tests.contract.conftest import open_broker

__all__ = ["open_broker"]
