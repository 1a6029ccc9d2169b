"""How stages run: assignments, offsets, transactions, leader election."""
