# Facts of a node, read in one go. Read-only: no sudo, no file is written, the network is not used.
# POSIX sh and what BusyBox has; Python 3 is used where there is one.
#
#   $1     a random word (hex) that marks the borders of sections, so that no value can forge one
#   $2     "yes" to start Python 3 for the Python interpreters and their packages, else "no"
#   $3     seconds that the start-up files of the login shell may take
#   stdin  the text of facts.py
#
# Output: sections. Each begins with LF RS <word> SP <name> LF and ends with LF RS <word> SP "=" <exit code> LF;
# what is between is the section's content, byte for byte. RS is \036. Sections that take long run beside the
# others, each as one end of a pipe whose other end prints it in its turn: no temporary files.

word=$1
use_python=$2
login_limit=$3
exec 3<&0 </dev/null 2>/dev/null

begin() { printf '\n\036%s %s\n' "$word" "$1"; }
end() { printf '\n\036%s =%s\n' "$word" "$1"; }
section() {
  begin "$1"
  shift
  "$@" </dev/null
  end $?
}
have() { command -v "$1" >/dev/null; }
missing() { return 127; }

# State of this shell, before anything here can change it.
command_state() {
  printf '%s\0' umask "$(umask)" cwd "$PWD" physical "$(pwd -P)" pid $$ sh "$0"
}
limits() {
  if [ -r /proc/$$/limits ]; then
    cat /proc/$$/limits
  else
    # The letters are those of `ulimit` in dash, ash and bash; a shell without one of them says so on stderr.
    for pair in cpu:t fsize:f data:d stack:s core:c rss:m memlock:l nproc:p nofile:n as:v; do
      soft=$(ulimit -S -${pair#*:}) && hard=$(ulimit -H -${pair#*:}) &&
        printf 'ulimit %s %s %s\n' "${pair%:*}" "$soft" "$hard"
    done
  fi
}
# As this process was given it; the shell itself may have added PWD or OLDPWD since.
plain_env() {
  if [ -r /proc/$$/environ ]; then cat /proc/$$/environ; else env -0; fi
}

section command command_state
section limits limits
section plainEnv plain_env

have renice && renice -n 10 -p $$ >/dev/null

# GNU, BusyBox and old BusyBox take different words; without any of them we watch by ourselves.
if timeout -k 1 5 true; then timeout='timeout -k 1'
elif timeout 5 true; then timeout=timeout
elif timeout -t 5 true; then timeout='timeout -t'
else timeout=
fi

# limited SECONDS COMMAND ARG…: exit code 124, 137 or 143 when the time was up. What the command leaves
# running in its process group is ended with it.
limited() {
  limit=$1
  shift
  if [ -n "$timeout" ]; then
    { $timeout "$limit" "$@" <&4 3<&- 4<&- & } 4<&0
    child=$!
    wait $child
    code=$?
    kill -s TERM -- -$child
  else
    { "$@" <&4 3<&- 4<&- & } 4<&0
    child=$!
    (sleep "$limit" && kill -s KILL $child) >/dev/null &
    watcher=$!
    wait $child
    code=$?
    kill $watcher
  fi
  return $code
}

uid=$(id -u)
passwd_line() {
  if have getent; then limited 3 getent passwd "$uid"
  else awk -F: -v uid="$uid" '$3 == uid { print; exit }' /etc/passwd
  fi
}
os_release() {
  for file in /etc/os-release /usr/lib/os-release; do
    [ -r "$file" ] && { cat "$file"; return; }
  done
  have sw_vers && { sw_vers; return; }
  missing
}
cpu() {
  if [ -r /proc/cpuinfo ]; then
    awk -F '[ \t]*: *' '
      $1 == "processor" { count++ }
      ($1 == "model name" || $1 == "Model" || $1 == "cpu model") && model == "" { model = $2 }
      END { printf "model %s\ncount %d\n", model, count }' /proc/cpuinfo
  else
    printf 'model %s\ncount %s\n' "$(sysctl -n machdep.cpu.brand_string || sysctl -n hw.model)" \
      "$(getconf _NPROCESSORS_ONLN)"
  fi
  if have nproc; then printf 'usable %s\n' "$(nproc)"; fi
}
memory() {
  if [ -r /proc/meminfo ]; then
    awk '$1 == "MemTotal:" || $1 == "MemAvailable:" || $1 == "SwapTotal:" { print $1, $2 }' /proc/meminfo
  else
    printf 'MemTotal: %s\n' $(($(sysctl -n hw.memsize || sysctl -n hw.physmem) / 1024))
  fi
}
timezone() {
  printf '%s\0' link "$(readlink /etc/localtime)"
  [ -r /etc/timezone ] && read -r zone </etc/timezone && printf '%s\0' file "$zone"
  printf '%s\0' now "$(date '+%s %Z %z')"
}
charmap() { if have locale; then locale charmap; else missing; fi; }

# Mount points of file systems that hold files; those on the network are asked apart, as a dead server
# makes df hang.
mounts() { if [ -r /proc/self/mounts ]; then cat /proc/self/mounts; else mount; fi; }
disks() {
  limited 3 env LC_ALL=C df -P -k $1
  code=$?
  printf '\036\n'
  limited 3 env LC_ALL=C df -P -i $1
  return $code
}
# BusyBox's df knows no -l, so df gets the points themselves, one of each device. /proc/mounts writes blanks
# with a backslash; a point with one, or with a character the shell would expand, is not asked for.
local_points() {
  awk '$3 ~ /^(ext[234]|xfs|btrfs|zfs|f2fs|jfs|reiserfs|bcachefs|vfat|exfat|ntfs3?|overlay|tmpfs|ubifs|9p|virtiofs)$/ &&
    $2 !~ /[\\*?[]/ && $2 !~ /^\/(proc|sys|dev|run\/.*|var\/lib\/(docker|containers|containerd|kubelet)\/.*)(\/|$)/ &&
    !($1 ~ /^\// && seen[$1]++) { print $2 }' /proc/self/mounts
}
network_points() {
  awk '$3 ~ /^(nfs4?|cifs|smb3|ceph|lustre|glusterfs|afs|gpfs|beegfs|fuse\..*)$/ && $2 !~ /[\\*?[]/ { print $2 }' \
    /proc/self/mounts
}
local_disks() {
  if [ -r /proc/self/mounts ]; then points=$(local_points); else points=-l; fi
  if [ -n "$points" ]; then disks "$points"; fi
}
network_disks() {
  if [ -r /proc/self/mounts ]; then points=$(network_points); else points=; fi
  if [ -n "$points" ]; then disks "$points"; fi
}

system_packages() {
  if [ -r /var/lib/dpkg/status ]; then
    printf 'dpkg\n'
    awk -F ': ' '
      $1 == "Package" { name = $2 }
      $1 == "Status" { installed = ($2 ~ / installed$/) }
      $1 == "Architecture" { arch = $2 }
      $1 == "Version" { version = $2 }
      /^$/ { if (name != "" && installed) print name, version, arch; name = ""; installed = 0 }
      END { if (name != "" && installed) print name, version, arch }' /var/lib/dpkg/status
  elif [ -r /lib/apk/db/installed ]; then
    printf 'apk\n'
    awk -F : '
      $1 == "P" { name = $2 }
      $1 == "V" { version = $2 }
      $1 == "A" { arch = $2 }
      /^$/ { if (name != "") print name, version, arch; name = "" }
      END { if (name != "") print name, version, arch }' /lib/apk/db/installed
  elif have rpm; then
    printf 'rpm\n'
    limited 10 rpm -qa --qf '%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE} %{ARCH}\n'
  else
    missing
  fi
}

# Starting node costs more than everything else here: most installations have its version in a header.
nodejs() {
  program=$(command -v node) || return 0
  real=$(readlink -f "$program")
  header=${real%/bin/*}/include/node/node_version.h
  if [ -r "$header" ]; then
    version=$(awk '/^#define NODE_(MAJOR|MINOR|PATCH)_VERSION/ { v = v "." $3 } END { print substr(v, 2) }' "$header")
    source=node_version.h
  else
    version=$(limited 5 node --version)
    source='node --version'
  fi
  printf '%s\0' executable "$program" version "$version" source "$source"
}

# The first Python 3 that is not a shim (a shim is a shell script that costs more than Python itself).
find_python() {
  for python in "$(command -v python3)" /usr/bin/python3 /usr/local/bin/python3; do
    case $python in '' | */shims/*) continue ;; esac
    [ -x "$python" ] || continue
    # On a Mac without the developer tools this is a stub that opens a dialogue.
    [ "$python" != /usr/bin/python3 ] || ! have xcode-select || xcode-select -p >/dev/null || continue
    return 0
  done
  python=$(command -v python3)
}
pythons() {
  if [ "$use_python" != yes ]; then return 126; fi
  find_python || return 127
  PYTHONDONTWRITEBYTECODE=1 limited 10 "$python" -I -S -B - <&3
}

# The environment that a login gives: the user's own shell reads its start-up files, then prints what it
# would hand to a program. What the start-up files print comes before the marker.
login_env() {
  shell=$SHELL
  [ -x "$shell" ] || { shell=$(passwd_line); shell=${shell##*:}; }
  [ -n "$shell" ] || shell=/bin/sh
  printf '%s\0' "$shell"
  # By its full name where that is a plain one: the start-up files may set any PATH.
  cat=$(command -v cat)
  case $cat in /*[!A-Za-z0-9/._-]* | [!/]* | '') cat=cat ;; esac
  if [ -r /proc/self/environ ]; then show="$cat /proc/self/environ"; else show='env -0'; fi
  ask="printf '\\036%s\\n' $word; exec $show"
  case ${shell##*/} in
    # No -l together with -c: read the login file by hand.
    csh | tcsh) limited "$login_limit" "$shell" -c "if ( -r ~/.login ) source ~/.login; $ask" ;;
    *) limited "$login_limit" "$shell" -l -c "$ask" ;;
  esac
}

# `a | { b; cat; }` runs both at once and prints b first. What may hang longest is printed last.
section networkDisks network_disks | {
  section loginEnv login_env | {
    section pythons pythons | {
      section nodejs nodejs | {
        section systemPackages system_packages | {
          section uname uname -snrm
          section osRelease os_release
          section id limited 3 id
          section passwd passwd_line
          section cpu cpu
          section memory memory
          section timezone timezone
          section charmap charmap
          section mounts mounts
          section disks local_disks
          cat
        }
        cat
      }
      cat
    }
    cat
  }
  cat
}
