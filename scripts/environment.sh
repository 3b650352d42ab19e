# Sourced by quickstart.sh and test.sh: `prepare EXTRA` makes .venv and installs hfmm with an extra, once.

say() { printf '%s\n' "$*" >&2; }

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python; do
    if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s' "$candidate"
      return
    fi
  done
  say "hfmm needs Python 3.11 or newer: install it, or name it in PYTHON"
  exit 2
}

prepare() {
  local extra=$1 wanted stamp
  wanted="$(cat pyproject.toml constraints.txt | cksum) $extra"
  stamp=.venv/installed-$extra
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    say "using .venv"
    return
  fi
  if [ ! -x .venv/bin/python ]; then
    say "making .venv"
    "$(find_python)" -m venv .venv
  fi
  say "installing hfmm[$extra] (once; a few minutes)"
  # torch first, at the pinned version: otherwise another package may pull a newer and much larger build
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$extra]"
  printf '%s' "$wanted" >"$stamp"
}
