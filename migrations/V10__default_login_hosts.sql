-- Hosts that an operator has added to those the default log-in is for, beside `default_login.hosts` of the
-- configuration. The running service may read them and not change them (`rolecall migrate` grants and revokes): who
-- may register a host must not be able to have the default password sent there.
CREATE TABLE default_login_hosts (
    hostname text        NOT NULL,
    port     integer     NOT NULL,
    added_by text        NOT NULL,
    added_at timestamptz NOT NULL,

    CONSTRAINT default_login_hosts_pkey PRIMARY KEY (hostname, port),
    CONSTRAINT default_login_hosts_hostname_lower_case CHECK (hostname = lower(hostname)),
    CONSTRAINT default_login_hosts_port_range CHECK (port BETWEEN 1 AND 65535)
);
