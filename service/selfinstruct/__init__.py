"""The Self-Instruct algorithm as pure code: plain values in and out, no I/O, no clock, no event loop."""
