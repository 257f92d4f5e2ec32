#!/bin/sh
# Runs what lies in /docker-entrypoint.d, in the order of its names, and becomes the command.
set -e
if [ "$1" = nginx ]; then
    for step in /docker-entrypoint.d/*; do
        case $step in
            *.sh) if [ -x "$step" ]; then "$step"; fi ;;
            *.envsh) if [ -x "$step" ]; then . "$step"; fi ;;
        esac
    done
fi
exec "$@"
