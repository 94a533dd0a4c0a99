# Follows log files with `tail -F` on nodes without Python. Lines that are written to a file after it was
# renamed are lost, and long lines are cut: follower.py does better.
#
# Prints notes as logSearch.sh does (Z zone, F path: the next file by number, W kind path, D all started)
# and lines as 2:text, where 2 is the file's number, counted from 1.
#
# $1 most files, then globs. Runs guarded: the channel's end ends all.

most=$1
shift
LC_ALL=C
IFS=
export LC_ALL

note() { printf '\000%s%s\000' "$1" "$2"; }

# What is printed at once up to 4,096 bytes is not mixed with what the other files print.
follow() {
  tail -n0 -F "$file" 2>/dev/null | while read -r line; do
    printf '%d:%.3900s\n' "$files" "$line"
  done
}

files=0
note Z "$(date +%z)"
for glob; do
  case $glob in
    '~/'*) glob=$HOME/${glob#'~/'} ;;
    /*) ;;
    *) glob=./$glob ;;
  esac
  for file in $glob; do
    if [ ! -e "$file" ]; then
      note W "missing $file"
    elif [ ! -f "$file" ]; then
      note W "notFile $file"
    elif [ ! -r "$file" ]; then
      note W "unreadable $file"
    elif [ "$files" -ge "$most" ]; then
      note W "tooMany $glob"
      break 2
    else
      files=$((files + 1))
      note F "$file"
      follow &
    fi
  done
done
note D ''
wait
