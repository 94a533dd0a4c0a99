"""Waiting times for a retry."""

__version__ = '2.2.0'


def delays(first_seconds=0.1, factor=2.0, limit_seconds=5.0):
    wait = first_seconds
    while True:
        yield min(wait, limit_seconds)
        wait *= factor
