"""What a run costs: prices, the bill as the log tells it, and what is still to be expected. Pure but for `pricing`."""
