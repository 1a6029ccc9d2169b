"""Opens brokers and models: the one place that chooses adapters."""
