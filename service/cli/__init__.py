"""One file for each command of `seedstream`."""
