"""What admit and the screens share: hints, and how far ahead screens are."""
