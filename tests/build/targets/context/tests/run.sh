set -e
sh -n bin/tool
