"""The algorithm of Self-Instruct, pure: plain values in, plain values out; no I/O, no clock, no event loop."""
