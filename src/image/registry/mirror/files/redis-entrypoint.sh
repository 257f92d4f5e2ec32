#!/bin/sh
# Options alone, or a file of them, are for redis-server; which does not run as root.
set -e
case $1 in
    -* | *.conf) set -- redis-server "$@" ;;
esac
if [ "$1" = redis-server ]; then
    # A container's network is its own: who reaches it may use it.
    [ $# -gt 1 ] || set -- "$@" --protected-mode no
    if [ "$(id -u)" = 0 ]; then
        find . ! -user redis -exec chown redis '{}' +
        exec setpriv --reuid=redis --regid=redis --clear-groups -- "$@"
    fi
fi
exec "$@"
