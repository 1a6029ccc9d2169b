"""Cost of a run: prices, the bill computed from the log, and estimates of future cost. Pure except `priced_model`."""
