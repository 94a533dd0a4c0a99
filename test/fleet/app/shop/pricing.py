"""Prices a basket. Slow on purpose, and honestly so: the time goes where the names say."""

ROUNDS = 220


def price_basket(items, seed):
    """Total in cents of a basket of `items` lines that follow from `seed`."""
    lines = [(100 + (seed * (line + 7)) % 4900, 1 + (seed + line) % 5) for line in range(items)]
    total = 0
    for round_number in range(ROUNDS):
        total = sum(apply_tariff(price, count, round_number) for price, count in lines)
    return total


def apply_tariff(price, count, round_number):
    gross = price * count
    for band in range(8):
        gross += (gross >> (band + 3)) % (round_number + 5)
    return fold_discounts(gross, count)


def fold_discounts(gross, count):
    rebates = [gross // (100 + step * 7) for step in range(count, count + 24)]
    folded = 0
    for rebate in rebates:
        folded = (folded + rebate) % max(1, gross // 4)
    return gross - folded
