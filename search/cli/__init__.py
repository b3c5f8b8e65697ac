"""The command line: a file per group of commands, options, progress and output."""
