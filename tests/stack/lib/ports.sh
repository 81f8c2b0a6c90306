# shellcheck shell=bash
#
# Free loopback ports, which a service keeps for the stack's life.

# Below the kernel's ephemeral range: while a service is down, no client's
# outgoing connection may take its port. No server's default port is inside.
readonly first_port=20000 port_count=5000

# Ports of all this user's stacks, so that a stopped service's port is not
# handed to another stack.
readonly port_claims=${TMPDIR:-/tmp}/rolecall-stack-ports-$EUID

port_of() { printf '%s\n' "$(<"$stack_dir/ports/$1")"; }

port_answers() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Gives the service NAME a port, unless it has one.
assign_port() {
  local port attempt
  mkdir -p "$stack_dir/ports"
  [[ ! -s $stack_dir/ports/$1 ]] || return 0
  for ((attempt = 0; attempt < 1000; attempt++)); do
    port=$((first_port + RANDOM % port_count))
    if ! port_answers "$port" && claim_port "$port"; then
      write_file "$stack_dir/ports/$1" <<<"$port"
      return
    fi
  done
  die "no free port from $first_port to $((first_port + port_count - 1)); end unused stacks"
}

claim_port() {
  local claim=$port_claims/$1 owner
  mkdir -p "$port_claims"
  [[ -O $port_claims ]] || die "$port_claims belongs to another user; remove it or set TMPDIR"
  # Without -n, ln would follow a claim into its owner's folder, and succeed.
  ln -sn "$stack_dir" "$claim" 2>/dev/null && return
  owner=$(readlink "$claim") || return 1
  [[ ! -e $owner/stack.lock ]] || return 1
  rm -f "$claim" # its stack is gone
  ln -sn "$stack_dir" "$claim" 2>/dev/null
}

release_ports() {
  local file
  for file in "$stack_dir"/ports/*; do
    [[ -s $file ]] || continue
    rm -f "$port_claims/$(<"$file")"
    rm -f "$file"
  done
  # And those of stacks whose folder someone removed.
  [[ ! -d $port_claims ]] || find "$port_claims" -xtype l -delete
}

# A dead service whose port another program took meanwhile gets a new one.
replace_taken_port() {
  [[ -s $stack_dir/ports/$1 ]] || return 0
  port_answers "$(port_of "$1")" || return 0
  say "port $(port_of "$1") of $1 is taken by another program; choosing a new one"
  rm -f "$port_claims/$(port_of "$1")" "$stack_dir/ports/$1"
}
