# shellcheck shell=bash
#
# The stack as processes of this machine.

# Looked up once: each look-up costs a few processes, and `up` on a running
# stack should cost nothing.
native_prepare() {
  pg_bin=$(postgres_bin) || pg_bin=''
  broker_bin=$(rabbitmq_bin) || broker_bin=''
  resolve_users
}

native_up() {
  local cluster job jobs=() failed=''
  ! stack_healthy || return 0
  if ! can_run_natively; then
    install_missing
    native_prepare
  fi
  create_data_dir
  prepare_ports
  start_broker & jobs+=($!)
  ensure_service redis & jobs+=($!)
  create_template
  for cluster in $(clusters); do
    start_cluster "$cluster" & jobs+=($!)
  done
  for job in "${jobs[@]}"; do
    wait "$job" || failed=yes
  done
  [[ -z $failed ]] || die "not everything started; see above, then repeat: stack up --dir $stack_dir"
}

# Looks at the processes once for all services, to be quick.
stack_healthy() {
  local kind name running=$'\n'
  for kind in "${!server_user[@]}"; do
    running+=$(server_processes "${server_user[$kind]}" | cut -f 2)$'\n'
  done
  for name in epmd $(services); do
    [[ $running == *$'\n'"$(folder_of "$name")"$'\n'* && -s $stack_dir/ports/$name ]] || return
    service_ready "$name" || return
  done
}

start_broker() {
  ensure_service epmd
  ensure_service rabbitmq
}

start_cluster() {
  [[ -d $(folder_of "$1") ]] || copy_template template-target "$1"
  ensure_service "$1"
}

# The servers' users must be able to enter the data folder, which they cannot
# below, say, /root.
create_data_dir() {
  local elsewhere
  if [[ ! -d $stack_dir/data ]]; then
    end_processes # their folder was removed, say by git clean
    rm -f "$stack_dir/data"
    if as_user "${server_user[postgres]}" test -x "$stack_dir" 2>/dev/null; then
      mkdir "$stack_dir/data"
    else
      elsewhere=$(mktemp -d /var/tmp/rolecall-stack.XXXXXX)
      ln -s "$elsewhere" "$stack_dir/data"
      say "the servers' users cannot enter $stack_dir: the data is in $elsewhere"
    fi
  fi
  data_dir=$(readlink -f "$stack_dir/data")
  mkdir -p "$data_dir/log"
  chmod 711 "$data_dir" "$data_dir/log"
}

prepare_ports() {
  local name
  for name in epmd $(services); do
    service_runs "$name" || replace_taken_port "$name"
    assign_port "$name"
  done
  service_runs rabbitmq || replace_taken_port distribution
  assign_port distribution
}

native_down() {
  local name
  for name in $(services); do
    if [[ $keep ]]; then
      stop_service "$name" "$(signal_to_stop "$name" graceful)" &
    elif [[ $(kind_of "$name") == postgres ]]; then
      # Unlike SIGKILL, an immediate shutdown frees the shared memory.
      stop_service "$name" QUIT &
    fi
  done
  wait
  end_processes
}

# Ends what still runs in the data folder, and epmd.
end_processes() {
  local kind pids
  for kind in "${!server_user[@]}"; do
    while mapfile -t pids < <(pids_in "${server_user[$kind]}" "$data_dir") && ((${#pids[@]})); do
      kill -KILL "${pids[@]}" 2>/dev/null || true
      sleep 0.05
    done
  done
}

native_status() {
  local name state all_up=yes
  for name in $(services); do
    state=up
    service_ready "$name" || state='not ready'
    service_runs "$name" || state=down
    [[ $state == up ]] || all_up=''
    printf '%-10s %-6s %-10s %s\n' "$name" "$(port_of "$name")" "$state" "$(main_pids "$name" | xargs)"
  done
  [[ $all_up ]] || exit 3
}

native_env() {
  common_env
  print_env STACK_PSQL "$pg_bin/psql"
  print_env STACK_PG_BIN "$pg_bin"
  print_env STACK_RABBITMQ_DATA "$(folder_of rabbitmq)"
  print_env STACK_RABBITMQ_LOG "$data_dir/log/rabbitmq"
  print_env STACK_REDIS_DATA "$(folder_of redis)"
  print_env STACK_REDIS_LOG "$(log_of redis)"
  local name prefix
  for name in $(clusters); do
    prefix=$(env_prefix "$name")
    print_env "${prefix}_DATA" "$(folder_of "$name")"
    print_env "${prefix}_LOG" "$(log_of "$name")"
  done
}

native_stop() {
  stop_service "$service" "$(signal_to_stop "$service" "$stop_mode")"
}

native_kill() { kill_service "$service"; }

native_start() {
  if [[ $service == rabbitmq ]]; then
    start_broker
  else
    ensure_service "$service"
  fi
}

native_restart() {
  native_stop
  native_start
}

native_rabbitmqctl() {
  local become
  words_to_become "$(user_of rabbitmq)"
  rabbitmq_words
  cd /
  exec env -i "PATH=$PATH" LANG=C.UTF-8 "${become[@]}" env "${rabbitmq_environment[@]}" \
    "$broker_bin/rabbitmqctl" "${arguments[@]}"
}
