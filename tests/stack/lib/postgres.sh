# shellcheck shell=bash
#
# PostgreSQL: one template, made once, of which every cluster is a copy.

postgres_launch() {
  # With none of its processes left, this file names at best a stranger
  # that got the same pid, and PostgreSQL would refuse to start beside it.
  rm -f "$(folder_of "$1")/postmaster.pid"
  launch "$1" "$pg_bin/postgres" -D "$(folder_of "$1")" -p "$(port_of "$1")"
}

postgres_ready() {
  "$pg_bin/pg_isready" -q -h 127.0.0.1 -p "$(port_of "$1")"
}

# Leaves the bare cluster as control, and a template for the targets, which
# also has the sample role and databases.
create_template() {
  [[ ! -d $data_dir/template-target ]] || return 0
  rm -rf "$data_dir/template"
  create_folder template
  as_postgres initdb --pgdata="$data_dir/template" --username=postgres --encoding=UTF8 --no-locale \
    --auth-host=scram-sha-256 --auth-local=peer --wal-segsize=1 --no-sync --no-instructions
  create_certificates "$data_dir/template"
  own template "$data_dir"/template/server.{crt,key}
  common_configuration >>"$data_dir/template/postgresql.conf"
  run_sql postgres <<<"ALTER ROLE postgres PASSWORD '$postgres_password';"
  copy_template template control
  target_configuration >>"$data_dir/template/postgresql.conf"
  run_sql postgres <"$stack_home/seed/server.sql"
  run_sql postgres <<<"ALTER ROLE role_create PASSWORD '$dba_password';"
  run_sql myapp_dev <"$stack_home/seed/myapp_dev.sql"
  mv "$data_dir"/template{,-target}
}

# copy_template TEMPLATE CLUSTER: all of it, or nothing when interrupted.
copy_template() {
  local cluster
  cluster=$(folder_of "$2")
  rm -rf "$cluster.new" "$cluster"
  cp -a "$data_dir/$1" "$cluster.new"
  mv "$cluster.new" "$cluster"
}

common_configuration() {
  cat <<'CONF'

# Rolecall's local stack
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
ssl = on
log_line_prefix = '%m [%p] %q%u@%d/%a '
CONF
}

# A target's data is worth nothing after a crash of the machine, and its log
# must show every statement. The control cluster keeps its promises: fsync.
target_configuration() {
  cat <<'CONF'
log_statement = all
shared_buffers = 16MB
max_wal_size = 256MB
fsync = off
full_page_writes = off
CONF
}

# Runs SQL on the template without a server, so without a port. Statements
# end with a semicolon and an empty line.
run_sql() {
  as_postgres postgres --single -j -D "$data_dir/template" -c exit_on_error=on -c fsync=off "$1"
}

# as_postgres PROGRAM ARGS...
as_postgres() {
  local program=$1
  shift
  quietly as_user "${server_user[postgres]}" env -u PGDATA -u PGOPTIONS "$pg_bin/$program" "$@"
}
