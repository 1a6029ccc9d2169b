"""The simulator's batch API."""
