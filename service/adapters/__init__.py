"""One way to have each thing that the pipeline needs from outside; chosen by the composition root alone."""
