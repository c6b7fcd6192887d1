"""Output formats: one file each; text becomes labels and fields, or a ParseFailure."""
