#!/usr/bin/env bash
# Makes .venv, installs hfmm with its test extra, runs every check and every test. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh
prepare test
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
.venv/bin/python scripts/check.py
exec .venv/bin/python -m pytest --numprocesses "${HFMM_TEST_PROCESSES:-2}" --dist loadfile --durations 10 "$@"
