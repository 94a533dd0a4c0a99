#!/usr/bin/env python3
"""The recorder of Faultline: writes down how a program ran, so that the run can be reopened later.

Runs on a node with Python 3.6 or newer and nothing else; one file, three ways to use it:

    python3 faultline_probe.py run [--context ID] [--parent RUN] [--state DIR] -- CMD ARG...
    python3 faultline_probe.py list [--state DIR] [--json]
    python3 faultline_probe.py show RUN [--state DIR]

    import faultline_probe; faultline_probe.install()      # this process becomes a recorded run
    handler.addFilter(faultline_probe.RunFilter())         # log records get run_id and context_id

What it promises the program under `run`: the same argv, environment, working directory, stdin,
stdout, signals and exit as without it; stderr byte for byte. Records are JSON (format
"faultline.run", version 1) in $FAULTLINE_STATE/runs; secrets are masked before anything is
written; a record that cannot be written costs one sentence on stderr and never the run.
"""
import array
import ast
import binascii
import errno
import fcntl
import hashlib
import hmac
import json
import linecache
import logging
import math
import os
import re
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time

VERSION = '0.1.0'
FORMAT = 'faultline.run'
FORMAT_VERSION = 1

KEEP_RECORDS = 500
KEEP_BYTES = 64 << 20
MAX_RECORD_BYTES = 1 << 20
# A running record takes this much, so that its end can be written on a disk that is full by then.
RESERVED_BYTES = 64 << 10
MAX_ENV_VALUE = 64 << 10
MAX_ARGV_BYTES = 256 << 10
TAIL_BYTES = 8 << 10
# More than the tail that is kept, so that a secret cut at its start is still seen whole and masked.
TAIL_BUFFER = 32 << 10
MAX_FRAMES = 200
MAX_MESSAGE = 16 << 10
MAX_TRACEBACK = 128 << 10

RUN_ID = re.compile(r'^r-\d{8}T\d{6}-[0-9a-f]{8}$')

# What is taken for a secret, as data: src/env/redact.ts holds the same rules and a test compares
# the two. Regular expressions are the common part of Python's `re` (with re.ASCII) and
# JavaScript's RegExp; "i" in flags ignores case; every repetition over hostile text is bounded.
#
# A *name* is first normalised: an underscore between a lower-case letter or digit and an
# upper-case letter and between "APIKey"'s API and Key, every other run of non-alphanumerics
# becomes one underscore, then lower case. harmlessNames win over secretNames; pathNames are
# harmless when the value is a path; looseNames need a value that looks random (looseValue).
# harmlessValues are never secrets, whatever the name. In secretValues, group 1 is the secret
# where there is one, else the whole match; a pattern is tried only when one of its hints
# (lower-case text) is in the lower-cased text; a secret that matches decoyValues is left alone.
# secret-patterns-begin
SECRET_PATTERNS = json.loads(r'''
{
  "version": 1,
  "secretNames": [
    "passw(or)?d|passphrase|passcode",
    "(^|_)(pass|pwd)(_|$)",
    "secret(?!ar)",
    "token",
    "api_?keys?(_|$)",
    "access_?keys?(_|$)",
    "private_?key",
    "(^|_)(signing|encryption|encrypt|hmac|master|licen[cs]e|account|storage|shared|deploy|crypt|cipher|jwt|session|cookie|auth|webhook|app)_?key(_|$)",
    "credential|(^|_)creds?(_|$)",
    "(^|_)(auth|authorization|authorisation|authentication|bearer|jwt)(_|$)",
    "(^|_)(cookies?|csrf|xsrf)(_|$)",
    "(^|_)sessions?(_|$)|session_?ids?(_|$)|sess_?id(_|$)",
    "(^|_)dsn(_|$)|database_ur[li]|conn(ection)?_?str(ing)?(_|$)",
    "(^|_)salt$|mnemonic|seed_?phrase|(^|_)(otp|totp|two_?factor)(_|$)",
    "webhook"
  ],
  "harmlessNames": [
    "^(pwd|oldpwd|gpg_key|xauthority|iceauthority)$",
    "tokeni[sz]",
    "(^|_)(max|min|num|n|total|prompt|completion|input|output|context|new)_tokens?(_|$)",
    "^ssh_auth_(sock|info_0)$",
    "^xdg_session_",
    "^(dbus_session_bus_(address|pid|windowid)|session_manager|desktop_session|gdmsession|session_type)$",
    "^(gnome_desktop_session_id|kde_session_(uid|version)|(term|i?term|wt|konsole_dbus|lc_term)_session(_id)?)$",
    "_(count|len|length|size|limit|max|min|ttl|timeout|expir(y|es|ation)|age|lifetime|days|hours|minutes|mins|seconds|secs|ms)$",
    "_(enabled?|disabled?|required?|secure|samesite|same_site|http_?only|domain|backend|class|engine|type|kind|methods?|mode)$",
    "_(algorithms?|alg|prefix|suffix|policy|providers?|issuer|audience|scopes?|name|version|format|driver|rounds|iterations|strategy|validators?|hashers?)$",
    "(token|auth|oauth|session|cookie|jwt|credentials?)_(url|uri|endpoint|host|port|server)$"
  ],
  "pathNames": ["_(file|path|dir|directory|folder|sock|socket|keytab|location)$|^(google_application_credentials|pgpassfile)$"],
  "pathValue": "^(~|\\.{1,2})?/[^\\n]{0,4096}$",
  "looseNames": ["(^|_)(keys?|sig|signature)$"],
  "looseValue": "^(?=[^0-9]{0,200}[0-9])(?=[^A-Za-z]{0,200}[A-Za-z])[A-Za-z0-9+/_=.-]{20,4096}$",
  "harmlessValues": [
    "^(|true|false|yes|no|on|off|none|null|nil|undefined|0|1|enabled|disabled)$",
    "^(x{3,}|\\*{3,}|\\.{3,}|\\[?redacted\\]?|<(redacted|hidden|masked|secret|password|token|your[^<>]{0,40})>)$",
    "^(\\$\\{[^{}]{0,200}\\}|\\$[A-Za-z_]\\w{0,99}|\\{\\{[^{}]{0,200}\\}\\}|%\\([^()]{0,99}\\)s)$",
    "^\u2039redacted:[0-9a-f]{8}\u203a$"
  ],
  "decoyValues": [
    "EXAMPLE(KEY)?$",
    "^[xX*.]{3,}$",
    "^(\\$|\\{\\{|<|%\\(|\u2039redacted:)"
  ],
  "secretValues": [
    {"id": "private-key", "flags": "", "hints": ["private key"], "pattern": "-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:[\\s\\S]{0,20000}?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|[\\s\\S]{0,20000})"},
    {"id": "age-secret-key", "flags": "", "hints": ["age-secret-key-"], "pattern": "\\bAGE-SECRET-KEY-1[0-9A-Z]{58}"},
    {"id": "url-credentials", "flags": "i", "hints": ["://"], "pattern": "[a-z0-9+.-]{1,30}://[^\\s/:@\"'<>]{0,200}:([^\\s/\"'<>]{1,400})@"},
    {"id": "jwt", "flags": "", "hints": ["eyj"], "pattern": "(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,4000}\\.[A-Za-z0-9_-]{10,4000}(?:\\.[A-Za-z0-9_-]{0,2000})?"},
    {"id": "authorization-header", "flags": "i", "hints": ["authorization"], "pattern": "authorization[\"']?\\s{0,3}[:=]\\s{0,3}[\"']?(?:(?:bearer|basic|token|digest|apikey)\\s{1,3})?([^\\s\"',;]{8,4000})"},
    {"id": "bearer", "flags": "i", "hints": ["bearer"], "pattern": "\\bbearer\\s{1,3}(?=[A-Za-z._~+/-]{0,200}[0-9])([A-Za-z0-9._~+/-]{16,4000}=*)"},
    {"id": "aws-access-key-id", "flags": "", "hints": ["akia", "asia", "abia", "acca"], "pattern": "\\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\\b"},
    {"id": "gcp-api-key", "flags": "", "hints": ["aiza"], "pattern": "\\bAIza[A-Za-z0-9_-]{35}"},
    {"id": "google-oauth", "flags": "", "hints": ["gocspx-", "ya29."], "pattern": "\\b(?:GOCSPX-[A-Za-z0-9_-]{28}|ya29\\.[A-Za-z0-9_-]{20,2000})"},
    {"id": "azure-client-secret", "flags": "", "hints": ["q~"], "pattern": "(?:^|[\\s\"'=:])([A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34})"},
    {"id": "azure-account-key", "flags": "i", "hints": ["accountkey=", "accesskey="], "pattern": "(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{40,100}={0,2})"},
    {"id": "azure-sas", "flags": "", "hints": ["sig="], "pattern": "[?&]sig=([A-Za-z0-9%+/=_-]{20,400})"},
    {"id": "github-token", "flags": "", "hints": ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"], "pattern": "\\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})"},
    {"id": "gitlab-token", "flags": "", "hints": ["glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glsoat-", "gloas-", "glagent-", "gr1348941"], "pattern": "\\b(?:gl(?:pat|dt|rt|cbt|ptt|ft|soat|oas|agent)-[A-Za-z0-9_-]{20,200}|GR1348941[A-Za-z0-9_-]{20})"},
    {"id": "bitbucket-token", "flags": "", "hints": ["atbb", "atatt3"], "pattern": "\\b(?:ATBB[A-Za-z0-9]{32}|ATATT3[A-Za-z0-9_=-]{60,400})"},
    {"id": "npm-token", "flags": "", "hints": ["npm_"], "pattern": "\\bnpm_[A-Za-z0-9]{36}\\b"},
    {"id": "pypi-token", "flags": "", "hints": ["pypi-"], "pattern": "\\bpypi-AgE[A-Za-z0-9_-]{50,1000}"},
    {"id": "rubygems-token", "flags": "", "hints": ["rubygems_"], "pattern": "\\brubygems_[a-f0-9]{48}\\b"},
    {"id": "docker-token", "flags": "", "hints": ["dckr_"], "pattern": "\\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{27,100}"},
    {"id": "slack-token", "flags": "", "hints": ["xox", "xapp-"], "pattern": "\\b(?:xox[abeoprs]-(?:[0-9]-)?[A-Za-z0-9-]{10,300}|xapp-[0-9]-[A-Za-z0-9-]{10,300})"},
    {"id": "slack-webhook", "flags": "i", "hints": ["hooks.slack.com"], "pattern": "hooks\\.slack\\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/]{20,200})"},
    {"id": "discord-webhook", "flags": "i", "hints": ["/api/webhooks/"], "pattern": "discord(?:app)?\\.com/api/webhooks/([0-9]{5,25}/[A-Za-z0-9_-]{40,120})"},
    {"id": "discord-token", "flags": "", "hints": ["."], "pattern": "\\b[MNO][A-Za-z0-9_-]{23,27}\\.[A-Za-z0-9_-]{6}\\.[A-Za-z0-9_-]{27,40}\\b"},
    {"id": "telegram-token", "flags": "", "hints": [":aa"], "pattern": "\\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}"},
    {"id": "stripe-key", "flags": "", "hints": ["sk_", "rk_", "whsec_"], "pattern": "\\b(?:(?:sk|rk)_(?:test|live|prod)_[A-Za-z0-9]{10,99}|whsec_[A-Za-z0-9+/=]{20,99})"},
    {"id": "square-token", "flags": "", "hints": ["eaaa", "sq0atp-", "sq0csp-"], "pattern": "\\b(?:EAAA|sq0atp-|sq0csp-)[A-Za-z0-9_-]{22,60}"},
    {"id": "shopify-token", "flags": "", "hints": ["shpat_", "shpca_", "shppa_", "shpss_"], "pattern": "\\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"},
    {"id": "twilio-key", "flags": "", "hints": ["sk"], "pattern": "\\bSK[0-9a-f]{32}\\b"},
    {"id": "sendgrid-token", "flags": "", "hints": ["sg."], "pattern": "\\bSG\\.[A-Za-z0-9_=.-]{66}"},
    {"id": "mail-service-key", "flags": "", "hints": ["-us", "key-"], "pattern": "\\b(?:[0-9a-f]{32}-us[0-9]{1,2}|key-[0-9a-f]{32})\\b"},
    {"id": "sk-api-key", "flags": "", "hints": ["sk-"], "pattern": "(?<![A-Za-z0-9_-])sk-(?=[A-Za-z_-]{0,200}[0-9])[A-Za-z0-9_-]{20,300}"},
    {"id": "huggingface-token", "flags": "", "hints": ["hf_", "api_org_"], "pattern": "\\b(?:hf_[A-Za-z0-9]{30,60}|api_org_[A-Za-z]{34})\\b"},
    {"id": "databricks-token", "flags": "", "hints": ["dapi"], "pattern": "\\bdapi[a-f0-9]{32}(?:-[0-9])?\\b"},
    {"id": "digitalocean-token", "flags": "", "hints": ["doo_v1_", "dop_v1_", "dor_v1_"], "pattern": "\\bdo[opr]_v1_[a-f0-9]{64}"},
    {"id": "terraform-token", "flags": "", "hints": [".atlasv1."], "pattern": "\\b[A-Za-z0-9]{14}\\.atlasv1\\.[A-Za-z0-9_=-]{60,70}"},
    {"id": "vault-token", "flags": "", "hints": ["hvs.", "hvb.", "hvr."], "pattern": "\\bhv[sbr]\\.[A-Za-z0-9_-]{24,300}"},
    {"id": "grafana-token", "flags": "", "hints": ["glsa_", "glc_"], "pattern": "\\b(?:glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}|glc_[A-Za-z0-9+/=]{32,400})"},
    {"id": "sentry-token", "flags": "", "hints": ["sntrys_", "sntryu_"], "pattern": "\\bsntry[su]_[A-Za-z0-9+/=_-]{40,400}"},
    {"id": "newrelic-key", "flags": "", "hints": ["nrak-"], "pattern": "\\bNRAK-[A-Z0-9]{27}"},
    {"id": "datadog-key", "flags": "i", "hints": ["datadog", "dd_api", "dd-api", "dd_app", "dd-app"], "pattern": "(?:datadog|dd[_-]ap[ip])[\\w-]{0,20}[\"'\\s:=]{1,5}([a-f0-9]{32,40})\\b"},
    {"id": "connection-string", "flags": "i", "hints": ["password=", "pwd="], "pattern": "(?:password|pwd)=([^;\\s\"'&]{1,400})"},
    {"id": "command-password", "flags": "", "hints": ["sshpass", "mysql", "mariadb", "curl"], "pattern": "\\bsshpass\\s{1,3}-p\\s{0,3}(\\S{1,400})"},
    {"id": "command-password-mysql", "flags": "", "hints": ["mysql", "mariadb"], "pattern": "\\b(?:mysql|mariadb)[a-z-]{0,12}\\s(?:[^|;&\\n]{0,200}\\s)?-p([^\\s-]\\S{0,400})"},
    {"id": "command-password-curl", "flags": "", "hints": ["curl"], "pattern": "\\bcurl\\s(?:[^|;&\\n]{0,200}\\s)?(?:-u|--user)[\\s=]{1,3}[^\\s:]{1,200}:(\\S{1,400})"},
    {"id": "option", "flags": "i", "hints": ["--"], "pattern": "--(?:[a-z]{1,20}-){0,4}(?:password|passwd|passphrase|secret|token|api-?key|access-?key|private-?key)(?:\\s{1,3}|=)[\"']?([^\\s\"'=-][^\\s\"']{2,400})"},
    {"id": "field", "flags": "i", "hints": ["passw", "passphrase", "secret", "key", "token"], "pattern": "(?:password|passwd|passphrase|client[_-]?secret|secret[_-]?(?:access[_-]?)?key|api[_-]?key|access[_-]?key|private[_-]?key|(?:auth|access|refresh|id|session|bearer)[_-]?token)[\"']?\\s{0,3}(?::|=(?!=))\\s{0,3}[\"']?(?!(?:required|optional|none|null|true|false|self|os\\.|str\\b|int\\b|get|and\\b|is\\b|or\\b|not\\b))([^\\s\"',;&(){}\\[\\]]{4,400})"},
    {"id": "field-random", "flags": "i", "hints": ["secret", "token"], "pattern": "(?:secret|token)[\"']?\\s{0,3}(?::|=(?!=))\\s{0,3}[\"']?(?=[^\\s0-9]{0,200}[0-9])([A-Za-z0-9+/_=.~-]{8,400})"}
  ],
  "argvOptions": [
    {"programs": ["mysql", "mysqldump", "mysqladmin", "mysqlimport", "mysqlcheck", "mysqlshow", "mariadb", "mariadb-dump", "mariadb-admin"], "option": "-p", "form": "glued", "part": "all"},
    {"programs": ["sshpass"], "option": "-p", "form": "any", "part": "all"},
    {"programs": ["curl", "wget"], "option": "-u", "form": "any", "part": "afterColon"},
    {"programs": ["curl"], "option": "--user", "form": "any", "part": "afterColon"},
    {"programs": ["redis-cli"], "option": "-a", "form": "any", "part": "all"},
    {"programs": ["ldapsearch", "ldapmodify", "ldapadd"], "option": "-w", "form": "any", "part": "all"}
  ],
  "argvSecretNames": ["passw(or)?d|passphrase|passcode|(^|_)pass$", "secret(?!ar)", "token", "api_?key", "access_?key", "private_?key", "credential", "authorization"],
  "argvHarmlessNames": ["^(no|ask|prompt|with|without|show|hide|use|enable|disable|print|list|generate)_", "_(stdin|prompt|fd|env|from)$"]
}
''')
# secret-patterns-end


# ---------------------------------------------------------------------------------------- text


def text_of(raw):
    """Bytes as text that gives the same bytes back: what is not UTF-8 becomes lone surrogates."""
    return raw.decode('utf-8', 'surrogateescape')


def bytes_of(text):
    """The bytes that text_of() came from; surrogates from elsewhere are kept, never an error."""
    try:
        return text.encode('utf-8', 'surrogateescape')
    except UnicodeEncodeError:
        return text.encode('utf-8', 'surrogatepass')


def os_text(value):
    """A path, argument or variable as Python holds it, in the record's form whatever the locale."""
    return text_of(os.fsencode(value))


def iso_time(seconds):
    """Seconds since 1970 as ISO 8601 UTC with milliseconds."""
    whole = math.floor(seconds)
    millis = int((seconds - whole) * 1000)
    return time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole)) + '.%03dZ' % millis


def reason_of(error):
    """Why an OSError happened, in the system's words."""
    return error.strerror or str(error)


def say(sentence, after=b''):
    """One line on stderr. A closed or full stderr is not our failure to report."""
    try:
        os.write(2, after + b'faultline: ' + bytes_of(sentence) + b'\n')
    except OSError:
        pass


# ----------------------------------------------------------------------------------- redaction


def compile_rules(patterns):
    """SECRET_PATTERNS with its regular expressions compiled."""
    def any_of(sources, flags=0):
        return [re.compile(source, re.ASCII | flags) for source in sources]

    return {
        'secret_names': any_of(patterns['secretNames']),
        'harmless_names': any_of(patterns['harmlessNames']),
        'path_names': any_of(patterns['pathNames']),
        'path_value': any_of([patterns['pathValue']]),
        'loose_names': any_of(patterns['looseNames']),
        'loose_value': any_of([patterns['looseValue']]),
        'harmless_values': any_of(patterns['harmlessValues'], re.IGNORECASE),
        'decoys': any_of(patterns['decoyValues']),
        'argv_names': any_of(patterns['argvSecretNames']),
        'argv_harmless': any_of(patterns['argvHarmlessNames']),
        # Compiled when a hint is first met: most runs meet few.
        'values': [
            (entry['hints'], entry['pattern'],
             re.ASCII | (re.IGNORECASE if 'i' in entry['flags'] else 0))
            for entry in patterns['secretValues']
        ],
        'options': patterns['argvOptions'],
    }


RULES = compile_rules(SECRET_PATTERNS)


def matches(regexes, text):
    return any(regex.search(text) for regex in regexes)


def normal_name(name):
    """A variable's or option's name as lower-case words joined by underscores."""
    split = re.sub(r'([a-z0-9])([A-Z])', r'\1_\2', name)
    split = re.sub(r'([A-Z])([A-Z][a-z])', r'\1_\2', split)
    return re.sub(r'[^A-Za-z0-9]+', '_', split).strip('_').lower()


def is_secret_name(name, value):
    """Whether a variable of this name and value is a secret because of its name."""
    words = normal_name(name)
    if matches(RULES['harmless_values'], value) or matches(RULES['harmless_names'], words):
        return False
    if matches(RULES['path_names'], words) and matches(RULES['path_value'], value):
        return False
    if matches(RULES['secret_names'], words):
        return True
    return matches(RULES['loose_names'], words) and matches(RULES['loose_value'], value)


def secret_reason(name, value):
    """Why a variable is masked: 'name', 'value', or None when it is not."""
    if is_secret_name(name, value):
        return 'name'
    return 'value' if any(True for _ in secret_spans(value)) else None


def is_secret_option(name, value):
    """The same for a command-line option, where only strong words count: a masked argument
    cannot be rerun, and `--auth` or `--session` are as often switches."""
    words = normal_name(name)
    if matches(RULES['argv_harmless'], words) or matches(RULES['harmless_names'], words):
        return False
    if not matches(RULES['argv_names'], words) or matches(RULES['harmless_values'], value):
        return False
    if matches(RULES['path_names'], words) and matches(RULES['path_value'], value):
        return False
    return not (re.search('key|cred', words) and matches(RULES['path_value'], value))


def secret_spans(text):
    """(start, end) of every secret that its shape gives away, in no particular order."""
    lower = text.lower()
    for hints, pattern, flags in RULES['values']:
        if not any(hint in lower for hint in hints):
            continue
        for match in re.compile(pattern, flags).finditer(text):
            group = 1 if match.re.groups and match.group(1) is not None else 0
            if not matches(RULES['decoys'], match.group(group)):
                yield match.span(group)


def spellings(value):
    """The ways a program is likely to print this value: plain, quoted, JSON, URL-encoded."""
    from urllib.parse import quote, quote_plus, unquote
    forms = {value, repr(value)[1:-1], json.dumps(value)[1:-1],
             json.dumps(value, ensure_ascii=False)[1:-1]}
    raw = bytes_of(value)
    forms.update((quote(raw, safe=''), quote(raw), quote_plus(raw)))
    if '%' in value:
        forms.add(unquote(value))
    return forms


def looks_chosen(secret):
    """Whether a secret is unlike any ordinary word, so that each occurrence is the secret."""
    kinds = ('[a-z]', '[A-Z]', '[0-9]', '[^A-Za-z0-9]')
    variety = sum(1 for kind in kinds if re.search(kind, secret))
    return len(secret) >= 16 or (len(secret) >= 6 and variety >= 2)


class Redactor:
    """Masks secrets for one record. First learn() every secret, then env(), argv() and text().

    A mask carries HMAC-SHA256(salt, value)[:8 hex], so that "the same secret?" can be answered
    without the secret. The key is the salt's hex digits as ASCII; the salt is new for each record.
    """

    def __init__(self, salt):
        self.salt = salt
        self._key = salt.encode('ascii')
        self._learnt = set()
        self._regexes = {}

    def tag(self, value):
        return hmac.new(self._key, bytes_of(value), hashlib.sha256).hexdigest()[:8]

    def mask(self, value):
        return '\u2039redacted:%s\u203a' % self.tag(value)

    def learn(self, value):
        """From now on this value is masked wherever it occurs."""
        parts = {value, value.strip()}
        parts.update(value[start:end] for start, end in secret_spans(value))
        if '\n' in value:
            parts.update(line for line in value.split('\n') if len(line) >= 20)
        self._learnt.update(part for part in parts if len(part) >= 3)
        self._regexes = {}

    def learn_environment(self, env):
        for name, value in env.items():
            if is_secret_name(name, value):
                self.learn(value)
            else:
                for start, end in secret_spans(value):
                    self.learn(value[start:end])

    def env(self, env):
        """name → text or {redacted, reason, length in bytes, hash}, as the record holds it."""
        return {self.known(name): self._env_value(name, value) for name, value in env.items()}

    def _env_value(self, name, value):
        reason = secret_reason(name, value)
        if reason is None and self.known(value) != value:
            reason = 'value'
        if reason is None:
            return value
        return {'redacted': True, 'reason': reason, 'length': len(bytes_of(value)),
                'hash': self.tag(value)}

    def argv(self, argv):
        """The arguments with secrets masked inside them; learns the secrets it finds."""
        program = os.path.basename(argv[0]) if argv else ''
        options = [entry for entry in RULES['options'] if program in entry['programs']]
        shown = []
        expected = None  # how the next argument is masked: 'all' | 'afterColon' | None
        for index, arg in enumerate(argv):
            if expected is not None:
                shown.append(self._masked_part(arg, expected))
                expected = None
                continue
            following = argv[index + 1:index + 2]
            text, expected = self._argument(arg, following, options if index else [])
            shown.append(text)
        return [self.text(arg, is_prose=False) for arg in shown]

    def _argument(self, arg, following, options):
        """(text to show, how to mask the argument after this one)."""
        for entry in options:
            flag = entry['option']
            if arg == flag and entry['form'] == 'any':
                return arg, entry['part']
            if arg.startswith(flag + '=') and flag.startswith('--'):
                return flag + '=' + self._masked_part(arg[len(flag) + 1:], entry['part']), None
            if arg.startswith(flag) and len(arg) > len(flag) and not flag.startswith('--'):
                return flag + self._masked_part(arg[len(flag):], entry['part']), None
        pair = re.match(r'(-{0,2})([A-Za-z_][\w.-]{0,200})=(.*)\Z', arg, re.ASCII | re.DOTALL)
        if pair:
            dashes, name, value = pair.groups()
            secret = is_secret_option if dashes else is_secret_name
            if value and secret(name, value):
                return '%s%s=%s' % (dashes, name, self._masked_part(value, 'all')), None
            return arg, None
        if following and re.match(r'--?[A-Za-z][\w-]{1,200}\Z', arg, re.ASCII):
            value = following[0]
            if not value.startswith('-') and is_secret_option(arg.lstrip('-'), value):
                return arg, 'all'
        return arg, None

    def _masked_part(self, value, part):
        head, colon, secret = value.partition(':')
        if part == 'all':
            head, colon, secret = '', '', value
        if not secret:
            return value
        self.learn(secret)
        return head + colon + self.mask(secret)

    def known(self, text, is_prose=False):
        """Text with the learnt secrets masked wherever they occur. One that is a short or plain
        word (`postgres`) is masked in prose only, and only where it stands alone: as a user's name
        or a part of a path it gives nothing away, and masked there it would destroy the record."""
        if not self._learnt:
            return text
        if is_prose not in self._regexes:
            self._regexes[is_prose] = self._compile(is_prose)
        return self._regexes[is_prose].sub(lambda match: self.mask(match.group(0)), text)

    def _compile(self, is_prose):
        branches = []
        for value in self._learnt:
            if looks_chosen(value):
                branches += [re.escape(form) for form in spellings(value)]
            elif is_prose:
                branches.append(r'(?<![\w./-])' + re.escape(value) + r'(?![\w/-])')
        branches.sort(key=len, reverse=True)
        return re.compile('|'.join(branches) or r'(?!)')

    def text(self, text, is_prose=True):
        """Text with learnt secrets and everything of a secret's shape masked."""
        text = self.known(text, is_prose)
        shown, at = [], 0
        for start, end in self._disjoint(secret_spans(text)):
            shown += [text[at:start], self.mask(text[start:end])]
            at = end
        return ''.join(shown) + text[at:]

    @staticmethod
    def _disjoint(spans):
        """In order, with overlapping ones joined: no part of a secret is left between two masks."""
        joined = []
        for start, end in sorted(spans):
            if joined and start < joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        return joined

    def everywhere(self, value):
        """A JSON value with the learnt secrets masked in all of its strings."""
        if isinstance(value, str):
            return self.known(value)
        if isinstance(value, list):
            return [self.everywhere(item) for item in value]
        if isinstance(value, dict):
            return {key: self.everywhere(item) for key, item in value.items()}
        return value


# --------------------------------------------------------------------------------------- facts
# Each reads one fact of this process or node. What cannot be read becomes a note, never an error.


def read_bytes(path, limit=1 << 20):
    with open(path, 'rb', buffering=0) as file:
        chunks, size = [], 0
        while size < limit:
            chunk = file.read(limit - size)
            if not chunk:
                break
            chunks.append(chunk)
            size += len(chunk)
        return b''.join(chunks)


def environment():
    """This process's environment in the record's form. From os.environb, which later changes
    reach, unlike /proc/self/environ."""
    return {text_of(name): text_of(value) for name, value in os.environb.items()}


def undo_locale_coercion():
    """Python sets LC_CTYPE in the environment of its children when it starts in the C locale
    (PEP 538); the program shall not see it."""
    if b'LC_CTYPE' not in os.environb:
        return
    try:
        started_with = read_bytes('/proc/self/environ', 8 << 20)
    except OSError:
        return
    if b'\0LC_CTYPE=' not in b'\0' + started_with:
        del os.environb[b'LC_CTYPE']


def working_directory(notes):
    """{"logical": $PWD if it is this directory, "physical": without symbolic links}."""
    try:
        physical = os_text(os.getcwd())
    except OSError as error:
        notes.append('could not read the working directory: ' + reason_of(error))
        try:
            physical = os_text(os.readlink('/proc/self/cwd'))
        except OSError:
            physical = ''
    logical = os.environ.get('PWD', '')
    try:
        same = os.path.isabs(logical) and os.path.samefile(logical, '.')
    except OSError:
        same = False
    return {'logical': os_text(logical) if same else physical, 'physical': physical}


def user_facts(notes):
    import grp
    import pwd

    def named(lookup, number):
        try:
            return lookup(number)[0]
        except (KeyError, OSError):
            return str(number)

    uid = os.geteuid()
    groups = sorted(set(os.getgroups()) | {os.getegid()})
    if len(groups) > 1000:
        notes.append('%d groups, the first 1000 kept' % len(groups))
    return {'name': named(pwd.getpwuid, uid), 'uid': uid, 'gid': os.getegid(),
            'groups': [named(grp.getgrgid, gid) for gid in groups[:1000]]}


def current_umask():
    try:
        found = re.search(br'^Umask:\s*(\d+)', read_bytes('/proc/self/status'), re.MULTILINE)
        if found:
            return '%04o' % int(found.group(1), 8)
    except OSError:
        pass
    mask = os.umask(0o077)
    os.umask(mask)
    return '%04o' % mask


def resource_limits():
    """name → [soft, hard]; -1 is unlimited."""
    import resource
    limits = {}
    for name in dir(resource):
        if not name.startswith('RLIMIT_') or name == 'RLIMIT_OFILE':
            continue
        try:
            pair = resource.getrlimit(getattr(resource, name))
        except (ValueError, OSError):
            continue
        limits[name[len('RLIMIT_'):].lower()] = [
            -1 if value == resource.RLIM_INFINITY else value for value in pair]
    return limits


def locale_facts():
    import locale
    try:
        locale.setlocale(locale.LC_CTYPE, '')
    except locale.Error:
        pass  # a locale the node does not have: the C locale stays, as for any other program
    try:
        encoding = locale.nl_langinfo(locale.CODESET)
    except (AttributeError, ValueError):
        encoding = locale.getpreferredencoding(False)
    facts = {name: os_text(value) for name, value in os.environ.items()
             if name in ('LANG', 'LANGUAGE') or name.startswith('LC_')}
    facts.setdefault('LANG', None)
    facts.setdefault('LC_ALL', None)
    facts['preferredEncoding'] = encoding
    return facts


def timezone_facts():
    time.tzset()
    now = time.localtime()
    tz = os.environ.get('TZ')
    return {'tz': None if tz is None else os_text(tz), 'name': now.tm_zone or '',
            'offsetMinutes': (now.tm_gmtoff or 0) // 60}


def os_name():
    for path in ('/etc/os-release', '/usr/lib/os-release'):
        try:
            text = text_of(read_bytes(path, 64 << 10))
        except OSError:
            continue
        found = re.search(r'^PRETTY_NAME=(["\']?)(.*)\1\s*$', text, re.MULTILINE)
        if found:
            return found.group(2)
    return os.uname().sysname


def addresses(notes):
    """The node's own addresses, without loopback and link-local ones; Linux only."""
    found = []
    try:
        found += ipv4_addresses() + ipv6_addresses()
    except (OSError, ValueError, struct.error) as error:
        notes.append('could not read the network addresses: %s' % error)
    return found


def ipv4_addresses():
    """From SIOCGIFCONF (netdevice(7)): struct ifreq is 16 bytes of name, then a sockaddr."""
    ifreq = 16 + (24 if struct.calcsize('P') == 8 else 16)
    room = array.array('B', bytes(256 * ifreq))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        answer = fcntl.ioctl(probe, 0x8912, struct.pack('iP', len(room), room.buffer_info()[0]))
    length = struct.unpack('iP', answer)[0]
    all_of = [socket.inet_ntoa(bytes(room[at + 20:at + 24])) for at in range(0, length, ifreq)]
    return [address for address in all_of if not address.startswith('127.')]


def ipv6_addresses():
    """From /proc/net/if_inet6: 32 hex digits a line; scope 00 is global."""
    try:
        lines = read_bytes('/proc/net/if_inet6').decode('ascii').splitlines()
    except FileNotFoundError:
        return []
    fields = [line.split() for line in lines]
    return [socket.inet_ntop(socket.AF_INET6, binascii.unhexlify(field[0]))
            for field in fields if len(field) >= 6 and field[3] == '00']


def host_facts(notes):
    system = os.uname()
    return {'name': os_text(socket.gethostname()), 'os': os_name(), 'kernel': system.release,
            'machine': system.machine, 'addresses': addresses(notes)}


def stdin_kind():
    """tty, pipe (a socket too), file, null or closed: what fd 0 of this process is."""
    try:
        mode = os.fstat(0)
    except OSError:
        return 'closed'
    if os.isatty(0):
        return 'tty'
    if stat.S_ISFIFO(mode.st_mode) or stat.S_ISSOCK(mode.st_mode):
        return 'pipe'
    if stat.S_ISCHR(mode.st_mode) and mode.st_rdev == os.makedev(1, 3):
        return 'null'
    return 'file'


def process_start(pid):
    """When a process started, in clock ticks since boot (proc(5), field 22); None when gone."""
    try:
        line = read_bytes('/proc/%d/stat' % pid)
    except OSError:
        return None
    return int(line[line.rindex(b')') + 2:].split()[19])


def boot_id():
    try:
        return read_bytes('/proc/sys/kernel/random/boot_id').decode('ascii').strip()
    except OSError:
        return None


def distribution(entry, folder):
    """(PEP 503 name, version) of a .dist-info or .egg-info entry, else None."""
    stem, extension = os.path.splitext(entry)
    if extension not in ('.dist-info', '.egg-info'):
        return None
    name, _, version = stem.partition('-')
    version = re.sub(r'-py\d(\.\d+)?.*$', '', version)
    if not re.match(r'[vV]?\d', version):
        # A develop install or an old tool's unescaped name: the file inside knows.
        name, version = distribution_metadata(os.path.join(folder, entry)) or (name, version)
    return re.sub(r'[-_.]+', '-', name).lower(), version


def distribution_metadata(path):
    for file in (os.path.join(path, 'METADATA'), os.path.join(path, 'PKG-INFO'), path):
        try:
            head = text_of(read_bytes(file, 16 << 10))
        except OSError:
            continue
        name = re.search(r'^Name:[ \t]*(\S+)', head, re.MULTILINE)
        version = re.search(r'^Version:[ \t]*(\S+)', head, re.MULTILINE)
        if name and version:
            return name.group(1), version.group(1)
    return None


def packages_on(path):
    """Distributions importable from these sys.path entries; the first one found wins, as in an
    import. Reads directory listings only: importlib.metadata takes 100 times as long."""
    packages = {}
    for folder in path:
        try:
            entries = sorted(os.listdir(folder or '.'))
        except OSError:
            continue  # a zip file or a directory that is not there: nothing to list
        for entry in entries:
            found = distribution(entry, folder or '.')
            if found:
                packages.setdefault(os_text(found[0]), os_text(found[1]))
    return packages


# ---------------------------------------------------------------------------------------- code


def git_directory(start):
    """(work tree, git directory) of the checkout that holds a directory, else None."""
    folder = start
    while True:
        mark = os.path.join(folder, '.git')
        if os.path.isdir(mark):
            return folder, mark
        if os.path.isfile(mark):
            found = re.match(r'gitdir:\s*(.+)', text_of(read_bytes(mark, 4096)))
            if found:
                return folder, os.path.join(folder, os.fsdecode(bytes_of(found.group(1).strip())))
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above


def git_head(git):
    """(commit, branch) read from the files, so that no git has to be there; None when unknown."""
    def line(name):
        for base in bases:
            try:
                return text_of(read_bytes(os.path.join(base, name), 4096)).strip()
            except OSError:
                continue
        return None

    bases = [git]
    common = line('commondir')
    if common:
        bases.append(os.path.join(git, os.fsdecode(bytes_of(common))))
    head = line('HEAD')
    if head is None or not head.startswith('ref: '):
        return head, None
    ref = head[len('ref: '):]
    branch = ref[len('refs/heads/'):] if ref.startswith('refs/heads/') else ref
    commit = line(ref)
    if commit is None:
        for base in bases:
            try:
                packed = text_of(read_bytes(os.path.join(base, 'packed-refs'), 8 << 20))
            except OSError:
                continue
            found = re.search(r'^([0-9a-f]{40,64}) %s$' % re.escape(ref), packed, re.MULTILINE)
            if found:
                commit = found.group(1)
                break
    return commit, branch


def git_dirty(root):
    """Whether tracked files differ from the commit; None when git cannot tell within 5 s.
    Takes no locks and starts none of the checkout's own monitors."""
    env = {name: value for name, value in os.environ.items() if not name.startswith('GIT_')}
    env.update(LC_ALL='C', GIT_OPTIONAL_LOCKS='0')
    command = ['git', '-c', 'core.fsmonitor=false', '-C', root, 'status', '--porcelain',
               '--untracked-files=no', '--ignore-submodules=dirty']
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, env=env, timeout=5,
                              start_new_session=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return bool(done.stdout) if done.returncode == 0 else None


def code_facts(folders):
    """The checkout that holds the first of these directories that is in one, else None."""
    for folder in folders:
        try:
            found = git_directory(os.path.realpath(folder))
            if found:
                commit, branch = git_head(found[1])
                return {'root': os_text(found[0]), 'commit': commit, 'branch': branch,
                        'dirty': None, 'files': {}}
        except OSError:
            continue
    return None


def file_hashes(frames, root):
    """SHA-256 of the files below root that a traceback names, by their path relative to it. What
    lies elsewhere is the interpreter's or a package's, and known by its version."""
    hashes = {}
    for frame in frames:
        path = os.fsdecode(bytes_of(frame['file']))
        if not os.path.isabs(path) or len(hashes) >= 100:
            continue
        try:
            if not os.path.isfile(path) or os.path.getsize(path) > 4 << 20:
                continue
            digest = hashlib.sha256(read_bytes(path, 4 << 20)).hexdigest()
            relative = os.path.relpath(os.path.realpath(path), root)
        except OSError:
            continue
        if not relative.startswith(os.pardir + os.sep):
            hashes[os_text(relative)] = digest
    return hashes


# ---------------------------------------------------------------------------------- the inside
# What runs inside the Python program under `run` (as a sitecustomize that removes itself) and
# inside a process that called install(). Kept small: it is compiled at each start. It must parse
# on Python 2, which PYTHONPATH may reach by mistake, and never raise.

INSIDE = r'''
def _facts(sys, os):
    flags = {}
    for name in dir(sys.flags):
        if name[0] != '_' and name[:2] != 'n_' and name not in ('count', 'index'):
            flags[name] = getattr(sys.flags, name)
    encoding = None
    try:
        import _locale
        encoding = _locale.nl_langinfo(_locale.CODESET)
    except Exception:
        pass
    version = '%d.%d.%d' % sys.version_info[:3]
    if sys.version_info[3] != 'final':
        version += '%s%d' % (sys.version_info[3], sys.version_info[4])
    return {
        'pid': os.getpid(),
        'implementation': sys.implementation.name,
        'version': version,
        'executable': sys.executable,
        'prefix': sys.prefix,
        'base_prefix': getattr(sys, 'base_prefix', sys.prefix),
        'flags': flags,
        'hash_seed': os.environ.get('PYTHONHASHSEED'),
        'encoding': encoding,
        'path': [entry for entry in sys.path if isinstance(entry, str)],
    }


def _watch(sys, os, capture):
    """Calls capture(what, kind, value, trace) for an uncaught exception, with what 'main' or
    'thread', and hands it on to whoever would have had it. sys.__excepthook__ is replaced with
    sys.excepthook, since libraries compare the two to see whether anyone else has hooked in."""
    import _thread
    own = os.getpid()

    def wrap(inner):
        def excepthook(kind, value, trace):
            if os.getpid() == own and not issubclass(kind, SystemExit):
                capture('main', kind, value, trace)
            inner(kind, value, trace)
        return excepthook

    original, current = sys.__excepthook__, sys.excepthook
    sys.__excepthook__ = wrap(original)
    sys.excepthook = sys.__excepthook__ if current is original else wrap(current)

    inner = getattr(_thread, '_excepthook', None)
    if inner is None:
        return

    def thread_excepthook(args):
        if os.getpid() == own and not issubclass(args.exc_type, SystemExit):
            capture('thread', args.exc_type, args.exc_value, args.exc_traceback)
        inner(args)

    # threading takes its hook from here when it is imported, which may be never.
    _thread._excepthook = thread_excepthook
    threading = sys.modules.get('threading')
    if threading is not None:
        for name in ('excepthook', '__excepthook__'):
            if getattr(threading, name, None) is inner:
                setattr(threading, name, thread_excepthook)
'''

# Compiled only when there is an exception to describe.
DESCRIBE = r'''
def _describe(kind, value, trace):
    whole, frames, linecache = trace, [], None
    if not issubclass(kind, KeyboardInterrupt):
        # Their import evaluates text, which makes the interpreter forget that a KeyboardInterrupt
        # is under way: it would exit with 1 instead of dying by SIGINT. Who reads this record can
        # read the lines as well.
        import linecache
        import traceback
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append((code.co_filename, trace.tb_lineno or 0, code.co_name,
                       trace.tb_frame.f_globals))
        trace = trace.tb_next
    left_out = len(frames) - @MAX_FRAMES@
    if left_out > 0:
        frames[50:50 + left_out] = [('', 0, '(%d frames left out)' % left_out, None)]
    shown = []
    for name, line, function, scope in frames:
        text = ''
        if line and linecache:
            text = linecache.getline(name, line, scope).strip()
        shown.append({'file': name, 'line': line, 'function': function, 'code': text})
    if isinstance(value, SyntaxError) and value.filename and value.lineno:
        # Where the program's text is wrong is not a frame; without it the place would be lost.
        shown.append({'file': value.filename, 'line': value.lineno, 'function': '<module>',
                      'code': (value.text or '').strip()})
    try:
        message = str(value)
    except Exception:
        message = '<unprintable %s>' % kind.__name__
    text = ''
    if linecache:
        text = ''.join(traceback.format_exception(kind, value, whole))
    if len(text) > @MAX_TRACEBACK@:
        half = @MAX_TRACEBACK@ // 2
        text = text[:half] + '\n  ... cut ...\n' + text[-half:]
    return {'type': getattr(kind, '__qualname__', kind.__name__), 'module': kind.__module__,
            'message': message[:@MAX_MESSAGE@], 'traceback': text, 'frames': shown}

'''

# The sitecustomize of one run. `begin`, `main`, `thread` and `end` are the files it leaves for the
# recorder, each the ascii() of a dict: json would have to be imported.
CUSTOMIZE = r'''
def _begin(sys, os, here, original, run):
    sys.path[:] = [entry for entry in sys.path if entry != here]
    sys.path_importer_cache.pop(here, None)
    environ = getattr(os, 'environb', os.environ)
    if original is None:
        environ.pop(b'PYTHONPATH', None)
    else:
        environ[b'PYTHONPATH'] = original
    sys.modules.pop('sitecustomize', None)
    try:
        # The program's own one, if there is one: its absence is reported to `site` by the same
        # ImportError as without us, and it leaves the same sys.modules.
        import sitecustomize
    finally:
        if sys.version_info[:2] >= (3, 6):
            try:
                _listen(sys, os, here, run)
            except Exception:
                pass  # a program must start, recorded or not


def _listen(sys, os, here, run):
    import atexit
    own = os.getpid()
    state = {'run': run, 'context': None, 'seen': False}

    def report(name, data):
        try:
            part = os.path.join(here, name + '.part')
            file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 384)
            try:
                left = ascii(data).encode('ascii')
                while left:
                    left = left[os.write(file, left):]
            finally:
                os.close(file)
            os.rename(part, os.path.join(here, name))
        except Exception:
            pass  # a full disk, or the run is over: the program must not notice

    def capture(what, kind, value, trace):
        try:
            if what == 'main':
                state['seen'] = True
            namespace = {}
            exec(compile(_DESCRIBE, 'faultline', 'exec'), namespace)
            described = namespace['_describe'](kind, value, trace)
            described['context'] = state['context']
            report(what, described)
        except Exception:
            pass  # out of memory, files or stack: the default handler still prints what it can

    def set_context(context):
        first = state['context'] is None
        state['context'] = context
        if first and os.getpid() == own:
            report('end', {'context': context})

    def finish():
        if os.getpid() != own:
            return
        last = getattr(sys, 'last_exc', getattr(sys, 'last_value', None))
        if not state['seen'] and isinstance(last, BaseException):
            # The program replaced sys.excepthook: the interpreter keeps the exception here.
            capture('late', type(last), last, last.__traceback__)
        end = {'context': state['context']}
        path = [entry for entry in sys.path if isinstance(entry, str)]
        if path != started['path']:
            end['path'] = path
        report('end', end)

    started = _facts(sys, os)
    report('begin', started)
    _watch(sys, os, capture)
    atexit.register(finish)
    sys._faultline = state
    state['set_context'] = set_context


def _start():
    import os
    import sys
    _begin(sys, os, @HERE@, @ORIGINAL@, @RUN@)


_start()
'''


def describe_source():
    return (DESCRIBE.replace('@MAX_FRAMES@', str(MAX_FRAMES))
            .replace('@MAX_TRACEBACK@', str(MAX_TRACEBACK))
            .replace('@MAX_MESSAGE@', str(MAX_MESSAGE)))


def inside_functions():
    """_facts, _describe and _watch for use in this process."""
    namespace = {}
    exec(compile(INSIDE + describe_source(), 'faultline', 'exec'), namespace)
    return namespace


def private_folder():
    """A new directory that only this user can enter, in memory where there is one: it holds
    exception texts before they are masked."""
    runtime = os.environ.get('XDG_RUNTIME_DIR')
    for base in ([runtime] if runtime else []) + ['/dev/shm', None]:
        try:
            return tempfile.mkdtemp(prefix=folder_prefix(), dir=base)
        except OSError as error:
            last = error
    raise last


def remove_folder(folder):
    try:
        for entry in os.listdir(folder):
            path = os.path.join(folder, entry)
            if entry == '__pycache__':
                remove_folder(path)
            else:
                os.unlink(path)
        os.rmdir(folder)
    except OSError:
        pass  # another program's file in it, or already gone; swept later


def sweep_folders():
    """Removes the private directories of recorders that were killed. The lock says so and not a
    pid: containers may share /dev/shm and have their own pids."""
    bases = {os.environ.get('XDG_RUNTIME_DIR') or '/dev/shm', '/dev/shm', tempfile.gettempdir()}
    for base in bases:
        try:
            entries = os.listdir(base)
        except OSError:
            continue
        for entry in entries:
            if not entry.startswith(folder_prefix()):
                continue
            path = os.path.join(base, entry)
            try:
                status = os.lstat(path)
                if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
                    continue
                lock = lock_folder(path)
            except OSError:
                continue  # in use, or just made and not locked yet
            remove_folder(path)
            os.close(lock)


def folder_prefix():
    return 'faultline-%d-' % os.geteuid()


def lock_folder(folder, create=False):
    """A descriptor that holds the folder for this process's life; raises OSError when another
    process holds it."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
    lock = os.open(os.path.join(folder, 'lock'), flags, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


class Hook:
    """The private directory put in front of PYTHONPATH for one run."""

    def __init__(self, run):
        self.folder = private_folder()
        self._lock = lock_folder(self.folder, create=True)
        original = os.environb.get(b'PYTHONPATH')
        source = '# Made by faultline for %s; it removes itself.\n' % run + INSIDE
        source += '_DESCRIBE = %s\n' % ascii(describe_source())
        source += (CUSTOMIZE.replace('@HERE@', ascii(self.folder)).replace('@RUN@', repr(run))
                   .replace('@ORIGINAL@', repr(original)))
        with open(os.path.join(self.folder, 'sitecustomize.py'), 'w', encoding='ascii') as file:
            file.write(source)
        here = os.fsencode(self.folder)
        # An empty entry would mean the working directory: none is added.
        self.pythonpath = here + b':' + original if original else here

    def read(self, name):
        """What the hook left under a name, else None."""
        try:
            left = read_bytes(os.path.join(self.folder, name), 4 << 20)
            value = ast.literal_eval(left.decode('ascii'))
        except (OSError, ValueError, SyntaxError, MemoryError, RecursionError):
            return None
        return value if isinstance(value, dict) else None

    def remove(self):
        remove_folder(self.folder)
        os.close(self._lock)


PYTHON_NAME = re.compile(r'^(python|pypy)(3(\.\d+)*)?([a-z]?|-dbg)$')


def hook_refusal(program, argv):
    """Why the hook cannot go into this command: None when it can, else the reason for a note.

    Python is recognised by the name of the program or of its #! line. -I and -E make the
    interpreter ignore PYTHONPATH, -S skips sitecustomize: then the variable would stay visible.
    """
    name = os.path.basename(text_of(program))
    if PYTHON_NAME.match(name):
        return python_options_refusal(argv[1:])
    try:
        line = read_bytes(program, 512).split(b'\n', 1)[0]
    except OSError:
        line = b''
    words = [text_of(word) for word in line[2:].split()] if line.startswith(b'#!') else []
    if words and os.path.basename(words[0]) == 'env':
        words = [word for word in words[1:] if word != '-S' and '=' not in word]
    if not words or not PYTHON_NAME.match(os.path.basename(words[0])):
        return 'not a Python program: interpreter and packages are not known'
    return python_options_refusal(words[1:] + ['script'])


def python_options_refusal(arguments):
    index = 0
    while index < len(arguments):
        argument = arguments[index]
        if not argument.startswith('-') or argument in ('-', '--') or argument.startswith('--'):
            break
        for at, letter in enumerate(argument[1:], 2):
            if letter in 'IES':
                return ('Python ran with -%s: the exception comes from stderr, interpreter and '
                        'packages are not known' % letter)
            if letter in 'cm':
                return None
            if letter in 'WX':
                index += at == len(argument)  # its value is the next argument
                break
        index += 1
    return None


# ----------------------------------------------------------------------- tracebacks from stderr


FRAME_LINE = re.compile(r'^\s*File "(.*)", line (\d+)(?:, in (.*))?$')
MARK_LINE = re.compile(r'^\s*[~^]+[~^\s]*$')
MESSAGE_LINE = re.compile(r'^((?:[^\W\d]\w*\.)*[^\W\d]\w*)(?::\s?(.*))?$')


def traceback_in(text):
    """The last Python traceback in a program's stderr, as the record's exception, else None."""
    lines = re.sub(r'\x1b\[[0-9;]*m', '', text).replace('\r\n', '\n').split('\n')
    starts = [index for index, line in enumerate(lines)
              if line.startswith('Traceback (most recent call last)')]
    if starts:
        found = parse_traceback(lines, starts[-1] + 1)
        if found:
            return found
    # A script that does not compile has no Traceback line.
    for index in range(len(lines) - 1, -1, -1):
        if FRAME_LINE.match(lines[index]):
            return parse_traceback(lines, index)
    return None


def parse_traceback(lines, start):
    frames = []
    for index in range(start, len(lines)):
        line = lines[index]
        frame = FRAME_LINE.match(line)
        if frame:
            frames.append({'file': frame.group(1), 'line': int(frame.group(2)),
                           'function': frame.group(3) or '<module>', 'code': ''})
        elif line.startswith((' ', '\t')) or not line:
            if frames and not frames[-1]['code'] and not MARK_LINE.match(line) \
                    and not line.strip().startswith('[Previous line'):
                frames[-1]['code'] = line.strip()
        else:
            message = MESSAGE_LINE.match(line)
            if not message or not frames:
                return None
            module, _, kind = message.group(1).rpartition('.')
            return {'type': kind, 'module': module or 'builtins',
                    'message': message.group(2) or '', 'frames': frames,
                    'traceback': '\n'.join(lines[max(start - 1, 0):index + 1])}
    return None


# --------------------------------------------------------------------------------------- store


def state_folder(given=None):
    """Where records live: --state, $FAULTLINE_STATE, $XDG_STATE_HOME or ~/.local/state."""
    folder = given or os.environ.get('FAULTLINE_STATE')
    if folder:
        return os.path.abspath(folder)
    base = os.environ.get('XDG_STATE_HOME')
    if not base or not os.path.isabs(base):
        home = os.path.expanduser('~')
        if not os.path.isabs(home):
            raise OSError(errno.ENOENT, 'there is no home directory, set FAULTLINE_STATE')
        base = os.path.join(home, '.local', 'state')
    return os.path.join(base, 'faultline')


def new_run_id(now):
    return 'r-%s-%s' % (time.strftime('%Y%m%dT%H%M%S', time.gmtime(now)),
                        binascii.hexlify(os.urandom(4)).decode('ascii'))


class Store:
    """The records of one state directory: runs/<id>.json, bounded in number and bytes."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, 'runs')

    def path(self, run):
        return os.path.join(self.folder, run + '.json')

    def write(self, record, durable=False):
        """Replaces the record's file in one step; raises OSError."""
        self._make_folder()
        data = fitted(record)
        if record['state'] == 'running':
            data += b' ' * (RESERVED_BYTES - len(data))
        part = os.path.join(self.folder, '.%s.%d.part' % (record['id'], os.getpid()))
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            try:
                os.fchmod(file, 0o600)  # a umask may have taken even our own rights
                left = memoryview(data)
                while left:
                    left = left[os.write(file, left):]
                if durable:
                    os.fsync(file)
            finally:
                os.close(file)
            os.rename(part, self.path(record['id']))
        except OSError:
            os.unlink(part)
            raise

    def overwrite(self, record):
        """Writes into the space that the running record has: the last resort on a full disk. The
        record loses what does not fit; raises OSError."""
        file = os.open(self.path(record['id']), os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            size = os.fstat(file).st_size
            data = fitted(record, size)
            if len(data) > size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.write(file, data + b' ' * (size - len(data)))
            os.fsync(file)
        finally:
            os.close(file)

    def _make_folder(self):
        state = os.path.dirname(self.folder)
        if not os.path.isdir(self.folder):
            os.makedirs(os.path.dirname(state), exist_ok=True)
            for folder in (state, self.folder):
                try:
                    os.mkdir(folder, 0o700)
                    os.chmod(folder, 0o700)  # whatever the umask
                except FileExistsError:
                    pass
        status = os.stat(self.folder)
        if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != 0o700:
            os.chmod(self.folder, 0o700)

    def ids(self):
        """Every record's id, newest first (an id begins with its time)."""
        try:
            entries = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        names = (entry[:-len('.json')] for entry in entries if entry.endswith('.json'))
        return sorted((name for name in names if RUN_ID.match(name)), reverse=True)

    def read(self, run):
        """The record as reported to a reader: a "running" one whose process is gone is "lost".
        Raises OSError or ValueError."""
        record = json.loads(read_bytes(self.path(run), 4 * MAX_RECORD_BYTES).decode('ascii'))
        if not isinstance(record, dict) or record.get('format') != FORMAT:
            raise ValueError('not a run record')
        if record.get('version') != FORMAT_VERSION:
            raise ValueError('a record of version %s; this probe reads version %d'
                             % (record.get('version'), FORMAT_VERSION))
        if record.get('state') == 'running' and is_lost(record):
            record['state'] = 'lost'
        return record

    def prune(self):
        """Deletes the oldest ended records over the bounds, and what killed writers left."""
        sizes = {}
        for run in self.ids():
            try:
                sizes[run] = os.stat(self.path(run)).st_size
            except OSError:
                continue
        total, count = sum(sizes.values()), len(sizes)
        for run in sorted(sizes):
            if count <= KEEP_RECORDS and total <= KEEP_BYTES:
                break
            if self._is_running(run):
                continue
            try:
                os.unlink(self.path(run))
            except OSError:
                continue
            total, count = total - sizes[run], count - 1
        for entry in os.listdir(self.folder):
            path = os.path.join(self.folder, entry)
            try:
                if entry.endswith('.part') and os.stat(path).st_mtime < time.time() - 3600:
                    os.unlink(path)
            except OSError:
                continue

    def _is_running(self, run):
        try:
            return self.read(run)['state'] == 'running'
        except (OSError, ValueError):
            return False


def is_lost(record):
    """Whether a record says "running" but neither its program nor its recorder is there. A home
    directory may be shared: of another node's processes nothing is known here."""
    recorder = record.get('recorder') or {}
    if (record.get('host') or {}).get('name') != os_text(socket.gethostname()):
        return False
    if recorder.get('bootId') != boot_id():
        return True
    pairs = ((record.get('pid'), record.get('pidStart')),
             (recorder.get('pid'), recorder.get('pidStart')))
    return not any(pid and process_start(pid) == start for pid, start in pairs)


def fitted(record, limit=MAX_RECORD_BYTES):
    """The record as JSON of at most `limit` bytes; what is cut to fit is said in its notes."""
    for env_room, text_room in ((MAX_ENV_VALUE, MAX_TRACEBACK), (4 << 10, 32 << 10),
                                (512, 4 << 10), (64, 1 << 10)):
        env, cut = {}, []
        for name, value in record['env'].items():
            if isinstance(value, str) and len(value) > env_room:
                cut.append('env %s: %d characters, the first %d kept'
                           % (name[:200], len(value), env_room))
                value = value[:env_room]
            env[name] = value
        candidate = dict(record, env=env, notes=record['notes'] + cut[:100],
                         stderrTail=record['stderrTail'][-text_room:])
        exception = record['exception']
        if exception:
            candidate['exception'] = dict(exception, traceback=exception['traceback'][-text_room:])
        data = json.dumps(candidate).encode('ascii')
        if len(data) <= limit:
            return data
    candidate.update(env={}, packages={}, notes=record['notes'][:50] + [
        'the record was too large: environment and packages are left out'])
    if exception:
        candidate['exception']['frames'] = exception['frames'][-20:]
    return json.dumps(candidate).encode('ascii')


def bounded_argv(argv, notes):
    """At most 256 KiB of arguments."""
    room, kept = MAX_ARGV_BYTES, []
    for argument in argv:
        room -= len(argument)
        if room < 0:
            notes.append('%d arguments, the first %d kept: too long for a record'
                         % (len(argv), len(kept)))
            break
        kept.append(argument)
    return kept


def head_of(record):
    exception = record.get('exception')
    head = {'run': record.get('id')}
    for name in ('argv', 'state', 'startedAt', 'endedAt', 'exitCode', 'signal', 'contextId',
                 'durationMs'):
        head[name] = record.get(name)
    head['exception'] = exception and {'type': exception.get('type'),
                                       'message': exception.get('message')}
    return head


# ----------------------------------------------------------------------------------- recording


class Recording:
    """One run being recorded, whoever runs it. A failure to write is said once, as a sentence."""

    def __init__(self, mode, argv, program=None, context=None, parent=None, state=None):
        self.notes = []
        self._write_failed = False
        self._started = time.monotonic()
        now = time.time()
        self.redactor = Redactor(binascii.hexlify(os.urandom(16)).decode('ascii'))
        env = environment()
        argv = bounded_argv([os_text(argument) for argument in argv], self.notes)
        self.redactor.learn_environment(env)
        shown = self.redactor.argv(argv)
        own = os.getpid()
        self.record = {
            'format': FORMAT, 'version': FORMAT_VERSION, 'id': new_run_id(now), 'parent': parent,
            'contextId': context or env.get('FAULTLINE_CONTEXT_ID') or None,
            'state': 'running', 'startedAt': iso_time(now), 'endedAt': None, 'durationMs': None,
            'exitCode': None, 'signal': None, 'exception': None, 'stderrTail': '',
            'pid': own, 'pidStart': process_start(own),
            'argv': shown, 'program': None if program is None else os_text(program),
            'cwd': working_directory(self.notes),
            'env': self.redactor.env(env), 'redaction': {'salt': self.redactor.salt},
            'user': user_facts(self.notes), 'umask': current_umask(), 'limits': resource_limits(),
            'locale': locale_facts(), 'timezone': timezone_facts(), 'host': host_facts(self.notes),
            'interpreter': None, 'packages': {}, 'code': None,
            'stdin': stdin_kind(), 'tty': os.isatty(0) or os.isatty(1),
            'recorder': {'name': 'faultline-probe', 'version': VERSION, 'mode': mode, 'pid': own,
                         'pidStart': process_start(own), 'bootId': boot_id()},
            'notes': self.notes,
        }
        if not os.path.isdir('/proc/self'):
            self.notes.append('no /proc here: a lost run cannot be told from a running one')
        self.id = self.record['id']
        self.store = None
        try:
            self.store = Store(state_folder(state))
        except OSError as error:
            self._failed(error)

    def starts_now(self):
        """The run's time begins here: collecting the facts is no part of it."""
        self._started = time.monotonic()
        self.record['startedAt'] = iso_time(time.time())

    @property
    def is_written(self):
        return self.store is not None and not self._write_failed

    def write(self):
        """Writes the record of a run that starts or has ended; a failure is said."""
        if self.store is None:
            return
        record = self.redactor.everywhere(self.record)
        has_ended = record['state'] != 'running'
        try:
            self.store.write(record, durable=has_ended)
            self._write_failed = False
        except OSError as error:
            if not has_ended or not self._overwrite(record, error):
                self._failed(error)

    def refresh(self):
        """Writes what became known meanwhile; the end will tell if it cannot be written."""
        if self.is_written:
            try:
                self.store.write(self.redactor.everywhere(self.record))
            except OSError:
                pass

    def _overwrite(self, record, error):
        record['notes'] = record['notes'] + ['written on a full disk: ' + reason_of(error)]
        try:
            self.store.overwrite(record)
        except OSError:
            return False
        return True

    def _failed(self, error):
        if not self._write_failed:
            where = error.filename or (self.store.folder if self.store else 'the state directory')
            say('this run is not recorded: cannot write %s: %s'
                % (os_text(where), reason_of(error)))
        self._write_failed = True

    def set_interpreter(self, facts, path=None):
        """From what the inside told: the interpreter, and the packages on its path."""
        names = {'cpython': 'CPython', 'pypy': 'PyPy'}
        executable = facts.get('executable') or ''
        name = facts.get('implementation')
        self.record['interpreter'] = {
            'implementation': names.get(name, name), 'version': facts.get('version'),
            'executable': plain(executable),
            'realExecutable': plain(os.path.realpath(executable)),
            'prefix': plain(facts.get('prefix') or ''),
            'basePrefix': plain(facts.get('base_prefix') or ''),
            'flags': facts.get('flags') or {}, 'hashSeed': facts.get('hash_seed'),
        }
        if facts.get('encoding'):
            self.record['locale']['preferredEncoding'] = facts['encoding']
        self.record['packages'] = packages_on(path or facts.get('path') or [])

    def set_exception(self, described, source):
        """Keeps an exception with its texts masked and its relative files made absolute."""
        mask = self.redactor.text
        frames = []
        for frame in described['frames']:
            file = plain(frame['file'])
            absolute = os.path.join(self.record['cwd']['physical'], file)
            if not file.startswith('<') and os.path.isfile(os.fsdecode(bytes_of(absolute))):
                file = absolute
            code = frame['code'] or line_of(file, frame['line'])
            frames.append({'file': file, 'line': frame['line'], 'function': frame['function'],
                           'code': mask(plain(code))})
        text = described['traceback'] or traceback_text(described, frames)
        self.record['exception'] = {
            'type': described['type'], 'module': described['module'],
            'message': mask(plain(described['message'])),
            'traceback': mask(plain(text)), 'frames': frames, 'source': source}

    def set_code(self, facts):
        """The checkout, and the hashes of the files that the exception names."""
        exception = self.record['exception']
        if exception:
            if facts is None:
                facts = {'root': self.record['cwd']['physical'], 'commit': None, 'branch': None,
                         'dirty': None, 'files': {}}
            root = os.fsdecode(bytes_of(facts['root']))
            facts['files'] = file_hashes(exception['frames'], root)
        self.record['code'] = facts

    def finish(self, exit_code, signal_name, state):
        self.record.update(
            state=state, endedAt=iso_time(time.time()), exitCode=exit_code, signal=signal_name,
            durationMs=int((time.monotonic() - self._started) * 1000))
        self.write()
        if self.is_written:
            try:
                self.store.prune()
            except OSError:
                pass  # the record is safe; the next run tries again


def line_of(file, number):
    return linecache.getline(os.fsdecode(bytes_of(file)), number).strip() if file else ''


def traceback_text(described, frames):
    """A traceback as Python prints it, for an exception that came without its text."""
    lines = ['Traceback (most recent call last):']
    for frame in frames:
        lines.append('  File "%s", line %d, in %s'
                     % (frame['file'], frame['line'], frame['function']))
        if frame['code']:
            lines.append('    ' + frame['code'])
    message = described['message']
    return '\n'.join(lines + [described['type'] + (': ' + message if message else '')]) + '\n'


def plain(text):
    """Text from a program whose locale may differ from ours, in the record's form."""
    return text_of(bytes_of(text))


# ------------------------------------------------------------------------------------ run a CMD


def program_path(command):
    """The file that execvp(3) would run, else raises OSError."""
    if b'/' in command:
        candidates = [command]
    else:
        path = os.environb.get(b'PATH', os.fsencode(os.defpath))
        candidates = [os.path.join(folder or b'.', command) for folder in path.split(b':')]
    denied = None
    for candidate in candidates:
        if os.path.isfile(candidate):
            if os.access(candidate, os.X_OK):
                return candidate
            denied = candidate
    if denied:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), denied)
    raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), command)


def hold_standard_fds():
    """Fills closed fds 0-2 with a close-on-exec /dev/null, so that no file of ours gets such a
    number; the program still finds them closed. Returns nothing."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            if opened != fd:
                os.dup2(opened, fd, False)
                os.close(opened)


class StderrPipe:
    """Carries the program's stderr through, byte for byte, and keeps the end of it.

    What differs for the program: fd 2 is a pipe, as it mostly was before; if stdout and stderr
    were one file, the order between the two may shift by a moment, since stderr takes one step
    more. A terminal is left alone for that reason (and for isatty): then there is no tail.
    """

    def __init__(self):
        self.read_end, self.write_end = os.pipe()
        self._stop_read, self._stop_write = os.pipe()
        self._tail = bytearray()
        self._thread = None
        self.is_open = True

    def start(self):
        os.close(self.write_end)
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def _carry(self):
        stopping = False
        while self.is_open:
            ready = select.select([self.read_end] + ([] if stopping else [self._stop_read]), [], [],
                                  0 if stopping else None)[0]
            if self.read_end in ready:
                self._step()
            elif stopping:
                return  # empty, but a background process still holds it
            elif self._stop_read in ready:
                stopping = True

    def _step(self):
        data = os.read(self.read_end, 65536)
        if not data or not write_all(2, data):
            # Its end, or our reader is gone: then the program's next write fails as without us.
            self.is_open = False
            os.close(self.read_end)
        self._tail += data
        del self._tail[:-TAIL_BUFFER]

    def stop(self):
        """Takes what is there and stops; returns the last TAIL_BUFFER bytes."""
        os.write(self._stop_write, b'.')
        self._thread.join()
        return bytes(self._tail)

    def leave_behind(self):
        """If a background process of the program still holds stderr, a process stays to carry
        for it: without us it would hold the real one."""
        if not self.is_open or os.fork():
            return
        try:
            for fd in (0, 1):
                os.dup2(os.open(os.devnull, os.O_RDWR), fd)
            while self.is_open:
                self._step()
        finally:
            os._exit(0)


def write_all(fd, data):
    """Whether everything was written; waits where the descriptor is non-blocking."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(fd, left):]
        except BlockingIOError:
            select.select([], [fd], [])
        except OSError:
            return False
    return True


FORWARDED = [getattr(signal, name) for name in
             ('SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGALRM')]


class Child:
    """The recorded program as our child: started behind a gate, so that its record is on disk
    before it runs; signals sent to us reach it; its end is told exactly."""

    def __init__(self, program, argv, pythonpath, stderr, deaf_to=None):
        self._deaf_to = deaf_to
        self._gate_read, self._gate_write = os.pipe()
        self._error_read, self._error_write = os.pipe()
        # An ignored signal stays ignored in the program (nohup); SIGPIPE is the exception: the
        # interpreter ignores it at its start, so how it was before cannot be known.
        self._ignored = {number for number in FORWARDED
                         if signal.getsignal(number) == signal.SIG_IGN}
        reaped = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._watched = set(FORWARDED) - self._ignored | {signal.SIGCHLD}
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, self._watched)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._become(program, argv, pythonpath, stderr, mask, reaped)
            except OSError as error:
                os.write(self._error_write, b'%d' % (error.errno or errno.EIO))
            finally:
                os._exit(127)
        os.close(self._gate_read)
        os.close(self._error_write)

    def _become(self, program, argv, pythonpath, stderr, mask, reaped):
        os.close(self._gate_write)
        if not os.read(self._gate_read, 1):
            os._exit(127)  # the recorder died before it let us go
        if stderr is not None:
            os.dup2(stderr.write_end, 2)
        for number in (signal.SIGPIPE, getattr(signal, 'SIGXFSZ', None)):
            if number is not None:
                signal.signal(number, signal.SIG_DFL)
        if reaped == signal.SIG_IGN:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        # The process's own environ is passed on as it is, not a dict of it: a name that occurs
        # twice, or an entry without "=", arrives.
        if pythonpath is not None:
            os.environb[b'PYTHONPATH'] = pythonpath
        try:
            os.execv(program, argv)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            os.execv(b'/bin/sh', [b'sh', program] + argv[1:])  # as execvp(3) does

    def release(self):
        """Lets the program start; returns the errno when it could not, else None."""
        write_all(self._gate_write, b'.')
        os.close(self._gate_write)
        failure = os.read(self._error_read, 16)
        os.close(self._error_read)
        return int(failure) if failure else None

    def wait(self, is_settled):
        """Passes signals on until the program ends; returns its wait status. Asks is_settled()
        after about 0.05, 0.25, 1, 2, 3 ... seconds, until it says yes."""
        beat, settled = 0.05, False
        while True:
            info = wait_signal(self._watched, beat)
            if info is None:
                settled = settled or is_settled()
                # Also later there is a beat: a SIGCHLD may have been merged with git's.
                beat = 60 if settled else min(beat * 4, 1)
            elif info[0] != signal.SIGCHLD:
                self._pass_on(*info)
                continue
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return status

    def _pass_on(self, number, from_kernel, sender):
        """A signal from the terminal (Ctrl-C) went to the whole foreground group: the program
        has it already. Only a session leader is told of a hang-up alone. One sent by kill to
        our whole group arrives twice; who sent it cannot be told apart from kill to us."""
        if sender is not None and sender == self._deaf_to and os.getppid() == sender:
            return  # our whole group has it; but a supervisor that just died had no time for that
        if from_kernel and not (number == signal.SIGHUP and os.getsid(0) == os.getpid()):
            return
        try:
            os.kill(self.pid, number)
        except OSError:
            pass  # it has just ended


def wait_signal(watched, seconds):
    """(number, whether the kernel sent it, sender's pid) or None after the time."""
    if hasattr(signal, 'sigtimedwait'):
        info = signal.sigtimedwait(watched, seconds)
        return info and (info.si_signo, info.si_code > 0, info.si_pid)
    # macOS: no timed wait and no sender; a short sleep, then whatever is pending.
    time.sleep(min(seconds, 0.05))
    for number in signal.sigpending() & set(watched):
        signal.sigwait({number})
        return number, number == signal.SIGINT and os.isatty(0), None
    return None


def signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return 'SIG%d' % number  # a real-time signal without a name of its own


def end_like(status):
    """Ends this process exactly as the wait status says the program ended."""
    if os.WIFSIGNALED(status):
        import resource
        number = os.WTERMSIG(status)
        # The program has left its core file; ours would only overwrite it.
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
        os._exit(128 + number)
    os._exit(os.WEXITSTATUS(status))


class GitCheck:
    """Asks git for local edits beside the running program, so that its start does not wait."""

    def __init__(self, facts):
        self._facts = facts
        self._thread = None
        if facts is not None:
            self._thread = threading.Thread(target=self._ask, daemon=True)
            self._thread.start()

    def _ask(self):
        self._facts['dirty'] = git_dirty(os.fsdecode(bytes_of(self._facts['root'])))

    def result(self):
        if self._thread is not None:
            self._thread.join(6)
        return self._facts


def code_folders(argv, physical):
    """Where the program's code may be: the script's directory, then the working directory."""
    folders = [os.path.dirname(os.path.abspath(os.fsdecode(argument))) for argument in argv[:8]
               if argument.endswith(b'.py') and os.path.isfile(argument)]
    return folders[:1] + [os.fsdecode(bytes_of(physical))]


def run(argv, context=None, parent=None, state=None, deaf_to=None):
    """Runs a command as a recorded run and ends this process as the command ended.

    argv: list of bytes. deaf_to: pid of a supervisor that signals our whole group itself, whose
    signals are therefore not passed on again.
    """
    hold_standard_fds()
    undo_locale_coercion()
    try:
        program, failure = program_path(argv[0]), None
    except OSError as error:
        program, failure = None, error.errno
    recording = Recording('run', argv, program and os.path.abspath(program), context, parent, state)
    record = recording.record
    if failure is not None:
        refuse(recording, argv, failure)
    sweep_folders()
    hook = open_hook(recording, program, argv)
    stderr = None if os.isatty(2) else StderrPipe()
    if stderr is None:
        recording.notes.append('stderr was a terminal: no tail of it was kept')
    child = Child(program, argv, hook and hook.pythonpath, stderr, deaf_to)
    record['pid'], record['pidStart'] = child.pid, process_start(child.pid)
    code = code_facts(code_folders(argv, record['cwd']['physical']))
    record['code'] = code
    recording.starts_now()
    recording.write()
    failure = child.release()
    if stderr is not None:
        stderr.start()
    git = GitCheck(code)

    def has_interpreter():
        """A service runs for days: its record learns the interpreter while it runs."""
        begin = hook and hook.read('begin')
        if begin:
            recording.set_interpreter(begin)
            recording.refresh()
        return bool(begin) or hook is None

    status = child.wait(has_interpreter)
    tail = stderr.stop() if stderr is not None else b''
    record['stderrTail'] = shown_tail(recording.redactor, tail)
    failed = os.WIFSIGNALED(status) or os.WEXITSTATUS(status) != 0
    if hook is not None:
        take_hook(recording, hook, failed)
        hook.remove()
    if failure is not None:
        refuse(recording, argv, failure)
    if record['exception'] is None and failed:
        found = traceback_in(text_of(tail))
        if found:
            recording.set_exception(found, 'stderr')
    recording.set_code(git.result())
    if os.WIFSIGNALED(status):
        recording.finish(None, signal_name(os.WTERMSIG(status)), 'failed')
    else:
        recording.finish(os.WEXITSTATUS(status), None, 'failed' if failed else 'passed')
    if recording.is_written:
        # A line of its own, also after a program that does not end its last one.
        say('run ' + recording.id, after=b'' if tail.endswith(b'\n') or not tail else b'\n')
    if stderr is not None:
        stderr.leave_behind()
    end_like(status)


def refuse(recording, argv, failure):
    """The command cannot be run at all: as in a shell, 127 when it is not there, else 126."""
    why = os.strerror(failure)
    command = recording.redactor.text(text_of(argv[0]))
    say('cannot run %s: %s' % (command, why))
    recording.notes.append('could not run %s: %s' % (command, why))
    code = 127 if failure == errno.ENOENT else 126
    recording.finish(code, None, 'failed')
    if recording.is_written:
        say('run ' + recording.id)
    os._exit(code)


def open_hook(recording, program, argv):
    refusal = hook_refusal(program, [text_of(argument) for argument in argv])
    if refusal is None:
        try:
            return Hook(recording.id)
        except OSError as error:
            refusal = 'the hook could not be placed: ' + reason_of(error)
    recording.notes.append(refusal)
    return None


def take_hook(recording, hook, failed):
    """What the inside has left: interpreter, context and the exception. An exception of the main
    thread comes before a thread's; one that only the interpreter remembered counts when the
    program failed (an interactive console remembers harmless ones)."""
    begin, end = hook.read('begin'), hook.read('end') or {}
    if begin is None:
        recording.notes.append('the interpreter did not report itself: its start was cut short, '
                               'or it ignores PYTHONPATH')
        return
    recording.set_interpreter(begin, end.get('path'))
    context = end.get('context')
    for name in ('main', 'late', 'thread'):
        described = hook.read(name)
        if described is not None and (name != 'late' or failed):
            recording.set_exception(described, 'hook')
            context = described.get('context') or context
            break
    if context:
        recording.record['contextId'] = context


def shown_tail(redactor, tail):
    """The last 8 KiB of stderr, masked before it is cut, beginning with a whole character."""
    masked = bytes_of(redactor.text(text_of(tail)))[-TAIL_BYTES:]
    while masked and 0x80 <= masked[0] < 0xc0 and len(masked) > TAIL_BYTES - 4:
        masked = masked[1:]
    return text_of(masked)


# --------------------------------------------------------------------- inside a Python program


class Installed:
    """This process as a run, recorded from inside by install()."""

    def __init__(self, context):
        self._inside = inside_functions()
        self._own = os.getpid()
        self._exit_code = None
        argv = [os.fsencode(argument) for argument in original_argv()]
        self.recording = Recording('install', argv, sys.executable or None, context)
        self.recording.set_interpreter(self._inside['_facts'](sys, os))
        self._code = code_facts(code_folders(argv, self.recording.record['cwd']['physical']))
        self.recording.record['code'] = self._code
        self.recording.write()

    def start(self):
        import atexit
        self._inside['_watch'](sys, os, self._capture)
        self._remember_exit()
        atexit.register(self._finish)

    def _remember_exit(self):
        """sys.exit is wrapped to see the code: atexit handlers are not told it. The last call
        counts; a program that swallows that SystemExit and then ends by itself is misjudged."""
        original = sys.exit

        def exit(code=None):
            if threading.current_thread() is threading.main_thread():
                self._exit_code = (0 if code is None else
                                   code & 0xff if isinstance(code, int) else 1)
            original(code)

        exit.__doc__ = original.__doc__
        sys.exit = exit

    def set_context(self, context):
        if os.getpid() != self._own:
            return
        first = self.recording.record['contextId'] is None
        self.recording.record['contextId'] = context
        if first:
            self.recording.refresh()

    def _capture(self, what, kind, value, trace):
        try:
            if what == 'main' or self.recording.record['exception'] is None:
                self.recording.set_exception(self._inside['_describe'](kind, value, trace), 'hook')
            if what == 'main':
                self._end(1, 'failed')
        except Exception:
            pass  # the default handler still prints it; the record stays "running", then "lost"

    def _finish(self):
        if os.getpid() != self._own or self.recording.record['state'] != 'running':
            return
        code = self._exit_code
        if code is None:
            self.recording.notes.append(
                'no uncaught exception; the exit code is not known from inside the program')
        self._end(code, 'failed' if code else 'passed')

    def _end(self, code, state):
        if self._code is not None:
            self._code['dirty'] = git_dirty(os.fsdecode(bytes_of(self._code['root'])))
        self.recording.set_code(self._code)
        self.recording.finish(code, None, state)


def original_argv():
    """The command line as it was typed: sys.orig_argv, /proc, or the best sys.argv can do."""
    if hasattr(sys, 'orig_argv'):
        return list(sys.orig_argv)
    try:
        return [os.fsdecode(part) for part in read_bytes('/proc/self/cmdline').split(b'\0')[:-1]]
    except OSError:
        return [sys.executable or 'python3'] + sys.argv


_installed = None
try:
    from contextvars import ContextVar
    _context = ContextVar('faultline_context', default=None)
except ImportError:  # Python 3.6: one value per thread, not per asyncio task
    class _ThreadContext(threading.local):
        value = None

        def get(self):
            return self.value

        def set(self, value):
            self.value = value

    _context = _ThreadContext()


def install(context=None):
    """Records this process as a run, from now to its end; returns the run's id. Called twice, or
    in a program that already runs under `faultline_probe.py run`, it changes nothing."""
    global _installed
    outer = getattr(sys, '_faultline', None)
    if context is not None:
        _context.set(context)
    if outer is None and _installed is None:
        _installed = Installed(context)
        _installed.start()
    elif context is not None:
        set_context(context)
    return current_run()


def set_context(context):
    """The id of the request or task that this thread or asyncio task works on from now on. The
    run's record keeps the one in effect at its end."""
    _context.set(context)
    outer = getattr(sys, '_faultline', None)
    if outer is not None:
        outer['set_context'](context)
    elif _installed is not None:
        _installed.set_context(context)


def current_context():
    """The context id in effect, else None."""
    return _context.get() or os.environ.get('FAULTLINE_CONTEXT_ID') or None


def current_run():
    """The id of the run this process belongs to, else None."""
    outer = getattr(sys, '_faultline', None)
    if outer is not None:
        return outer['run']
    return _installed.recording.id if _installed is not None else None


class RunFilter(logging.Filter):
    """Gives each log record run_id and context_id ('' when there is none), for formats such as
    '%(asctime)s %(run_id)s %(context_id)s %(message)s'."""

    def filter(self, record):
        record.run_id = current_run() or ''
        record.context_id = current_context() or ''
        return True


# --------------------------------------------------------------------------------- command line


USAGE = """usage: faultline_probe.py run [--context ID] [--parent RUN] [--state DIR] -- CMD ARG...
       faultline_probe.py run [--state DIR] --plan -   (argv and more as one JSON line on stdin)
       faultline_probe.py list [--state DIR] [--json]
       faultline_probe.py show RUN [--state DIR]
"""


class WrongUse(Exception):
    """What was wrong with the command line, as a sentence."""


def take_options(arguments, valued, switches=()):
    """({option: value}, the rest): options up to the first word that is none, or `--`."""
    options, rest = {}, list(arguments)
    while rest and rest[0].startswith('-'):
        word = rest.pop(0)
        if word == '--':
            break
        name, equals, value = word.partition('=')
        if name in switches and not equals:
            options[name] = True
        elif name not in valued:
            raise WrongUse('unknown option %s' % name)
        elif equals:
            options[name] = value
        elif rest:
            options[name] = rest.pop(0)
        else:
            raise WrongUse('%s needs a value' % name)
    return options, rest


def read_plan():
    """One JSON line from stdin, byte by byte: what follows it is the program's."""
    line = bytearray()
    while not line.endswith(b'\n'):
        byte = os.read(0, 1)
        if not byte:
            break
        line += byte
    try:
        plan = json.loads(line.decode('utf-8'))
        argv = [bytes_of(argument) for argument in plan['argv']]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise WrongUse('the plan on stdin is not a JSON object with argv')
    if not argv:
        raise WrongUse('the plan on stdin names no command')
    return plan, argv


def command_run(arguments):
    options, rest = take_options(arguments, ('--context', '--parent', '--state', '--plan'))
    plan = {}
    if options.get('--plan') == '-':
        plan, argv = read_plan()
    elif '--plan' in options:
        raise WrongUse('a plan is read from stdin only: --plan -')
    else:
        argv = [os.fsencode(argument) for argument in rest]
    if not argv:
        raise WrongUse('no command to run')
    run(argv, context=options.get('--context') or plan.get('contextId'),
        parent=options.get('--parent') or plan.get('parent'), state=options.get('--state'))


def command_list(arguments):
    options, rest = take_options(arguments, ('--state',), ('--json',))
    if rest:
        raise WrongUse('list takes no arguments')
    store = Store(state_folder(options.get('--state')))
    unreadable = 0
    for run_id in store.ids():
        try:
            head = head_of(store.read(run_id))
        except FileNotFoundError:
            continue  # pruned meanwhile
        except (OSError, ValueError):
            unreadable += 1
            continue
        if options.get('--json'):
            line = json.dumps(head)
        else:
            command = ' '.join(head['argv'] or [])
            line = '%s  %-7s  %s' % (head['run'], head['state'], shown_on_terminal(command))
        if not write_all(1, line.encode('ascii') + b'\n'):
            return 0  # the reader has had enough
    if unreadable:
        say('%d records in %s could not be read' % (unreadable, os_text(store.folder)))
    return 0


def shown_on_terminal(text):
    """Printable ASCII, 100 characters: a recorded command is no terminal's master."""
    return ''.join(char if ' ' <= char <= '~' else '?' for char in text[:100])


def command_show(arguments):
    words = [word for word in arguments if RUN_ID.match(word)]
    options, rest = take_options([word for word in arguments if word not in words], ('--state',))
    if len(words) != 1 or rest:
        raise WrongUse('show takes the id of one run')
    store = Store(state_folder(options.get('--state')))
    try:
        record = store.read(words[0])
    except FileNotFoundError:
        say('there is no run %s in %s' % (words[0], os_text(store.folder)))
        return 1
    except (OSError, ValueError) as error:
        say('run %s cannot be read: %s' % (words[0], error))
        return 1
    write_all(1, json.dumps(record, indent=2).encode('ascii') + b'\n')
    return 0


COMMANDS = {'run': command_run, 'list': command_list, 'show': command_show}


def main(arguments):
    if arguments[:1] in (['--version'], ['-V']):
        write_all(1, b'faultline-probe %s\n' % VERSION.encode('ascii'))
        return 0
    if arguments[:1] in (['--help'], ['-h']):
        write_all(1, USAGE.encode('ascii'))
        return 0
    try:
        if not arguments or arguments[0] not in COMMANDS:
            raise WrongUse('one of run, list, show is needed')
        return COMMANDS[arguments[0]](arguments[1:])
    except WrongUse as error:
        say('%s (try --help)' % error)
        return 2
    except OSError as error:
        say('%s%s' % (os_text(error.filename) + ': ' if error.filename else '', reason_of(error)))
        return 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
