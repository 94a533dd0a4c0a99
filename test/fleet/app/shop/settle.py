"""The task `shop.settle`: splits an order's amount over its parcels and adds what export costs."""

import argparse
import json
import sys
from decimal import Decimal

import pricelib
from parcelcodes import parcel_code

from shop import tariff


def parse(argv):
    parser = argparse.ArgumentParser(prog='shop.settle')
    parser.add_argument('--order', type=int, required=True)
    parser.add_argument('--amount', type=Decimal, required=True)
    parser.add_argument('--currency', default='EUR')
    parser.add_argument('--parcels', type=int, default=3)
    parser.add_argument('--export', action='store_true')
    return parser.parse_args(argv)


def parcel_weights(order, count):
    """Weights in grams; they follow from the order's number so that a run can be repeated."""
    return [250 + (order * (position + 3) * 37) % 1750 for position in range(count)]


def settle(order, amount, currency, parcels, export):
    weights = parcel_weights(order, parcels)
    shares = pricelib.split_amount(amount, currency, weights)
    shipments = [
        {'code': parcel_code(order, position), 'grams': grams, 'value': share}
        for position, (grams, share) in enumerate(zip(weights, shares))
    ]
    duties = tariff.duties_for(shipments, currency) if export else []
    return {
        'order': order,
        'currency': currency,
        'parcels': [{**shipment, 'value': str(shipment['value'])} for shipment in shipments],
        'duties': [str(duty) for duty in duties],
    }


def main(argv=None):
    options = parse(sys.argv[1:] if argv is None else argv)
    result = settle(
        options.order, options.amount, options.currency, options.parcels, options.export)
    print(json.dumps(result))


if __name__ == '__main__':
    main()
