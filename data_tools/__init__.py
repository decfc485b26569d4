"""Files and data sets: the lowest layer, which imports neither `pipeline` nor `benchmarks`."""
