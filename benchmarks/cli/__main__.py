"""`python -m benchmarks.cli`, for launchers that start modules, as torchrun does."""

from benchmarks.cli import main

main()
