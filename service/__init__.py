"""Seedstream: Self-Instruct as a stream. Shared parts and the entry point; imports go down only."""
