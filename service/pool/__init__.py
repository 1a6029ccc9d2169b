"""The pool, as admit and the screens share it: batches, hints, screens."""
