"""What goes in and what comes out as a data set: seed files, exports."""
