"""Three services, three log formats, as one finds them in real fleets: pino-style JSON lines,
Python's `logging` in Synapse's layout, and logfmt. Files rotate at 5 MB; two old ones are kept."""

import json
import logging
import os
import time
import traceback
from logging.handlers import RotatingFileHandler

from shop import context, settings

_PINO_LEVELS = {'DEBUG': 20, 'INFO': 30, 'WARNING': 40, 'ERROR': 50, 'CRITICAL': 60}
_LOGFMT_LEVELS = {'DEBUG': 'debug', 'INFO': 'info', 'WARNING': 'warn', 'ERROR': 'error'}
SYNAPSE_LAYOUT = '%(asctime)s - %(name)s - %(lineno)d - %(levelname)s - %(request)s - %(message)s'


class PinoFormatter(logging.Formatter):
    def format(self, record):
        line = {
            'level': _PINO_LEVELS.get(record.levelname, 30),
            'time': int(record.created * 1000),
            'pid': os.getpid(),
            'hostname': settings.NODE,
        }
        request_id = context.current()
        if request_id:
            line['reqId'] = request_id
        line['msg'] = record.getMessage()
        line.update(getattr(record, 'fields', {}))
        if record.exc_info:
            line['err'] = _pino_error(record.exc_info)
        return json.dumps(line, ensure_ascii=False, separators=(',', ':'))


def _pino_error(exc_info):
    kind, error, _ = exc_info
    return {
        'type': kind.__name__,
        'message': str(error),
        'stack': ''.join(traceback.format_exception(*exc_info)).rstrip(),
    }


class LogfmtFormatter(logging.Formatter):
    def format(self, record):
        seconds = time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))
        pairs = {
            'ts': f'{seconds}.{int(record.msecs):03d}Z',
            'level': _LOGFMT_LEVELS.get(record.levelname, 'info'),
            'msg': record.getMessage(),
        }
        request_id = context.current()
        if request_id:
            pairs['request_id'] = request_id
        pairs.update(getattr(record, 'fields', {}))
        if record.exc_info:
            pairs['err'] = repr(record.exc_info[1])
        # the message is quoted always, as most logfmt writers do
        texts = {key: _logfmt_value(value, key == 'msg') for key, value in pairs.items()}
        return ' '.join(f'{key}={text}' for key, text in texts.items())


def _logfmt_value(value, quoted=False):
    text = str(value)
    if quoted or not text or any(char in text for char in ' ="\n\t'):
        return json.dumps(text, ensure_ascii=False)
    return text


class _AddRequest(logging.Filter):
    def filter(self, record):
        record.request = context.current() or '-'
        return True


FORMATTERS = {
    'gateway': PinoFormatter,
    'worker': lambda: logging.Formatter(SYNAPSE_LAYOUT),
    'store': LogfmtFormatter,
}


def start(service):
    """Sends all that the logger `shop` gets to `log/<service>.log`; returns its own logger."""
    directory = settings.HOME / 'log'
    directory.mkdir(exist_ok=True)
    handler = RotatingFileHandler(
        directory / f'{service}.log', maxBytes=5_000_000, backupCount=2, encoding='utf-8')
    handler.setFormatter(FORMATTERS[service]())
    handler.addFilter(_AddRequest())
    root = logging.getLogger('shop')
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    root.propagate = False
    return logging.getLogger(f'shop.{service}')
