"""Decimals of currencies and rounding to them."""

from decimal import ROUND_HALF_EVEN, Decimal

DECIMALS = {'EUR': 2, 'USD': 2, 'GBP': 2, 'JPY': 0, 'KWD': 3}


def amount(text):
    return Decimal(text)


def decimals_of(currency):
    return DECIMALS[currency]


def quantum(currency):
    """The currency's smallest unit: 0.01 for EUR."""
    return Decimal('0.' + '0' * (decimals_of(currency) - 1) + '1')


def round_amount(value, currency):
    return value.quantize(quantum(currency), rounding=ROUND_HALF_EVEN)
