"""The contenders of `benchmarks/throughput.py`: the same task done with each of them, one small file a contender."""
