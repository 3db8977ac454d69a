"""What runs take: measured by the benchmarks, and foretold for larger ones."""
