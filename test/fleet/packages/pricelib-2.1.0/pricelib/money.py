"""Decimals of currencies and rounding to them."""

from decimal import ROUND_HALF_EVEN, Decimal

DECIMALS = {'EUR': 2, 'USD': 2, 'GBP': 2, 'JPY': 0, 'KWD': 3}


def amount(text):
    return Decimal(text)


def decimals_of(currency):
    return DECIMALS[currency]


def quantum(currency):
    """The currency's smallest unit: 0.01 for EUR, 1 for JPY."""
    return Decimal(1).scaleb(-decimals_of(currency))


def round_amount(value, currency):
    return value.quantize(quantum(currency), rounding=ROUND_HALF_EVEN)
