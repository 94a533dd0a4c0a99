# Searches a node's log files, or reads their ends. Reads only; needs grep, awk, tr, head, tail, wc.
#
# Prints notes and lines. A note is NUL, a letter, text, NUL; lines hold no NUL, so neither can be taken
# for the other:
#   Z +0100        the node's zone
#   F path         lines of this file follow
#   W kind path    a file that was not read, or not wholly: see src/log/sources.ts
#   C path         only the end of this file was read
#   D              all files were read
#   12:text        a line of the file, with its number (empty when the file is too large to count)
#
# $1 needles, one a line; empty: no search, only the files' ends
# $2 which end to read, as an argument of tail (-n500 or -c4194304); with needles: of what was found
# $3 leave out files that nobody wrote to for so many minutes, or empty
# $4 most files to read
# $5 extended regular expression of an entry's first line
# $6 the awk program beside this file
# then globs.

needles=$1 last=$2 minutes=$3 most=$4 FL_STARTS=$5 program=$6
shift 6
LC_ALL=C
# No word is split anywhere below, and globs still expand: names may hold blanks.
IFS=
export LC_ALL FL_STARTS
newline='
'
# A line without an end must not take the node's memory: grep then fails, which is reported.
ulimit -v 2097152 2>/dev/null
exec 3>&1

note() { printf '\000%s%s\000' "$1" "$2"; }

# Trouble inside a pipeline is told on descriptor 4.
tell() { echo "$1" >&4; }

# What is searched for goes through pipes: it may be a secret, and a program's arguments and its environment are
# for others to see.
find_needles() {
  { printf '%s\n' "$needles" | grep -aFn -B 100 -A 250 -f /dev/fd/6 6<&0 <&5 5<&-; } 5<&0
}

# BusyBox and GNU grep give the lines around a hit; where grep cannot, awk looks at every line itself.
hit=$(printf '%s\n' "$needles" | find_needles 2>/dev/null)
if [ -n "$hit" ]; then FL_INPUT=hits; else FL_INPUT=lines; fi

# 100 lines before a hit and 250 after it hold its entry: awk finds its borders.
hits() {
  if [ "$FL_INPUT" = hits ]; then
    find_needles
    [ $? -le 1 ] || tell failed
  else
    cat
  fi
}

# NUL is made \001 because not every awk can hold one; lines with it are binary.
entries() {
  {
    [ "$1" != lines ] || printf '%s\n\n' "$needles"
    tr '\000' '\001'
  } | FL_INPUT=$1 FL_BASE=$2 FL_PARTIAL=$3 awk "$program"
  case $? in 0) ;; 3) tell binary ;; *) tell failed ;; esac
}

unpacked() {
  case $file in
    *.gz) gzip -dc ;;
    *.xz) xz -dc ;;
    *.zst) zstd -dcq ;;
    *.bz2) bzip2 -dc ;;
  esac <"$file" 2>/dev/null || tell corrupt
}

is_compressed() {
  case $file in
    *.gz | *.xz | *.zst | *.bz2) return 0 ;;
    *) return 1 ;;
  esac
}

search_file() {
  if is_compressed; then
    unpacked | hits | entries "$FL_INPUT" 0 ''
  else
    hits <"$file" | entries "$FL_INPUT" 0 ''
  fi
}

# Lines are counted up to 64 MiB, at one size of the file although it may grow meanwhile.
read_end() {
  size=$(($(wc -c <"$file")))
  partial=
  case $last in
    -c*) [ "$size" -le "${last#-c}" ] || { partial=1; note C "$file"; } ;;
  esac
  if [ "$size" -le 67108864 ]; then
    all=$(head -c "$size" <"$file" | wc -l)
    end=$(head -c "$size" <"$file" | tail "$last" | wc -l)
    head -c "$size" <"$file" | tail "$last" | entries ends "$((all - end))" "$partial"
  else
    tail "$last" <"$file" | entries ends '' "$partial"
  fi
}

is_old() {
  [ -n "$minutes" ] && [ -n "$(find -L "$file" -prune ! -mmin "-$minutes" 2>/dev/null)" ]
}

# A link to a file that the same glob finds anyway, like current.log.
is_alias() {
  [ -h "$file" ] || return 1
  for other in $glob; do
    [ ! -h "$other" ] && [ "$file" -ef "$other" ] && return 0
  done
  return 1
}

read_file() {
  files=$((files + 1))
  note F "$file"
  trouble=$({
    if [ -z "$needles" ]; then
      read_end
    elif [ -n "$last" ]; then
      search_file | tail "$last"
    else
      search_file
    fi >&3
  } 4>&1)
  case $trouble in *corrupt*) note W "corrupt $file" ;; esac
  case $trouble in *binary*) note W "binary $file" ;; esac
  case $trouble in *failed*) note W "failed $file" ;; esac
}

consider() {
  if [ ! -e "$file" ]; then
    note W "missing $file"
  elif [ ! -f "$file" ]; then
    note W "notFile $file"
  elif [ ! -r "$file" ]; then
    note W "unreadable $file"
  elif is_old || is_alias; then
    :
  elif [ "$files" -ge "$most" ]; then
    note W "tooMany $glob"
    return 1
  elif [ -n "$needles" ] || ! is_compressed; then
    read_file
  elif [ -n "$minutes" ]; then
    note W "compressed $file"
  fi
}

files=0
seen=$newline
note Z "$(date +%z)"
for glob; do
  case $glob in
    '~/'*) glob=$HOME/${glob#'~/'} ;;
    /*) ;;
    *) glob=./$glob ;;
  esac
  for file in $glob; do
    case $seen in *"$newline$file$newline"*) continue ;; esac
    seen=$seen$file$newline
    consider || break 2
  done
done
note D ''
