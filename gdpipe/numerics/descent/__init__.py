"""Gradient descent: planned, forecast, made."""
