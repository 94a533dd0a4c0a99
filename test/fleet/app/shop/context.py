"""The request's context id: made at the gateway, carried from hop to hop, in every log line."""

import contextvars
import re
import uuid

HEADER = 'X-Request-Id'
_VALID = re.compile(r'req-[0-9a-f]{12}')
_current = contextvars.ContextVar('request_id', default=None)


def new_request_id():
    return 'req-' + uuid.uuid4().hex[:12]


def accepted(value):
    """The id a caller sent, or None when it sent none or one of another shape."""
    return value if value and _VALID.fullmatch(value) else None


def current():
    return _current.get()


class bound:
    """`with bound(request_id):` everything logged and called inside belongs to that request."""

    def __init__(self, request_id):
        self._request_id = request_id

    def __enter__(self):
        self._token = _current.set(self._request_id)
        return self._request_id

    def __exit__(self, *exc):
        _current.reset(self._token)
