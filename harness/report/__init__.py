"""Reports: what a run or a comparison looks like to a person or to another program. Nothing here computes a score."""
