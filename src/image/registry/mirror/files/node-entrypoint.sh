#!/bin/sh
# Options, and what is no program here, are for node.
set -e
case $1 in
    -*) set -- node "$@" ;;
    *) command -v "$1" >/dev/null 2>&1 || set -- node "$@" ;;
esac
exec "$@"
