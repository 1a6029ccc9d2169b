"""Webhooks: finished tasks are posted to addresses that the operator has named, signed and in batches."""
