"""Facts about the place of a recorded run as it is now: what a preflight compares a run record with.

Started over SSH by Faultline with one JSON line on stdin:
    {"cwd", "argv0", "env", "salt", "secrets": {NAME: hash}, "python", "codeRoot", "files": [path],
     "recorder": the recorder's source text, whose rules mask the environment before it leaves the node}
and answers with one JSON document on stdout. Reads only. A fact that could not be got is left out, with
the reason in "notes". Python 3.6 or newer, standard library only.
"""

import hashlib
import json
import os
import platform
import pwd
import grp
import resource
import shutil
import subprocess
import sys
import time
import types
from concurrent.futures import ThreadPoolExecutor

LOGIN_SHELL_SECONDS = 5
INTERPRETER_SECONDS = 10
MAX_FILE_BYTES = 16 << 20
MAX_PROCESSES = 4096

# Run by the recorded interpreter itself, so that it sees the search path the run would have.
INTERPRETER_FACTS = r"""
import json, os, re, sys
names = {}
for folder in sys.path:
    try:
        entries = os.listdir(folder or ".")
    except OSError:
        continue
    for entry in entries:
        match = re.match(r"^([^-]+)-([^-]+?)(?:-.*)?\.(dist-info|egg-info)$", entry)
        if match:
            name = re.sub(r"[-_.]+", "-", match.group(1)).lower()
            names.setdefault(name, match.group(2))
print(json.dumps({
    "implementation": sys.implementation.name,
    "version": ".".join(map(str, sys.version_info[:3])),
    "executable": sys.executable,
    "prefix": sys.prefix,
    "packages": names,
}))
"""


def main():
    question = json.loads(read_line())
    notes = []
    redactor = load_recorder(question["recorder"]).Redactor(question.get("salt") or "")
    env = {name: value for name, value in question.get("env", {}).items() if isinstance(value, str)}
    # The three slow questions are asked at once; each waits for a child process of its own.
    with ThreadPoolExecutor() as pool:
        login_answer = pool.submit(login_environment, notes)
        interpreter_answer = pool.submit(interpreter, question.get("python"), env, notes)
        code_answer = pool.submit(code, question.get("codeRoot"), notes)
    login = login_answer.result()
    facts = {
        "format": "faultline.current",
        "version": 1,
        "time": time.time() * 1000,
        "host": host(),
        "user": user(),
        "umask": current_umask(),
        "limits": limits(),
        "timezone": {"tz": os.environ.get("TZ"), "name": time.tzname[time.localtime().tm_isdst > 0]},
        "cwd": directory(question.get("cwd") or "/"),
        "program": program(question.get("argv0") or "", env, question.get("cwd") or "/"),
        "interpreter": interpreter_answer.result(),
        "code": code_answer.result(),
        "files": file_hashes(question.get("files") or [], notes),
        "secrets": find_secrets(question.get("secrets") or {}, redactor, login),
        "env": describe_environment(login, redactor),
        "notes": notes,
    }
    sys.stdout.write(json.dumps(facts))


def read_line():
    line = b""
    while not line.endswith(b"\n"):
        chunk = os.read(0, 1 << 16)
        if not chunk:
            break
        line += chunk
    return line.decode("utf-8", "surrogateescape")


def host():
    name = platform.node()
    system = platform.system()
    try:
        with open("/etc/os-release", encoding="utf-8", errors="replace") as release:
            for line in release:
                if line.startswith("PRETTY_NAME="):
                    system = line.split("=", 1)[1].strip().strip('"')
    except OSError:
        pass
    return {"name": name, "os": system, "kernel": platform.release(), "machine": platform.machine()}


def user():
    uid = os.getuid()
    groups = []
    for gid in os.getgroups():
        try:
            groups.append(grp.getgrgid(gid).gr_name)
        except KeyError:
            groups.append(str(gid))
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return {"name": name, "uid": uid, "gid": os.getgid(), "groups": sorted(set(groups))}


def current_umask():
    mask = os.umask(0o022)
    os.umask(mask)
    return "%04o" % mask


def limits():
    known = {}
    for name in dir(resource):
        if name.startswith("RLIMIT_"):
            try:
                soft, hard = resource.getrlimit(getattr(resource, name))
            except (OSError, ValueError):
                continue
            known[name[7:].lower()] = [unlimited(soft), unlimited(hard)]
    return known


def unlimited(value):
    return -1 if value == resource.RLIM_INFINITY else value


def directory(path):
    try:
        if not os.path.isdir(path):
            return {"exists": False, "reason": "it is not a directory" if os.path.exists(path) else "it is gone"}
        if not os.access(path, os.X_OK):
            return {"exists": False, "reason": "permission denied"}
        return {"exists": True, "physical": os.path.realpath(path)}
    except OSError as error:
        return {"exists": False, "reason": error.strerror}


def program(argv0, env, cwd):
    """What the program's name means now, by the recorded PATH and directory."""
    if "/" in argv0:
        path = os.path.join(cwd, argv0)
        return path if os.access(path, os.X_OK) else None
    return shutil.which(argv0, path=env.get("PATH", os.defpath))


def interpreter(executable, env, notes):
    if not executable:
        return None
    try:
        answer = subprocess.run(
            [executable, "-c", INTERPRETER_FACTS],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=INTERPRETER_SECONDS,
            env=dict(env, PYTHONDONTWRITEBYTECODE="1"),
        )
        return json.loads(answer.stdout.decode("utf-8"))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        notes.append("The interpreter %s cannot be asked: %s" % (executable, error))
        return None


def code(root, notes):
    if not root:
        return None

    def git(*args):
        answer = subprocess.run(
            ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C", root] + list(args),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=INTERPRETER_SECONDS,
            env=dict(os.environ, GIT_OPTIONAL_LOCKS="0"),
        )
        return answer.stdout.decode("utf-8", "replace").strip() if answer.returncode == 0 else None

    try:
        commit = git("rev-parse", "HEAD")
        if commit is None:
            return None
        return {
            "commit": commit,
            "branch": git("rev-parse", "--abbrev-ref", "HEAD"),
            "dirty": bool(git("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.SubprocessError) as error:
        notes.append("The checkout %s cannot be read: %s" % (root, error))
        return None


def file_hashes(paths, notes):
    hashes = {}
    for path in paths[:1000]:
        try:
            if not os.path.isfile(path) or os.path.getsize(path) > MAX_FILE_BYTES:
                hashes[path] = None
                continue
            with open(path, "rb") as source:
                hashes[path] = hashlib.sha256(source.read()).hexdigest()
        except OSError as error:
            notes.append("%s cannot be read: %s" % (path, error.strerror))
            hashes[path] = None
    return hashes


def login_environment(notes):
    """The environment that the user's login shell gives, as bytes decoded with surrogateescape."""
    shell = os.environ.get("SHELL") or "/bin/sh"
    marker = "faultline-%s" % os.urandom(8).hex()
    try:
        answer = subprocess.run(
            [shell, "-l", "-c", "echo %s; env -0; echo %s" % (marker, marker)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=LOGIN_SHELL_SECONDS,
            env=started_with(),
        )
        parts = answer.stdout.split(marker.encode())
        if len(parts) < 3:
            raise ValueError("it printed no environment")
        return parse_environment(parts[1].lstrip(b"\n"))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        notes.append("The login shell's environment is unknown: %s" % error)
        return started_with()


def started_with():
    """The environment this process was given: Python adds LC_CTYPE to os.environ (PEP 538)."""
    try:
        with open("/proc/self/environ", "rb") as environ:
            return parse_environment(environ.read())
    except OSError:
        return dict(os.environ)


def parse_environment(data):
    env = {}
    for item in data.split(b"\0"):
        name, separator, value = item.partition(b"=")
        if separator:
            env[os.fsdecode(name)] = os.fsdecode(value)
    return env


def load_recorder(source):
    recorder = types.ModuleType("faultline_probe")
    exec(compile(source, "<faultline_probe>", "exec"), recorder.__dict__)
    return recorder


def describe_environment(env, redactor):
    redactor.learn_environment(env)
    return redactor.env(env)


def find_secrets(wanted, redactor, login):
    """For each masked variable of the record: is its value known on this node, and where?"""
    found = {}
    for name, expected in wanted.items():
        found[name] = {"found": False, "same": False, "where": None}
        for where, env in environments(login):
            if name not in env:
                continue
            same = redactor.tag(env[name]) == expected
            if same or not found[name]["found"]:
                found[name] = {"found": True, "same": same, "where": where}
            if same:
                break
    return found


def environments(login):
    """Where a recorded secret may still be: the login shell, then running processes of this user."""
    yield "login shell", login
    count = 0
    for pid in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if not pid.isdigit() or int(pid) == os.getpid():
            continue
        count += 1
        if count > MAX_PROCESSES:
            return
        try:
            with open("/proc/%s/environ" % pid, "rb") as environ:
                yield "process %s" % pid, parse_environment(environ.read(1 << 20))
        except OSError:
            continue


main()
