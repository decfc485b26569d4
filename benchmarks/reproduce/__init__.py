"""A paper's table from the data sets as released: the commands in order, each run once for the same inputs."""
