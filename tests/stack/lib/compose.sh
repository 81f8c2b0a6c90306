# shellcheck shell=bash
#
# The stack as containers, for machines that lack the servers' programs.
# Logs and data stay in the containers, so `env` has no keys for them.

compose_answers() {
  docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1
}

compose() {
  docker compose --project-name "$(compose_project)" --env-file "$stack_dir/compose/env" \
    --file "$stack_home/compose/stack.yaml" --file "$stack_dir/compose/targets.json" "$@"
}

compose_project() { printf '%s\n' "${node_name%@*}"; }

compose_prepare() { :; }

compose_up() {
  local name
  for name in $(services); do
    assign_port "$name"
  done
  mkdir -p "$stack_dir/compose/tls"
  [[ -s $stack_dir/compose/tls/server.key ]] || create_certificates "$stack_dir/compose/tls"
  compose_variables | write_file "$stack_dir/compose/env"
  compose_targets | write_file "$stack_dir/compose/targets.json"
  compose up --detach --wait --quiet-pull
  for name in $(clusters); do
    [[ $name == control ]] || compose_seed "$name"
  done
}

compose_variables() {
  cat <<VARIABLES
TLS_FOLDER=$stack_dir/compose/tls
RABBITMQ_PORT=$(port_of rabbitmq)
REDIS_PORT=$(port_of redis)
CONTROL_PORT=$(port_of control)
AMQP_USER=$amqp_user
AMQP_PASSWORD=$amqp_password
REDIS_PASSWORD=$redis_password
POSTGRES_PASSWORD=$postgres_password
VARIABLES
}

# One service for each target: the containers of a scaled service would get
# other ports at every start.
compose_targets() {
  local name separator=''
  printf '{"services": {'
  for name in $(clusters); do
    [[ $name != control ]] || continue
    cat <<TARGET
$separator
"$name": {
  "extends": {"file": "$stack_home/compose/postgres.yaml", "service": "postgres"},
  "command": ["-clog_statement=all", "-cfsync=off", "-cfull_page_writes=off"],
  "ports": ["127.0.0.1:$(port_of "$name"):5432"]
}
TARGET
    separator=,
  done
  printf '}}\n'
}

compose_seed() {
  local psql=(compose exec -T --user postgres "$1" psql --quiet --set=ON_ERROR_STOP=1)
  [[ $("${psql[@]}" -Atc "SELECT 1 FROM pg_database WHERE datname = 'myapp_qa'") != 1 ]] || return 0
  "${psql[@]}" <"$stack_home/seed/server.sql"
  "${psql[@]}" <<<"ALTER ROLE role_create PASSWORD '$dba_password';"
  "${psql[@]}" --dbname=myapp_dev <"$stack_home/seed/myapp_dev.sql"
}

compose_down() {
  [[ -s $stack_dir/compose/targets.json ]] || return 0
  if [[ $keep ]]; then
    compose stop
  else
    compose down --volumes
  fi
}

compose_status() {
  compose ps --all
  [[ $(compose ps --quiet --status running | wc -l) -eq $(services | wc -w) ]] || exit 3
}

compose_env() {
  common_env
  print_env STACK_PSQL "$(command -v psql)"
}

compose_stop() {
  # The image's own signal is PostgreSQL's fast shutdown.
  case $(signal_to_stop "$service" "$stop_mode") in
    QUIT) compose kill --signal QUIT "$service" ;;
    *) compose stop "$service" ;;
  esac
}

compose_kill() { compose kill "$service"; }

compose_start() { compose up --detach --wait --no-recreate "$service"; }

compose_restart() {
  compose_stop
  compose_start
}

compose_rabbitmqctl() { compose exec -T rabbitmq rabbitmqctl "${arguments[@]}"; }
