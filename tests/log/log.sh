#!/bin/sh
# limit: 300
# Log files, rotation, log servers, the journal and `silktalk log`, with the programs that operators have.
set -eu
exec python3 "$(dirname "$0")/log.py"
