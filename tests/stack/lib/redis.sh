# shellcheck shell=bash
#
# Redis, which loses no write it has confirmed.

redis_launch() {
  create_folder redis
  redis_configuration >"$(folder_of redis)/redis.conf"
  own redis "$(folder_of redis)/redis.conf"
  launch redis "$(redis_program)" "$(folder_of redis)/redis.conf"
}

redis_configuration() {
  cat <<CONF
bind 127.0.0.1
port $(port_of redis)
requirepass $redis_password
dir "$(folder_of redis)"
appendonly yes
appendfsync always
save ""
maxmemory-policy noeviction
CONF
}

# Asks over the socket: redis-cli would show the password in its arguments.
redis_ready() (
  exec 3<>"/dev/tcp/127.0.0.1/$(port_of redis)" || exit 1
  printf 'AUTH %s\r\nPING\r\n' "$redis_password" >&3
  read -r -t 2 <&3 && read -r -t 2 answer <&3 && [[ $answer == +PONG* ]]
) 2>/dev/null
