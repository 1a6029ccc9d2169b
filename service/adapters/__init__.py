"""Adapters: implementations of the broker, model and embedder ports; only `service.bootstrap` chooses among them."""
