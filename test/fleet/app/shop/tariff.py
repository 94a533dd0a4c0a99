"""What customs takes for an exported parcel. The environment names the region (TARIFF_REGION)."""

import os

import pricelib

RATES = {
    'eu-central': {'light': '0.021', 'standard': '0.034', 'heavy': '0.052'},
    'eu-north': {'light': '0.019', 'standard': '0.031', 'heavy': '0.049'},
}


def tariff_settings(environ):
    """The TARIFF_* variables, e.g. {'TARIFF_TABLE': '2026-10', 'TARIFF_REGION': 'eu-central'}."""
    return {name: value for name, value in environ.items() if name.startswith('TARIFF_')}


def duties_for(shipments, currency):
    settings = tariff_settings(os.environ)
    return [duty_for(shipment, currency, settings) for shipment in shipments]


def duty_for(shipment, currency, settings):
    weight_class = weight_class_of(shipment['grams'])
    rate = rate_for(weight_class, settings)
    return pricelib.round_amount(shipment['value'] * rate, currency)


def weight_class_of(grams):
    if grams < 500:
        return 'light'
    return 'standard' if grams < 1500 else 'heavy'


def rate_for(weight_class, settings):
    region = settings['TARIFF_REGION']
    return pricelib.amount(RATES[region][weight_class])
