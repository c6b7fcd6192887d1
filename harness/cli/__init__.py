"""The command line: thin commands that load, call and print."""
