"""Installs the application's virtual environment on a worker, as its user.

    /usr/bin/python3 install.py VENV WHEELHOUSE NAME==VERSION…

The wheelhouse holds unpacked packages (`pricelib-2.1.0/pricelib/…` and `METADATA`); they become
real distributions with a RECORD, so that pip, importlib.metadata and Faultline see them as installed.
"""

import base64
import hashlib
import shutil
import sys
import sysconfig
import venv
from pathlib import Path

WHEEL = 'Wheel-Version: 1.0\nGenerator: shop-install\nRoot-Is-Purelib: true\nTag: py3-none-any\n'


def main(target, wheelhouse, *requirements):
    builder = venv.EnvBuilder(system_site_packages=True, symlinks=True, with_pip=False)
    builder.create(target)
    # named scheme: Debian's default would answer dist-packages
    packages = Path(sysconfig.get_path(
        'purelib', 'posix_prefix', vars={'base': target, 'platbase': target}))
    for requirement in requirements:
        name, _, version = requirement.partition('==')
        install(Path(wheelhouse) / f'{name}-{version}', packages)


def install(source, packages):
    shutil.copytree(source / source.name.rpartition('-')[0],
                    packages / source.name.rpartition('-')[0],
                    ignore=shutil.ignore_patterns('__pycache__'))
    info = packages / f'{source.name}.dist-info'
    info.mkdir()
    shutil.copyfile(source / 'METADATA', info / 'METADATA')
    (info / 'WHEEL').write_text(WHEEL)
    (info / 'INSTALLER').write_text('shop-install\n')
    (info / 'top_level.txt').write_text(source.name.rpartition('-')[0] + '\n')
    write_record(packages, source.name.rpartition('-')[0], info)


def write_record(packages, module, info):
    files = sorted((packages / module).rglob('*.py')) + sorted(info.iterdir())
    lines = [record_line(packages, file) for file in files]
    lines.append(f'{info.name}/RECORD,,')
    (info / 'RECORD').write_text('\n'.join(lines) + '\n')


def record_line(packages, file):
    data = file.read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()
    return f'{file.relative_to(packages)},sha256={digest},{len(data)}'


if __name__ == '__main__':
    main(*sys.argv[1:])
