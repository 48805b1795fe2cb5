#!/usr/bin/env bash
# Runs a command until standard input closes, so that it ends with whoever started it, however that one ended.
set -euo pipefail

"$@" </dev/null &
trap 'kill $! 2>/dev/null; wait $! 2>/dev/null || true' EXIT
cat >/dev/null
