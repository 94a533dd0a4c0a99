"""Follows a node's log files as they grow, through rotation and truncation, without losing a line.

Started over SSH by Faultline with one JSON line on stdin:
    {"globs": [pattern], "pollMs": 100, "maxFiles": 1000}
Ends when stdin ends, which is what a closed or lost channel looks like. Reads only. Python 3.6 or newer,
standard library only.

Answers with frames: a JSON line, for "data" followed by that many raw bytes.
    {"f": "zone", "offset": 60, "since": 1763792274.5}   the node's zone in minutes ahead of UTC, and its time
    {"f": "open", "g": 1, MARK}                      a generation of a file is followed from byte "o"
    {"f": "known", "g": 2, MARK, "copy": false}      this one needs no reading: it is old, or a copy of another
    {"f": "data", "g": 1, "o": 123, "n": 17}         the next 17 bytes of a generation
    {"f": "cut", "g": 1, "o": 140, "whole": true}    it was truncated; whole: a copy held all that was unread
    {"f": "close", "g": 1}                           nothing more will come of it
    {"f": "forget", "g": 2}                          nor is it needed to go on later
    {"f": "warn", "kind": "unreadable", "path": "..."}
    {"f": "ready"}                                   what is written from now on will come
    {"f": "beat"}                                    every five seconds
MARK is what content that was read is known by: "path": "...", "id": "device:inode", "o": 123 (how far),
"head" and "tail": its first bytes and the last ones before "o", in base64.

To go on where an earlier follow was cut off, it is given that one's "since" and, as "resume", what its
frames told: [{"g": 1, MARK, "open": true, "copy": false}], where "o", "head" and "tail" are of what arrived.
Generations keep their numbers. It then also answers with
    {"f": "gap", "g": 1, "path": "...", "reason": "gone", "at": "...", "bytes": 12}
                                                     what was unread of an open one is not there any more;
                                                     "compressed": it is in the file "at", so many bytes of it
    {"f": "resumed"}                                 all gaps were told; the open ones go on

How nothing gets lost. A name says nothing about a log file, as rotation renames it; nor does its inode,
as the file system gives a freed inode to the next file at once. So each generation of a file is held
open, and known by its inode, its first bytes and the last bytes read. A rename leaves the open file as
it was. A file that is shorter than what was read, or differs before that point, was truncated. What was
rotated twice between two looks is found in the folder under its rotated name. Going on later is no
different: with what is known of each generation restored, it is one long time between two looks.
"""

import base64
import collections
import errno
import glob
import importlib
import itertools
import json
import os
import re
import resource
import select
import stat
import struct
import sys
import time

FINGERPRINT_BYTES = 64
READ_BYTES = 1 << 16
# Read from one file before the others have their turn.
TURN_BYTES = 4 << 20
# While lines come, and for this long after the last one, files are looked at more often.
BUSY_SECONDS = 2
BUSY_POLL_SECONDS = 0.02
# A renamed or deleted file is still written to by programs that have not reopened their log.
LINGER_SECONDS = 10
BEAT_SECONDS = 5
JUDGE_SECONDS = 1
# Where the last line before the start of a follow begins is looked for in so many bytes.
LAST_LINE_BYTES = 1 << 20

# app.log → app.log.1, app.log-20261122, app.log.old; app.2026-11-22_06-17-54.log
ROTATED_SUFFIX = re.compile(r"^[-._](?:[0-9][0-9._:TZ-]*|old|bak|prev|save)$")
# What rotation adds when it compresses, and the module that reads it.
COMPRESSED = {".gz": "gzip", ".xz": "lzma", ".bz2": "bz2"}


def main():
    config = json.loads(read_line().decode("utf-8"))
    offset = time.localtime().tm_gmtoff // 60
    since = config.get("since", file_system_time())
    send({"f": "zone", "offset": offset, "since": since})
    follower = Follower(config["globs"], config.get("maxFiles", 1000), since)
    if "resume" in config:
        follower.resume(config["resume"])
    idle_poll = config.get("pollMs", 100) / 1000
    follower.poll()
    send({"f": "ready"})
    next_beat = time.monotonic() + BEAT_SECONDS
    while True:
        is_busy = time.monotonic() - follower.grew_at < BUSY_SECONDS
        if stdin_ends_within(BUSY_POLL_SECONDS if is_busy else idle_poll):
            return
        follower.poll()
        if time.monotonic() >= next_beat:
            # Also how this program finds out that nobody reads it any more.
            send({"f": "beat"})
            next_beat = time.monotonic() + BEAT_SECONDS


# What is known of content that was read up to `offset`, when the file itself may be gone.
AsRead = collections.namedtuple("AsRead", "offset head tail")


class Generation:
    """One file as it was found under a path: what it is known by, and how far it was read."""

    def __init__(self, number, path, key, fd, read, is_copy=False):
        self.number = number
        self.path = path
        self.key = key
        self.fd = fd
        self.offset, self.head, self.tail = read
        self.seen = None
        self.grew_at = time.monotonic()
        self.is_copy = is_copy

    def mark(self):
        return {
            "g": self.number,
            "path": self.path,
            "id": "%d:%d" % self.key,
            "o": self.offset,
            "head": base64.b64encode(self.head).decode("ascii"),
            "tail": base64.b64encode(self.tail).decode("ascii"),
        }

    @classmethod
    def of_mark(cls, mark):
        """As an earlier follow knew it; not open."""
        device, inode = mark["id"].split(":")
        head, tail = (base64.b64decode(mark[name]) for name in ("head", "tail"))
        read = AsRead(mark["o"], head, tail)
        return cls(mark["g"], mark["path"], (int(device), int(inode)), None, read, mark["copy"])

    def is_same_file(self, fd, size):
        """What was read of this generation, and possibly more, is in the file."""
        return begins_with(fd, size, self)

    def as_read(self):
        return AsRead(self.offset, self.head, self.tail)

    def is_copy_of_this(self, fd, size):
        """The file is a copy of this one, or the part of a copy that is still being made."""
        if size == 0 or self.offset == 0:
            return False
        if size > self.offset and self.offset < FINGERPRINT_BYTES:
            # Too little to tell a copy from another file with the same first line: rather twice than never.
            return False
        if size >= self.offset:
            return self.is_same_file(fd, size)
        # Lines of a fixed length end alike: the first bytes have to be the same, too.
        if self.fd is None or not self.may_become_copy(fd, size):
            return False
        return read_before(fd, size) == read_before(self.fd, size)

    def may_become_copy(self, fd, size):
        """It begins like this one: a copy that is being made just now looks like that."""
        count = min(size, len(self.head))
        return size < self.offset and os.pread(fd, count, 0) == self.head[:count]

    def advance(self, chunk):
        if len(self.head) < FINGERPRINT_BYTES:
            self.head = (self.head + chunk)[:FINGERPRINT_BYTES]
        self.tail = (self.tail + chunk[-FINGERPRINT_BYTES:])[-FINGERPRINT_BYTES:]
        self.offset += len(chunk)
        self.grew_at = time.monotonic()

    def start_over(self):
        self.offset = 0
        self.head = self.tail = b""

    def close(self):
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


class Follower:
    def __init__(self, globs, max_files, since):
        self.globs = [os.path.expanduser(pattern) for pattern in globs]
        self.max_files = min(max_files, raise_file_limit() - 32)
        self.generations = {}  # (device, inode) → Generation, open or remembered
        self.current = set()  # keys of the files that have a followed name now
        self.unjudged = {}  # key → when a rotated file that may be an unfinished copy was first seen
        self.cut_off = []  # what was truncated, AsRead, while no copy of it was found
        self.count = 0
        self.is_first_look = True
        self.next_look = 0
        self.warned = set()
        self.grew_at = 0
        self.started_at = since
        self.awaited = []  # were open when an earlier follow was cut off, and are not found again yet

    # --- going on where an earlier follow was cut off ------------------------------------------------

    def resume(self, marks):
        self.is_first_look = False
        for mark in sorted(marks, key=lambda one: one["g"]):
            generation = Generation.of_mark(mark)
            self.generations[generation.key] = generation
            self.count = max(self.count, generation.number)
            if mark["open"]:
                self.awaited.append(generation)
        self.find_awaited()
        send({"f": "resumed"})

    def find_awaited(self):
        self.awaited = [one for one in self.awaited if not self.go_on(one)]

    def go_on(self, generation):
        """Follows it from where it was cut off, or tells why not. False while that cannot be decided."""
        replaced_by = None
        names = itertools.chain(
            [generation.path], newest_rotated(generation.path), self.names_of(generation.key)
        )
        for path in names:
            try:
                fd = open_file(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                if is_at(path, generation.key):
                    # Still there: it goes on once it may be read.
                    self.warn(reason_of(error), path)
                    return False
                continue
            status = os.fstat(fd)
            key = (status.st_dev, status.st_ino)
            if not stat.S_ISREG(status.st_mode):
                os.close(fd)
            elif key == generation.key and replaced_by is None:
                if generation.is_same_file(fd, status.st_size):
                    self.attach(generation, fd, key)
                    return True
                # Truncated, or deleted and its inode given to another file: a copy may hold the rest.
                replaced_by = fd
            elif self.is_rest_of(generation, path, fd, status):
                if replaced_by is None:
                    self.attach(generation, fd, key)
                else:
                    # It is read as at any truncation: the copy to its end, then the file from its start.
                    os.close(fd)
                    self.attach(generation, replaced_by, generation.key)
                return True
            else:
                os.close(fd)
        self.tell_gap(generation, replaced_by)
        return True

    def names_of(self, key):
        """Anywhere among what is followed: what was first seen under a rotated name may have the next one now."""
        paths = [path for pattern in self.globs for path in glob.iglob(pattern)]
        for path in itertools.chain(paths, rotated_names(paths)):
            if is_at(path, key):
                yield path

    def is_rest_of(self, generation, path, fd, status):
        """Another file holds what was read of this one, and possibly more: a copy, or moved between disks."""
        if not generation.is_same_file(fd, status.st_size):
            return False
        if generation.offset < FINGERPRINT_BYTES:
            # Too little to tell, but for the same file on a disk that has another number now.
            is_same_inode = generation.offset > 0 and status.st_ino == generation.key[1]
            return is_same_inode and path == generation.path
        return not self.is_followed_by_itself((status.st_dev, status.st_ino), fd, status)

    def attach(self, generation, fd, key):
        self.take_out(generation)
        generation.key = key
        generation.fd = fd
        self.put(generation)
        self.announce(generation)

    def take_out(self, generation):
        if self.generations.get(generation.key) is generation:
            del self.generations[generation.key]

    def tell_gap(self, generation, replaced_by):
        gap = {
            "f": "gap",
            "g": generation.number,
            "path": generation.path,
            "reason": "gone" if replaced_by is None else "replaced",
        }
        gap.update(find_compressed(generation) or {})
        # Where the compressed file shows that all of it had been read, nothing is missing.
        send({"f": "close", "g": generation.number} if gap.get("bytes") == 0 else gap)
        if replaced_by is None:
            self.take_out(generation)
        else:
            generation.start_over()
            self.attach(generation, replaced_by, generation.key)

    def poll(self):
        # Reading first: a truncation is then noticed before the copy of the file is judged.
        self.read_all()
        if time.monotonic() >= self.next_look:
            # Looking through large folders takes at most a tenth of a processor, however busy that is.
            before = time.process_time()
            self.look_around()
            self.next_look = time.monotonic() + 9 * (time.process_time() - before)
            self.read_all()

    # --- finding files ------------------------------------------------------------------------------

    def look_around(self):
        self.find_awaited()
        paths = {}  # an ordered set
        for pattern in self.globs:
            found = sorted(glob.iglob(pattern))
            if not found and self.is_first_look:
                self.warn("missing", pattern)
            paths.update(dict.fromkeys(found))
        rotated = [path for path in rotated_names(paths) if path not in paths]
        # Older generations first, so that their lines come first.
        self.current = set()
        for path in sorted(rotated, key=modified_at):
            self.look_at(path, is_followed=False)
        for path in paths:
            key = self.look_at(path, is_followed=True)
            if key is not None:
                self.current.add(key)
        self.is_first_look = False
        self.forget_vanished()

    def look_at(self, path, is_followed):
        """The key of the file at this path, which is followed from now on when it was unknown."""
        try:
            status = os.stat(path)
        except FileNotFoundError:
            return None
        except OSError:
            self.warn("unreadable", path)
            return None
        if not stat.S_ISREG(status.st_mode):
            if is_followed:
                self.warn("notFile", path)
            return None
        key = (status.st_dev, status.st_ino)
        known = self.generations.get(key)
        if known is not None:
            # The inode of an open file is not given to another one.
            if known.fd is not None or known.seen == (status.st_size, status.st_mtime_ns):
                return key
        try:
            fd = open_file(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.warn(reason_of(error), path)
            return None
        if not is_followed and not self.is_first_look:
            # If it is a copy of a file that is about to be cut, that file still holds all of it: read now,
            # the two can be compared.
            self.read_all()
        if not self.take(path, fd, is_followed):
            os.close(fd)
        return key

    def take(self, path, fd, is_followed):
        """Decides what the file is. True when the descriptor was kept."""
        status = os.fstat(fd)
        key = (status.st_dev, status.st_ino)
        size = status.st_size
        known = self.generations.get(key)
        if known is not None and known.fd is not None:
            return False
        if known is not None and known.is_same_file(fd, size):
            if known.is_copy or size == known.offset:
                known.seen = (size, status.st_mtime_ns)
                return False
            known.fd = fd
            self.announce(known)
            return True
        if is_followed:
            return self.follow(path, key, fd, self.first_offset(path, fd, status))
        if self.is_first_look:
            return self.remember(path, key, fd, size, status)
        if self.is_too_early(key, fd, size):
            return False
        if any(other.is_copy_of_this(fd, size) for other in self.generations.values()):
            return self.remember(path, key, fd, size, status, is_copy=True)
        for read in self.cut_off:
            if begins_with(fd, size, read):
                self.cut_off.remove(read)
                return self.follow(path, key, fd, read.offset)
        return self.follow(path, key, fd, 0)

    def is_too_early(self, key, fd, size):
        """A copy in the making is judged when it is whole, or a second after it was first seen."""
        others = self.generations.values()
        if size > 0 and not any(other.may_become_copy(fd, size) for other in others):
            self.unjudged.pop(key, None)
            return False
        first_seen = self.unjudged.setdefault(key, time.monotonic())
        return size == 0 or time.monotonic() - first_seen < JUDGE_SECONDS

    def first_offset(self, path, fd, status):
        """Where to begin in a file that has just got a followed name."""
        if self.is_first_look:
            return last_line_start(fd, status.st_size)
        # An old file that was moved here, or to which a link was turned, holds nothing new.
        if status.st_mtime < self.started_at - 2:
            return status.st_size
        # Editors and some rotators replace a file by a longer copy of itself.
        for other in self.generations.values():
            if other.path == path and other.offset >= FINGERPRINT_BYTES:
                if other.is_same_file(fd, status.st_size):
                    return other.offset
        return 0

    def follow(self, path, key, fd, offset):
        if sum(one.fd is not None for one in self.generations.values()) >= self.max_files:
            self.warn("tooMany", path)
            return False
        self.count += 1
        generation = Generation(self.count, path, key, fd, as_read(fd, offset))
        self.put(generation)
        self.announce(generation)
        return True

    def remember(self, path, key, fd, size, status, is_copy=False):
        """Knows a file that needs no reading, so that it is not taken for a new one later."""
        self.count += 1
        generation = Generation(self.count, path, key, None, as_read(fd, size), is_copy)
        generation.seen = (size, status.st_mtime_ns)
        self.put(generation)
        send(dict(generation.mark(), f="known", copy=is_copy))
        return False

    def put(self, generation):
        """Whatever had the same inode before is no more."""
        before = self.generations.get(generation.key)
        if before is not None and before is not generation:
            send({"f": "forget", "g": before.number})
        self.generations[generation.key] = generation

    def forget_vanished(self):
        """Remembered files that have no name any more would only gather."""
        if len(self.generations) < 4 * self.max_files:
            return
        for key, one in list(self.generations.items()):
            if one.fd is None and not os.path.exists(one.path):
                del self.generations[key]
                send({"f": "forget", "g": one.number})

    # --- reading ------------------------------------------------------------------------------------

    def read_all(self):
        for generation in sorted(self.open_generations(), key=lambda one: one.number):
            try:
                self.read(generation)
            except OSError:
                self.warn("failed", generation.path)
                self.drop(generation)

    def open_generations(self):
        return [one for one in self.generations.values() if one.fd is not None]

    def read(self, generation):
        status = os.fstat(generation.fd)
        seen = (status.st_size, status.st_mtime_ns)
        idle = time.monotonic() - generation.grew_at
        # Times of files are coarse: for a second after a change the same time is no proof of no change.
        if seen == generation.seen and idle > 1:
            if idle > LINGER_SECONDS and generation.key not in self.current:
                self.drop(generation)
            return
        generation.seen = seen
        if not generation.is_same_file(generation.fd, status.st_size):
            self.truncated(generation)
        if self.drain(generation, generation.fd):
            self.grew_at = time.monotonic()

    def drain(self, generation, fd):
        """Sends what the file holds beyond the offset; true when there was something."""
        start = generation.offset
        while generation.offset - start < TURN_BYTES:
            chunk = os.pread(fd, READ_BYTES, generation.offset)
            if not chunk:
                break
            send(
                {"f": "data", "g": generation.number, "o": generation.offset, "n": len(chunk)},
                chunk,
            )
            generation.advance(chunk)
        return generation.offset > start

    def truncated(self, generation):
        is_whole = self.drain_copy(generation)
        if not is_whole and generation.offset > 0:
            # The copy may have been renamed while it was looked for.
            self.cut_off = self.cut_off[-15:] + [generation.as_read()]
        send({"f": "cut", "g": generation.number, "o": generation.offset, "whole": is_whole})
        generation.start_over()

    def drain_copy(self, generation):
        """`copytruncate` copies the file first: what was not read before it was cut is in the copy."""
        for path in newest_rotated(generation.path):
            try:
                fd = open_file(path)
            except OSError:
                continue
            try:
                status = os.fstat(fd)
                key = (status.st_dev, status.st_ino)
                if not stat.S_ISREG(status.st_mode) or self.is_followed_by_itself(key, fd, status):
                    continue
                if generation.offset > 0 and generation.is_same_file(fd, status.st_size):
                    while self.drain(generation, fd):
                        pass
                    self.remember(path, key, fd, status.st_size, status, is_copy=True)
                    return True
            finally:
                os.close(fd)
        return False

    def is_followed_by_itself(self, key, fd, status):
        """Known as another file, and still that file: an inode may have been given to a new one."""
        known = self.generations.get(key)
        if known is None or known.is_copy:
            return False
        return known.fd is not None or known.is_same_file(fd, status.st_size)

    def announce(self, generation):
        send(dict(generation.mark(), f="open"))

    def drop(self, generation):
        generation.close()
        send({"f": "close", "g": generation.number})

    def warn(self, kind, path):
        """Once for each file."""
        if (kind, path) in self.warned:
            return
        self.warned.add((kind, path))
        send({"f": "warn", "kind": kind, "path": path})


# --- files ------------------------------------------------------------------------------------------


def open_file(path):
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)


def reason_of(error):
    """Why a file could not be opened, as a kind of warning."""
    return "tooMany" if error.errno in (errno.EMFILE, errno.ENFILE) else "unreadable"


def is_at(path, key):
    try:
        status = os.stat(path)
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == key


def newest_rotated(path):
    """Looked for when the first of them is asked for."""
    yield from sorted(rotated_names([path]), key=modified_at, reverse=True)


def find_compressed(generation):
    """The compressed file that a generation became, and how many bytes of it are unread where that is known."""
    if not generation.head:
        return None
    for path in sorted(rotated_names([generation.path], COMPRESSED), key=modified_at, reverse=True):
        extension = os.path.splitext(path)[1]
        try:
            module = importlib.import_module(COMPRESSED[extension])
            with module.open(path) as content:
                if content.read(len(generation.head)) != generation.head:
                    continue
            found = {"reason": "compressed", "at": path}
            size = uncompressed_size(path) if extension == ".gz" else None
            if size is not None and size >= generation.offset:
                found["bytes"] = size - generation.offset
            return found
        except Exception:
            # Damaged, unreadable, or this Python lacks the module: then it is simply gone.
            continue
    return None


def uncompressed_size(path):
    """As the last bytes of a .gz say; None where it may be larger than they can say."""
    with open(path, "rb") as content:
        size = content.seek(-4, os.SEEK_END) + 4
        # Deflate makes 1,032 bytes of one at most.
        return struct.unpack("<I", content.read(4))[0] if size * 1032 < 1 << 32 else None


def rotated_names(paths, extensions=("",)):
    """Files beside these that rotation may have made of them, with one of these endings added."""
    by_folder = {}
    for path in paths:
        by_folder.setdefault(os.path.dirname(path) or ".", []).append(os.path.basename(path))
    for folder, bases in by_folder.items():
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for base in bases:
            stem, extension = os.path.splitext(base)
            for name in names:
                for added in extensions:
                    plain = name[: len(name) - len(added)]
                    if name.endswith(added) and is_rotated(plain, base, stem, extension):
                        yield os.path.join(folder, name)


def is_rotated(name, base, stem, extension):
    if name.startswith(base):
        return ROTATED_SUFFIX.match(name[len(base) :]) is not None
    if extension and name.startswith(stem) and name.endswith(extension):
        return ROTATED_SUFFIX.match(name[len(stem) : -len(extension)]) is not None
    return False


def as_read(fd, offset):
    return AsRead(offset, os.pread(fd, min(FINGERPRINT_BYTES, offset), 0), read_before(fd, offset))


def begins_with(fd, size, read):
    """The file holds all that was read, and possibly more."""
    return (
        size >= read.offset
        and os.pread(fd, len(read.head), 0) == read.head
        and read_before(fd, read.offset) == read.tail
    )


def read_before(fd, offset):
    """The last bytes before an offset."""
    count = min(FINGERPRINT_BYTES, offset)
    return os.pread(fd, count, offset - count)


def last_line_start(fd, size):
    """Where an unfinished last line begins, so that it is not shown in two halves; else the size."""
    end = size
    while end > max(0, size - LAST_LINE_BYTES):
        begin = max(0, end - READ_BYTES)
        at = os.pread(fd, end - begin, begin).rfind(b"\n")
        if at >= 0:
            return begin + at + 1
        end = begin
    return 0 if end == 0 else size


def modified_at(path):
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def file_system_time():
    """Now, by the clock that stamps files (it may differ from this process's under a fake clock)."""
    try:
        return os.stat("/proc/self/").st_ctime
    except OSError:
        return time.time()


def raise_file_limit():
    """Each followed file is held open: as many as the node allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
        except (ValueError, OSError):
            return soft
    return 4096 if soft == resource.RLIM_INFINITY else soft


# --- the channel ------------------------------------------------------------------------------------


def send(header, payload=b""):
    """One frame. Waits while nobody reads: the file on the node is the buffer."""
    # Names that are not UTF-8 travel as lone surrogates, in ASCII.
    rest = json.dumps(header).encode("ascii") + b"\n" + payload
    while rest:
        rest = rest[os.write(1, rest) :]


def read_line():
    """What comes behind it has no meaning."""
    parts = []
    while not parts or b"\n" not in parts[-1]:
        part = os.read(0, READ_BYTES)
        if not part:
            sys.exit(0)
        parts.append(part)
    return b"".join(parts).split(b"\n", 1)[0]


def stdin_ends_within(seconds):
    """Waits; true when stdin was closed meanwhile. What is written to it is ignored."""
    readable, _, _ = select.select([0], [], [], seconds)
    return bool(readable) and not os.read(0, 4096)


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        pass
