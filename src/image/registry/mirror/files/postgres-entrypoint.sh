#!/bin/bash
# At first start a database cluster is made in $PGDATA: POSTGRES_PASSWORD, POSTGRES_USER, POSTGRES_DB,
# POSTGRES_INITDB_ARGS and POSTGRES_HOST_AUTH_METHOD say how; each may be in a file, NAME_FILE. Then
# what lies in /docker-entrypoint-initdb.d is run.
set -e

# The value of NAME, or of the file that NAME_FILE names, or a default.
value() {
    local file=$1_FILE
    if [ -n "${!file:-}" ]; then cat "${!file}"; else echo "${!1:-$2}"; fi
}

prepare() {
    mkdir -p "$PGDATA" /var/run/postgresql
    chmod 700 "$PGDATA"
    chown -R postgres: "$PGDATA" /var/run/postgresql
    chmod 2775 /var/run/postgresql
}

make_cluster() {
    local user password method database file
    user=$(value POSTGRES_USER postgres) password=$(value POSTGRES_PASSWORD '')
    database=$(value POSTGRES_DB "$user") method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    if [ -z "$password" ] && [ "$method" != trust ]; then
        echo "Error: the database is new, and its superuser has no password." >&2
        echo "       Say it with -e POSTGRES_PASSWORD=..., or let everybody in with" >&2
        echo "       -e POSTGRES_HOST_AUTH_METHOD=trust, which is for trying out alone." >&2
        exit 1
    fi
    # shellcheck disable=SC2086
    initdb -D "$PGDATA" --username="$user" --pwfile=<(printf '%s\n' "$password") ${POSTGRES_INITDB_ARGS:-}
    printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
    pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w start
    local psql=(env PGPASSWORD="$password" psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$user")
    if [ "$database" != postgres ]; then
        "${psql[@]}" --dbname postgres --set db="$database" <<<'CREATE DATABASE :"db"'
    fi
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
            *.sql) "${psql[@]}" --dbname "$database" -f "$file" ;;
            *.sql.gz) gunzip -c "$file" | "${psql[@]}" --dbname "$database" ;;
        esac
    done
    pg_ctl -D "$PGDATA" -m fast -w stop
    echo
    echo "PostgreSQL init process complete; ready for start up."
    echo
}

if [ "${1:0:1}" = - ]; then
    set -- postgres "$@"
fi
# Words that only ask need no database.
for word in "$@"; do
    case $word in
        --help | -\? | --version | -V | --describe-config) exec "$@" ;;
    esac
done
if [ "$1" = postgres ]; then
    if [ "$(id -u)" = 0 ]; then
        prepare
        exec setpriv --reuid=postgres --regid=postgres --clear-groups -- env HOME=/var/lib/postgresql "$0" "$@"
    fi
    [ -s "$PGDATA/PG_VERSION" ] || make_cluster
fi
exec "$@"
