say() { echo "tool: $*"; }
