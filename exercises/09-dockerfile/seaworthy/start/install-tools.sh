# Installs the "compiler": large, and needed by compile.sh alone.
mkdir -p /opt/tools
{ echo "toolchain" "of the drydock"; dd if=/dev/zero bs=1M count=4 2> /dev/null; } > /opt/tools/compiler
