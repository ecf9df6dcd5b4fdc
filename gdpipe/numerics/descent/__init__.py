"""Gradient descent: its plan, its forecast and the descent itself."""
