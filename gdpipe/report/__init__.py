"""The run in words and pictures."""
