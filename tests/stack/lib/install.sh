# shellcheck shell=bash
#
# Finding the servers' programs, and installing the missing ones.

readonly policy_file=/usr/sbin/policy-rc.d
readonly policy_saved=/usr/sbin/policy-rc.d.before-rolecall
readonly cluster_policy=/etc/postgresql-common/createcluster.d/rolecall-stack.conf

# Prints the folder with the newest PostgreSQL server programs.
postgres_bin() {
  local folder
  while read -r folder; do
    if [[ -x $folder/postgres && -x $folder/initdb && -x $folder/psql && -x $folder/pg_isready ]]; then
      printf '%s\n' "$folder"
      return
    fi
  done < <(
    dirname "$(readlink -f "$(command -v postgres)")"
    pg_config --bindir 2>/dev/null
    printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV
  )
  return 1
}

redis_program() {
  command -v redis-server
}

# Prints the folder of RabbitMQ's own scripts. Debian's /usr/sbin/rabbitmq-server
# is a wrapper that changes user and resets the environment: never that one.
rabbitmq_bin() {
  local folder
  while read -r folder; do
    if [[ -x $folder/rabbitmq-server && -x $folder/rabbitmqctl && -e $folder/rabbitmq-env ]]; then
      printf '%s\n' "$folder"
      return
    fi
  done < <(
    printf '%s\n' /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin | sort -rV
    printf '%s\n' /usr/lib/rabbitmq/bin
    dirname "$(readlink -f "$(command -v rabbitmq-server)")"
  )
  return 1
}

epmd_program() {
  command -v epmd || compgen -G '/usr/lib/erlang/erts-*/bin/epmd' | sort -V | tail -n 1 | grep .
}

# Prints the Debian package of every program that is missing.
missing_packages() {
  postgres_bin >/dev/null || echo postgresql
  redis_program >/dev/null || echo redis-server
  { rabbitmq_bin && epmd_program; } >/dev/null || echo rabbitmq-server
  command -v openssl >/dev/null || echo openssl
  command -v curl >/dev/null || echo curl
}

can_run_natively() {
  [[ -r /proc/self/stat && -z $(missing_packages) ]]
}

can_install() {
  ((EUID == 0)) && command -v apt-get >/dev/null
}

install_missing() {
  local packages
  mapfile -t packages < <(missing_packages)
  ((${#packages[@]})) || { say 'every program is installed' && return; }
  can_install || die "$(how_to_install)"
  say "installing ${packages[*]}"
  install_lock=
  exec {install_lock}>/var/lock/rolecall-stack-install
  flock "$install_lock"
  (
    trap allow_service_starts EXIT
    forbid_service_starts
    apt_get update
    apt_get install --yes --no-install-recommends "${packages[@]}"
    disable_units "${packages[@]}"
  ) >&2
  exec {install_lock}>&-
  [[ -z $(missing_packages) ]] || die "still missing after apt-get install: $(missing_packages | xargs)"
}

how_to_install() {
  if [[ ! -r /proc/self/stat ]]; then
    echo 'without /proc the servers must be containers: start Docker with its Compose plugin, then repeat the command'
    return
  fi
  cat <<HELP
missing: $(missing_packages | xargs). Do one of these, then repeat the command:
  Debian, Ubuntu   sudo $stack_home/stack install
                   (or: sudo apt-get install --no-install-recommends $(missing_packages | xargs))
  Homebrew         brew install postgresql redis rabbitmq openssl curl
  containers       start Docker with its Compose plugin
HELP
}

# A fresh Debian package starts its server at once, on the default port.
forbid_service_starts() {
  if [[ -e $policy_file ]] && ! grep -q rolecall "$policy_file"; then
    mv "$policy_file" "$policy_saved"
  fi
  printf '#!/bin/sh\n# rolecall: nothing starts while its packages are installed\nexit 101\n' >"$policy_file"
  chmod 755 "$policy_file"
  mkdir -p "${cluster_policy%/*}"
  echo 'create_main_cluster = false' >"$cluster_policy"
  chmod 755 "${cluster_policy%/*}" && chmod 644 "$cluster_policy"
}

allow_service_starts() {
  rm -f "$policy_file" "$cluster_policy"
  [[ ! -e $policy_saved ]] || mv "$policy_saved" "$policy_file"
}

# Nor should the next boot start them.
disable_units() {
  local package
  command -v systemctl >/dev/null || return 0
  for package in "$@"; do
    case $package in
      redis-server | rabbitmq-server) systemctl disable "$package" 2>/dev/null || true ;;
    esac
  done
}

apt_get() {
  local attempt
  for attempt in 1 2 3; do
    if DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$@"; then
      return
    fi
    say "apt-get $1 failed (attempt $attempt of 3)"
    sleep $((attempt * 3))
  done
  die "apt-get $1 keeps failing; see its messages above"
}
