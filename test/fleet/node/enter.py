"""How a process becomes a demo node: own mounts, own network, own clock, installed application."""

import ctypes
import os
import shutil
import socket
import subprocess

PYTHON = '/usr/bin/python3'
TMPFS = {'/tmp': '1777', '/var/tmp': '1777', '/dev/shm': '1777', '/run': '0755'}


def mount(*arguments):
    command(['mount', *arguments])


def command(argv, **options):
    """Runs argv; its output is part of the error when it fails."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, encoding='utf-8', errors='replace', **options)
    if done.returncode != 0:
        raise RuntimeError(f'{" ".join(argv)}: {done.stdout.strip() or done.returncode}')


def user_of(spec):
    """Popen's arguments for the node's normal user; none in loopback mode: all is the caller's."""
    if not spec['namespaces']:
        return {}
    return {'user': spec['uid'], 'group': spec['uid'], 'extra_groups': []}


def mount_own_directories(spec):
    """What comes from the fleet's directory first: it may lie below /tmp, which is covered last."""
    directory = spec['directory']
    socket.sethostname(spec['name'])
    overlay_etc(f'{directory}/etc', f'{directory}/etc.layer')
    for name in ('srv', 'opt', 'home'):
        mount('--bind', f'{directory}/{name}', f'/{name}')
    mount('--bind', f'{directory}/log', '/var/log')
    mount('-t', 'proc', 'proc', '/proc')
    for path, mode in TMPFS.items():
        mount('-t', 'tmpfs', '-o', f'mode={mode},size=256m', 'tmpfs', path)
    os.makedirs('/run/sshd', mode=0o755)


def overlay_etc(own, layer):
    """The machine's /etc with the node's files over it. A tmpfs holds the upper layer: an overlay
    cannot lie on another one, and the fleet's directory does in a container."""
    os.makedirs(layer, exist_ok=True)
    mount('-t', 'tmpfs', '-o', 'mode=0755,size=64m', 'tmpfs', layer)
    shutil.copytree(own, f'{layer}/upper', symlinks=True)
    os.mkdir(f'{layer}/work')
    mount('-t', 'overlay', 'overlay',
          '-o', f'lowerdir=/etc,upperdir={layer}/upper,workdir={layer}/work', '/etc')


def finish(spec):
    """After the starter has put `eth0` into the node."""
    if spec['namespaces']:
        command(['ip', 'link', 'set', 'lo', 'up'])
        command(['ip', 'address', 'add', spec['address'], 'dev', 'eth0'])
        command(['ip', 'link', 'set', 'eth0', 'up'])
    if spec.get('faketimeName'):
        make_faketime_memory(spec['faketimeName'])
    if spec.get('install'):
        command([PYTHON, *spec['install']], cwd='/', env=spec['installEnv'], **user_of(spec))


def make_faketime_memory(name):
    """One semaphore and one block of shared memory for all programs of a node with a wrong clock.

    Left to itself libfaketime makes a pair for each process and leaves the semaphore behind;
    FAKETIME_SHARED names this pair instead. A relative offset keeps nothing in it.
    """
    remove_faketime_memory(name)
    library = ctypes.CDLL(None, use_errno=True)
    library.sem_open.restype = ctypes.c_void_p
    before = os.umask(0)
    try:
        if not library.sem_open(f'/{name}_sem'.encode(), os.O_CREAT | os.O_EXCL, 0o666, 1):
            raise OSError(ctypes.get_errno(), f'semaphore {name}')
        file = os.open(f'/dev/shm/{name}_shm', os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        os.ftruncate(file, 4096)
        os.close(file)
    finally:
        os.umask(before)


def remove_faketime_memory(name):
    for path in (f'/dev/shm/sem.{name}_sem', f'/dev/shm/{name}_shm'):
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
