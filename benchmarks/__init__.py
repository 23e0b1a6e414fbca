"""What is fast, and how fast: ``python -m benchmarks NAME --json``. Results are ratios measured in one run."""
