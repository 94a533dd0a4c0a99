"""Amounts of money: rounding and splitting in a currency's smallest unit."""

from pricelib.allocate import AllocationError, split_amount
from pricelib.money import amount, decimals_of, quantum, round_amount

__version__ = '2.1.0'
__all__ = [
    'AllocationError', 'amount', 'decimals_of', 'quantum', 'round_amount', 'split_amount']
