"""The live service: a page, streams and a REST interface for the runs of one log."""
