"""Opens brokers, models and embedders; only this package chooses adapters."""
