"""Sources of the stream: seed tasks and prompts."""
