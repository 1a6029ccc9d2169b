"""Damage to files, the same for the same seed."""

import random
from pathlib import Path


def flip_bytes(file: Path, flips: int, seed: object) -> None:
    """Change this number of bytes at random places of a file."""
    rng, content = random.Random(f"{flips} {seed}"), bytearray(file.read_bytes())
    for place in rng.sample(range(len(content)), flips):
        content[place] ^= rng.randrange(1, 256)
    file.write_bytes(content)
