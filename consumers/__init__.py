"""One file for each stage of the pipeline: a message in, the messages that follow out."""
