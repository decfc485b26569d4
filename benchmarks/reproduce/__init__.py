"""A paper's table from the data sets as released: a plan of steps, each done once, taken up again where it was cut."""
