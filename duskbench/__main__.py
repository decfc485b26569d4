"""`python -m duskbench`, for launchers that start modules, as torchrun does."""

from duskbench.benchmarks.cli import main

if __name__ == "__main__":
    main()
