"""What people do with an enhancer besides a benchmark: files, videos, contact sheets, figures."""
