#!/usr/bin/env bash
# Makes .venv, installs hfmm, trains a captioner on built-in pictures, scores it, reloads it, and writes a page.
# Arguments go to `hfmm quickstart` (see --help). Safe to run again: what is done is not done again.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh
prepare eval
exec .venv/bin/hfmm quickstart "$@"
