"""What `duskbench doctor` looks at."""
