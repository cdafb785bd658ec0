#!/bin/sh
# Reads four words, in the shell: one call a line, one answer a line.
#
#     read.sh HOST PORT ADDRESS
#
# -N tells the daemon that nothing more will come; what was asked is still answered.
set -eu

printf '%s\n' \
  '{"jsonrpc": "2.0", "id": 1, "method": "server.hello", "params": {"client": "read.sh"}}' \
  '{"jsonrpc": "2.0", "id": 2, "method": "memory.read_u32", "params": {"address": "'"$3"'", "count": 4}}' |
  nc -N "$1" "$2" |
  while IFS= read -r line; do
    case "$line" in
      *'"id":2,"result"'*) printf '%s\n' "$line" | sed 's/.*"values":\[\([^]]*\)\].*/\1/' ;;
      *'"error"'*)
        printf '%s\n' "$line" >&2
        exit 1
        ;;
    esac
  done
