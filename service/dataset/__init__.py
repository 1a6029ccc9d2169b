"""Input and output of data sets: seed files, prompt templates, exports."""
