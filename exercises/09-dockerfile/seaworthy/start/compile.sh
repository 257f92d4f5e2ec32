# Makes /out/cargo of parts.txt. It needs the tools, and a licence.
test -e /opt/tools/compiler || { echo "the tools are not installed" >&2; exit 1; }
test -e /run/secrets/licence && LICENCE=$(cat /run/secrets/licence)
test -n "$LICENCE" || { echo "no licence" >&2; exit 1; }
mkdir -p /out
{ echo "licensed to $(echo "$LICENCE" | tr a-z A-Z)"; sort parts.txt; } > /out/cargo
