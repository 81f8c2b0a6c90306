# shellcheck shell=bash
#
# Programs in Python that only tests need: Python itself, and packages from a lock file in an environment of a
# folder's own.

missing_python_packages() {
  command -v python3 >/dev/null || echo python3
  # Debian keeps this part of Python in a package of its own.
  python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv
}

# Installs into .venv what requirements.txt of this folder names, and nothing whose hash is another. Several may come
# at once.
install_python_packages() {
  local lock
  exec {lock}<requirements.txt
  flock "$lock"
  if [[ ! .venv/installed -nt requirements.txt ]]; then
    rm -rf .venv
    python3 -m venv .venv
    .venv/bin/pip --quiet --disable-pip-version-check --no-input \
      install --require-hashes --only-binary :all: --requirement requirements.txt >&2
    touch .venv/installed
  fi
  exec {lock}<&-
}
