"""What starts streams: seed tasks and prompts."""
