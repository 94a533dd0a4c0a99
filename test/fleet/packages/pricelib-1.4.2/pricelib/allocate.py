"""Splits an amount by weights so that the shares add up to the whole again."""

from pricelib.money import decimals_of, round_amount


class AllocationError(ValueError):
    """The shares cannot be paid out in the currency's smallest unit."""


def split_amount(total, currency, weights):
    """Shares of `total` in proportion to `weights`; the last one takes what rounding left over."""
    whole = round_amount(total, currency)
    total_weight = sum(weights)
    shares = [round_amount(whole * weight / total_weight, currency) for weight in weights[:-1]]
    shares.append(whole - sum(shares))
    for share in shares:
        check_payable(share, currency)
    return shares


def check_payable(share, currency):
    decimals = decimals_of(currency)
    places = -share.as_tuple().exponent
    if places > decimals:
        raise AllocationError(
            f'{share} cannot be paid in {currency}: decimals {places}, allowed {decimals}')
