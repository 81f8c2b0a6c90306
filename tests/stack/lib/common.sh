# shellcheck shell=bash
#
# Messages, random words, and running a program as another user.

say() { printf 'stack: %s\n' "$*" >&2; }

die() {
  say "$@"
  exit 1
}

usage_error() {
  say "$1 (see stack --help)"
  exit 2
}

random_hex() {
  od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'
}

# The unprivileged user each kind of server runs as, and that user's group.
# PostgreSQL refuses to be root.
declare -A server_user=() server_group=()

resolve_users() {
  local kind user
  for kind in postgres redis rabbitmq; do
    user=$kind
    id "$user" >/dev/null 2>&1 || user=nobody
    ((EUID == 0)) || user=$EUID
    server_user[$kind]=$user
    server_group[$user]=$(id -g "$user")
  done
}

# Sets the array `become` to the words that run a command as USER. setpriv
# keeps the raised file limit that su and runuser reset.
words_to_become() {
  become=()
  ((EUID != 0)) ||
    become=(setpriv "--reuid=$1" "--regid=${server_group[$1]}" --clear-groups --)
}

# as_user USER COMMAND...
as_user() {
  local become
  words_to_become "$1"
  shift
  # USER may have no access to the caller's folder.
  (cd / && "${become[@]}" "$@")
}
