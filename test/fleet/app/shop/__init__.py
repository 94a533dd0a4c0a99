"""A small shop: a gateway, workers and a store that speak JSON over HTTP to one another."""

__version__ = '1.7.0'
