# shellcheck shell=bash
#
# What all servers share: launch, find, wait, stop, kill.
#
# Each server runs in a folder of its own, and its processes are found by that
# working folder and their program's name. Unlike a pid file this cannot be
# stale, cannot name a stranger's process, and is right even when `up` was
# killed between a start and its record.
#
# A kind of server (postgres, redis, rabbitmq, epmd) defines KIND_launch and
# KIND_ready.

readonly start_deadline=60 stop_deadline=30 settle_deadline=10
readonly server_programs='^(postgres|redis-server|redis-check-rdb|beam\.smp|erl_child_setup|inet_gethost|epmd|rabbitmq-server|erlexec|erl)$'

kind_of() {
  case $1 in
    control | target-* | template) echo postgres ;;
    *) printf '%s\n' "$1" ;;
  esac
}

user_of() {
  case $(kind_of "$1") in
    epmd) printf '%s\n' "${server_user[rabbitmq]}" ;;
    *) printf '%s\n' "${server_user[$(kind_of "$1")]}" ;;
  esac
}

folder_of() { printf '%s\n' "$data_dir/$1"; }

log_of() { printf '%s\n' "$data_dir/log/$1.log"; }

# Creates the service's private working folder.
create_folder() {
  local folder
  folder=$(folder_of "$1")
  mkdir -p "$folder"
  own "$1" "$folder"
}

# own SERVICE FILE...: hands files to the user the service runs as.
own() {
  local user
  user=$(user_of "$1")
  shift
  ((EUID != 0)) || chown "$user:${server_group[$user]}" "$@"
}

# launch SERVICE [NAME=value...] COMMAND...: starts a daemon in its own
# session; `launched` is its pid.
launch() {
  local become service=$1
  words_to_become "$(user_of "$service")"
  shift
  (
    cd "$(folder_of "$service")" || exit
    raise_file_limit
    close_inherited_files
    # An empty environment: no PG* or RABBITMQ_* variable of the caller's
    # may change the server.
    exec setsid env -i "PATH=$PATH" LANG=C.UTF-8 "${become[@]}" env "$@" \
      </dev/null >>"$(log_of "$service")" 2>&1
  ) &
  launched=$!
}

raise_file_limit() {
  ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"
}

# A daemon that kept the lock, or a pipe the caller reads to its end, would
# block others for as long as it lives.
close_inherited_files() {
  local fd
  for fd in "/proc/$BASHPID/fd"/*; do
    fd=${fd##*/}
    ((fd <= 2 || fd == 255)) || eval "exec $fd>&-"
  done
}

# Prints the pids of the service's processes.
service_pids() { pids_in "$(user_of "$1")" "$(folder_of "$1")"; }

# pids_in USER FOLDER: prints the pids of USER's servers in FOLDER or below it.
pids_in() {
  local pid folder
  server_processes "$1" | while IFS=$'\t' read -r pid folder; do
    [[ $folder != "$2" && $folder != "$2"/* ]] || printf '%s\n' "$pid"
  done
}

# server_processes USER: prints pid and working folder of this stack's
# processes that run as USER, even if the folder was deleted under them.
server_processes() {
  local process folder
  # As USER: in a container, root may not look into the processes of others.
  as_user "$1" find /proc -mindepth 2 -maxdepth 2 -name cwd -printf '%h\t%l\n' 2>/dev/null |
    while IFS=$'\t' read -r process folder; do
      if [[ $folder == "$data_dir"/* ]] && runs_server "$process"; then
        printf '%s\t%s\n' "${process#/proc/}" "${folder% (deleted)}"
      fi
    done || true
}

# A developer's shell in a data folder is not ours to end.
runs_server() {
  local program
  read -r program <"$1/comm" && [[ $program =~ $server_programs ]]
} 2>/dev/null

# Prints those of the service's processes that no other one of them started.
main_pids() {
  local pids
  pids=$(service_pids "$1" | paste -sd,)
  [[ -z $pids ]] || ps -o pid=,ppid= -p "$pids" |
    awk '{ parent[$1] = $2 } END { for (pid in parent) if (!(parent[pid] in parent)) print pid }'
}

service_runs() { [[ -n $(service_pids "$1") ]]; }

service_ready() { "$(kind_of "$1")_ready" "$1"; }

# Makes the service run, whatever an earlier run left of it.
ensure_service() {
  service_settles "$1" && return
  kill_service "$1"
  ! port_answers "$(port_of "$1")" ||
    die "port $(port_of "$1") of $1 is taken by another program: end that program, or run stack down and stack up"
  "$(kind_of "$1")_launch" "$1"
  await_service "$1"
}

# A server that runs may be starting, or recovering from a crash.
service_settles() {
  local deadline=$((SECONDS + settle_deadline))
  while service_runs "$1" && ((SECONDS < deadline)); do
    service_ready "$1" && return
    sleep 0.1
  done
  return 1
}

await_service() {
  local deadline=$((SECONDS + start_deadline))
  until service_ready "$1"; do
    kill -0 "$launched" 2>/dev/null || start_failed "$1" 'ended while starting'
    ((SECONDS < deadline)) || start_failed "$1" "is not ready after $start_deadline s"
    sleep 0.1
  done
}

start_failed() {
  say "$1 $2; the end of $(log_of "$1"):"
  tail -n 20 "$(log_of "$1")" >&2 || true
  exit 1
}

# stop_service SERVICE SIGNAL
stop_service() {
  local deadline=$((SECONDS + stop_deadline)) pids
  mapfile -t pids < <(main_pids "$1")
  ((${#pids[@]})) || return 0
  kill "-$2" "${pids[@]}" 2>/dev/null || true
  # Looking for its other processes is dear when there are dozens of services.
  while kill -0 "${pids[@]}" 2>/dev/null || service_runs "$1"; do
    ((SECONDS < deadline)) || die "$1 still runs after $stop_deadline s; see $(log_of "$1"), or run: stack kill $1"
    sleep 0.1
  done
}

kill_service() {
  local pids
  # Again until none is left: a server may start a process meanwhile.
  while mapfile -t pids < <(service_pids "$1") && ((${#pids[@]})); do
    kill -KILL "${pids[@]}" 2>/dev/null || true
    sleep 0.05
  done
}

# signal_to_stop SERVICE graceful|immediate
signal_to_stop() {
  case $(kind_of "$1")-$2 in
    postgres-graceful) echo INT ;;
    postgres-immediate) echo QUIT ;;
    *) echo TERM ;;
  esac
}
