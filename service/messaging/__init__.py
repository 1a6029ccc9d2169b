"""What the processes say to each other: the broker's port, messages, topics, dead letters."""
