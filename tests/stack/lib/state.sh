# shellcheck shell=bash
#
# The state folder: what makes a stack this stack, from its first `up` to its
# `down`.

# Serialises the commands that change a stack. The lock goes away with the
# process that holds it, whatever ends it.
lock_stack() {
  command -v flock >/dev/null || die 'flock is missing: install util-linux (Homebrew: flock)'
  create_stack_dir
  while :; do
    exec {stack_lock}>>"$stack_dir/stack.lock"
    flock -w 300 "$stack_lock" ||
      die "another stack command has held $stack_dir/stack.lock for 5 minutes; end it first"
    # down removes the lock file while others may wait for it.
    [[ $stack_dir/stack.lock -ef /dev/fd/$stack_lock ]] && return
    exec {stack_lock}>&-
    create_stack_dir
  done
}

create_stack_dir() {
  if [[ -d $stack_dir && ! -e $stack_dir/stack.lock && -n $(ls -A "$stack_dir") ]]; then
    die "$stack_dir holds other files; name a new folder with --dir"
  fi
  mkdir -p "$stack_dir"
  # When root starts the servers, they run as other users.
  ((EUID != 0)) || chmod 711 "$stack_dir"
  : >>"$stack_dir/stack.lock"
  echo '*' >"$stack_dir/.gitignore"
}

need_stack() {
  [[ -s $stack_dir/backend ]] || die "there is no stack in $stack_dir; run: stack up --dir $stack_dir"
  load_state
}

# Settles what later commands must find unchanged. The backend comes last:
# with it, the state is complete.
create_state() {
  [[ -s $stack_dir/secrets ]] || new_secrets | write_file "$stack_dir/secrets"
  [[ -s $stack_dir/targets ]] || write_file "$stack_dir/targets" <<<"${targets_wanted:-2}"
  ((targets_wanted <= $(<"$stack_dir/targets"))) || write_file "$stack_dir/targets" <<<"$targets_wanted"
  [[ -s $stack_dir/backend ]] || choose_backend
}

choose_backend() {
  local chosen=native
  if ! can_run_natively; then
    if can_install; then
      install_missing
    elif compose_answers; then
      chosen=compose
    else
      die "$(how_to_install)"
    fi
  fi
  write_file "$stack_dir/backend" <<<"$chosen"
}

new_secrets() {
  cat <<SECRETS
amqp_user=rolecall_$(random_hex 4)
amqp_password=$(random_hex 16)
redis_password=$(random_hex 16)
postgres_password=$(random_hex 16)
dba_password=$(random_hex 16)
erlang_cookie=$(random_hex 24)
node_name=rolecall-$(random_hex 4)@localhost
SECRETS
}

load_state() {
  backend=$(<"$stack_dir/backend")
  targets=$(<"$stack_dir/targets")
  data_dir=$(readlink -f "$stack_dir/data")
  # shellcheck disable=SC1091
  source "$stack_dir/secrets"
  "${backend}_prepare"
}

# A killed run leaves the old file or the new one, never half of one.
write_file() {
  cat >"$1.new"
  mv "$1.new" "$1"
}

# Removes this stack's files, and the folder when it holds no others.
remove_state() {
  release_ports
  rm -rf "${data_dir:?}"
  rm -rf "$stack_dir"/{data,ports,secrets,targets,backend,ca.crt,compose,.gitignore,stack.lock,tests.lock}
  rmdir "$stack_dir" 2>/dev/null || true
}

services() {
  local list='rabbitmq redis control' i
  for ((i = 1; i <= targets; i++)); do
    list+=" target-$i"
  done
  printf '%s\n' "$list"
}

# The services that are PostgreSQL clusters.
clusters() { services | tr ' ' '\n' | grep -E '^(control|target-)'; }

need_service() {
  [[ " $(services) " == *" $service "* ]] || die "this stack has no $service, only: $(services)"
}

# --- env ------------------------------------------------------------------

print_env() { printf '%s=%q\n' "$1" "$2"; }

# The keys that do not depend on where the servers run.
common_env() {
  local name prefix
  print_env STACK_DIR "$stack_dir"
  print_env STACK_AMQP_URL "amqp://$amqp_user:$amqp_password@127.0.0.1:$(port_of rabbitmq)/%2f"
  print_env STACK_REDIS_URL "redis://:$redis_password@127.0.0.1:$(port_of redis)/0"
  print_env STACK_CA_FILE "$(ca_file)"
  print_env STACK_DBA_USER role_create
  print_env STACK_DBA_PASSWORD "$dba_password"
  print_env STACK_TARGETS "$targets"
  for name in $(clusters); do
    prefix=$(env_prefix "$name")
    print_env "${prefix}_PORT" "$(port_of "$name")"
    print_env "${prefix}_URL" "postgres://postgres:$postgres_password@127.0.0.1:$(port_of "$name")/postgres"
  done
}

# control: STACK_CONTROL; target-1: STACK_TARGET_1
env_prefix() {
  local name=${1^^}
  printf 'STACK_%s\n' "${name/-/_}"
}
