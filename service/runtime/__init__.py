"""Runs stages: assignments, offsets, transactions, leader election."""
