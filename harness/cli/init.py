"""``harness init``: a new project."""
