# shellcheck shell=bash
#
# RabbitMQ with an epmd of its own, so that neither meets another broker.

rabbitmq_launch() {
  local folder
  folder=$(folder_of rabbitmq)
  create_folder rabbitmq
  rabbitmq_configuration >"$folder/rabbitmq.conf"
  echo '[].' >"$folder/enabled_plugins"
  : >"$folder/rabbitmq-env.conf"
  printf '%s' "$erlang_cookie" | write_file "$folder/.erlang.cookie"
  chmod 400 "$folder/.erlang.cookie"
  mkdir -p "$data_dir/log/rabbitmq"
  own rabbitmq "$data_dir/log/rabbitmq" "$folder"/{rabbitmq.conf,enabled_plugins,rabbitmq-env.conf,.erlang.cookie}
  rabbitmq_words
  launch rabbitmq "${rabbitmq_environment[@]}" "$broker_bin/rabbitmq-server"
}

# The user made here takes the place of guest.
rabbitmq_configuration() {
  cat <<CONF
listeners.tcp.1 = 127.0.0.1:$(port_of rabbitmq)
default_user = $amqp_user
default_pass = $amqp_password
disk_free_limit.absolute = 50MB
log.console = false
log.file.level = info
CONF
}

# Sets the environment that the broker and rabbitmqctl share.
rabbitmq_words() {
  local folder loopback='-kernel inet_dist_use_interface {127,0,0,1}'
  folder=$(folder_of rabbitmq)
  rabbitmq_environment=(
    "HOME=$folder"
    "ERL_EPMD_PORT=$(port_of epmd)"
    ERL_EPMD_ADDRESS=127.0.0.1
    "RABBITMQ_NODENAME=$node_name"
    "RABBITMQ_DIST_PORT=$(port_of distribution)"
    "RABBITMQ_MNESIA_BASE=$folder/mnesia"
    "RABBITMQ_LOG_BASE=$data_dir/log/rabbitmq"
    "RABBITMQ_CONFIG_FILE=$folder/rabbitmq.conf"
    "RABBITMQ_ADVANCED_CONFIG_FILE=$folder/advanced.config"
    "RABBITMQ_CONF_ENV_FILE=$folder/rabbitmq-env.conf"
    "RABBITMQ_ENABLED_PLUGINS_FILE=$folder/enabled_plugins"
    "RABBITMQ_GENERATED_CONFIG_DIR=$folder/generated"
    "RABBITMQ_PID_FILE=$folder/rabbitmq.pid"
    # Few schedulers that sleep when idle: a faster start, a quieter machine.
    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none $loopback"
    "RABBITMQ_CTL_ERL_ARGS=$loopback"
    # Makes the script replace itself with the broker instead of waiting
    # beside it; -noinput is what it then leaves out.
    RABBITMQ_ALLOW_INPUT=1
    RABBITMQ_SERVER_START_ARGS=-noinput
  )
}

# Ready means that the broker opens an AMQP connection; it listens only after
# its user exists.
rabbitmq_ready() (
  exec 3<>"/dev/tcp/127.0.0.1/$(port_of rabbitmq)" || exit 1
  printf 'AMQP\0\0\11\1' >&3
  LC_ALL=C read -r -t 2 -N 1 first <&3 && [[ $first == $'\1' ]] # a method frame: Start
) 2>/dev/null

epmd_launch() {
  create_folder epmd
  launch epmd "$(epmd_program)" -port "$(port_of epmd)" -address 127.0.0.1
}

epmd_ready() { port_answers "$(port_of epmd)"; }
