"""The broker port, and the messages, topics and dead letters that go through it."""
