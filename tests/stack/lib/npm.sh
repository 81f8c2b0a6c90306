# shellcheck shell=bash
#
# Packages of Node.js for one folder's script.

missing_node_packages() {
  command -v node >/dev/null || echo nodejs
  command -v npm >/dev/null || echo npm
}

# Installs what package-lock.json in this folder names, unless it is there. Several
# may come at once.
install_npm_packages() {
  local lock
  exec {lock}<package-lock.json
  flock "$lock"
  # npm writes the hidden lock file last.
  if [[ ! node_modules/.package-lock.json -nt package-lock.json ]]; then
    npm ci --omit=dev --ignore-scripts --no-audit --no-fund >&2
    touch node_modules/.package-lock.json
  fi
  exec {lock}<&-
}
